"""Turns a document's passages into screen lines; pure and slow enough to be done away from the screen's thread."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Span, Text
from textual.strip import Strip

from core.model import DocumentContent, Passage
from tui.widgets.document_reader import DocumentLines, ReaderColours

WINDOW_PASSAGES = 60
MARGIN = 2
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+#.-]*)")
_INLINE_CODE = re.compile(r"(`+)(?P<code>[^`\n]+)\1")
_WORD = re.compile(r"\w{3,}")
_RUNNING = re.compile(r"[^\W_]|[`(\"']")
SHORT_LINE = 40
_SESSION = ("pycon", "console", "shell-session")


def render_document(
    content: DocumentContent, ordinal: int, query: str, width: int, colours: ReaderColours
) -> DocumentLines:
    """The passages around ``ordinal``, at most 60 to each side, wrapped to ``width`` cells.

    The chosen passage carries a bar at its left and the query's words underlined.
    """
    console = Console(file=io.StringIO(), width=max(10, width), color_system="truecolor", legacy_windows=False)
    first = max(0, ordinal - WINDOW_PASSAGES)
    last = min(len(content.passages), ordinal + WINDOW_PASSAGES + 1)
    words = sorted({word.lower() for word in _WORD.findall(query)}, key=len, reverse=True)
    strips: list[Strip] = []
    starts: dict[int, int] = {}
    if first:
        strips += _lines(console, Text(f"… {first:,} passages before", style=colours.muted), "  ", colours)
    previous = ""
    for number in range(first, last):
        passage = content.passages[number]
        chosen = number == ordinal
        bar = "▌ " if chosen else "  "
        if number > first and passage.title != previous:
            strips.append(Strip.blank(width))
        starts[number] = len(strips)
        if passage.title != previous:
            heading = Text(passage.title, style=f"bold {colours.title}")
            heading.append(f"  line {passage.line}", style=colours.muted)
            strips += _lines(console, heading, bar, colours)
        previous = passage.title
        for text in _blocks(passage, is_symbol=content.language == "python", colours=colours):
            if chosen and words:
                text.highlight_words(words, style="underline", case_sensitive=False)
            strips += _lines(console, text, bar, colours)
    if last < len(content.passages):
        rest = Text(f"… {len(content.passages) - last:,} passages after", style=colours.muted)
        strips += _lines(console, rest, "  ", colours)
    return DocumentLines(tuple(strips), starts)


def _blocks(passage: Passage, *, is_symbol: bool, colours: ReaderColours) -> Iterator[Text]:
    prose: list[str] = []
    code: list[str] = []
    fence, language = "", ""
    lines = passage.text.split("\n")
    if is_symbol and passage.heading_path and lines[0].startswith(("def ", "async def ", "class ", "property ", "@")):
        signature: list[str] = []
        while lines and lines[0].strip():
            signature.append(lines.pop(0))
        yield _code("\n".join(signature), "python", colours)
    for line in lines:
        match = _FENCE.match(line)
        if not fence and match:
            if any(line.strip() for line in prose):
                yield _prose(prose, colours)
                yield Text("")
            prose, code, fence, language = [], [], match[1], match[2]
        elif fence and match and match[1].startswith(fence) and not match[2]:
            yield _code("\n".join(code), language, colours)
            yield Text("")
            fence = ""
        elif fence:
            code.append(line)
        else:
            prose.append(line)
    if fence:
        yield _code("\n".join(code), language, colours)
    elif any(line.strip() for line in prose):
        yield _prose(prose, colours)


def _reflowed(lines: Sequence[str]) -> str:
    """Join the lines of running text, which were broken for another width; lists, fields and indents keep theirs."""
    joined: list[str] = []
    for line in lines:
        running = bool(joined) and len(joined[-1]) > SHORT_LINE and _RUNNING.match(line) and _RUNNING.match(joined[-1])
        if running:
            joined[-1] = f"{joined[-1].rstrip()} {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _prose(lines: Sequence[str], colours: ReaderColours) -> Text:
    source = _reflowed(lines).rstrip()
    text = Text()
    position = 0
    for match in _INLINE_CODE.finditer(source):
        text.append(source[position : match.start()])
        text.append(match["code"], style=colours.accent)
        position = match.end()
    text.append(source[position:])
    return text


def _code(source: str, language: str, colours: ReaderColours) -> Text:
    lexer = "pycon" if language in _SESSION and source.lstrip().startswith(">>>") else language or "text"
    text = Syntax("", lexer, theme=colours.code_theme, background_color="default").highlight(source)
    text.rstrip()
    text.style = ""
    text.spans = [Span(span.start, span.end, _without_background(span.style)) for span in text.spans]
    # Syntax never wraps by itself, and a signature cut off at the edge is of no use.
    text.no_wrap, text.overflow = False, "fold"
    return text


def _without_background(style: str | Style) -> Style:
    parsed = Style.parse(style) if isinstance(style, str) else style
    return Style(color=parsed.color, bold=parsed.bold, italic=parsed.italic)


def _lines(console: Console, text: Text, bar: str, colours: ReaderColours) -> list[Strip]:
    margin = Segment(bar, Style.parse(colours.accent))
    room = console.width - MARGIN
    text.expand_tabs(4)
    strips = []
    for line in text.wrap(console, room):
        line.rstrip()
        segments = [Segment(each.text, each.style) for each in line.render(console) if each.text != "\n"]
        strips.append(Strip([margin, *segments]).adjust_cell_length(console.width))
    return strips
