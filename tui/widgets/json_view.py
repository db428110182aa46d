"""JSON for people: indented, coloured, wrapped, and harmless whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.printable import printable

MOST_LINES = 2000
INDENT = 2
TAB_CELLS = 4
LINE_END = "↵"
NARROWEST = 8


@dataclass(frozen=True, slots=True)
class JsonColours:
    """Rich styles; without any colour the text still reads as JSON."""

    title: str = "bold"
    key: str = "bold"
    string: str = ""
    number: str = ""
    literal: str = "italic"
    muted: str = "dim"


class _Entry(NamedTuple):
    """A line of JSON before it is wrapped: ``head`` is its key, ``tail`` the brackets or comma after its value."""

    depth: int
    head: str
    value: str
    kind: str
    tail: str


def json_lines(value: object, width: int, colours: JsonColours) -> list[Strip]:
    """``value`` as lines of ``width`` cells, at most 2,000 and then one that counts the rest.

    A string with line ends is shown on as many lines, each end marked ``↵``; quotes and backslashes inside strings are
    escaped, so that no string can look like more of the structure.
    """
    width = max(NARROWEST, width)
    styles = {name: Style.parse(getattr(colours, name)) for name in JsonColours.__slots__}
    strips: list[Strip] = []
    more = 0
    for entry in _entries(value):
        if len(strips) == MOST_LINES and _is_short(entry, width):
            more += 1
            continue
        for line in _wrapped(entry, width):
            if len(strips) < MOST_LINES:
                segments = [Segment(text, styles[kind]) for text, kind in line if text]
                strips.append(Strip(segments).adjust_cell_length(width))
            else:
                more += 1
    if more:
        strips.append(Strip([Segment(f"… {more:,} more lines", styles["muted"])]).adjust_cell_length(width))
    return strips


class JsonView(ScrollView, can_focus=True):
    """Shows one value; the lines are made anew for another width or theme, and only when they are in sight."""

    DEFAULT_CSS = "JsonView { height: 1fr; overflow-x: hidden; scrollbar-gutter: stable; }"
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        self._strips: list[Strip] | None = None
        super().__init__(id=id)
        self._title = ""
        self._value: object = None
        self._note = ""
        self._is_empty = True
        self._made_for: tuple[int, JsonColours] | None = None

    @property
    def colours(self) -> JsonColours:
        """The colours of the theme in use."""
        return JsonColours(
            title=f"bold {self._colour('primary')}",
            key=f"bold {self._colour('primary')}",
            string=self._colour("success"),
            number=self._colour("accent"),
            literal=f"italic {self._colour('secondary')}",
            muted=self._colour("muted"),
        )

    def show(self, title: str, value: object) -> None:
        """Show ``value``, what ``json.loads`` makes, from its top, under ``title``."""
        self._title, self._value, self._note, self._is_empty = title, value, "", False
        self._made_for = None
        self._make()
        self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def say(self, note: str) -> None:
        """Show a sentence in place of a value."""
        self.clear()
        self._note = note
        self._made_for = None
        self._make()

    def clear(self) -> None:
        """Show nothing."""
        self._title, self._value, self._note, self._is_empty = "", None, "", True
        self._made_for = None
        self._make()

    def render_line(self, y: int) -> Strip:
        """Draw the line ``y`` of the widget."""
        number = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if y == 0 and (self._made_for is None or self._made_for[0] != width):
            # Textual tells neither Show nor Resize when the layout was asked for a place before it was made anew.
            self.call_next(self._make)
        strips = self._strips or []
        strip = strips[number].adjust_cell_length(width) if number < len(strips) else Strip.blank(width)
        return strip.apply_style(self.visual_style.rich_style)

    def on_show(self) -> None:
        """Make the lines of what was given while hidden."""
        self._make()

    def on_resize(self) -> None:
        """Make the lines of the new width."""
        self._make()

    def notify_style_update(self) -> None:
        """Make the lines in the colours of the new theme."""
        super().notify_style_update()
        if self._strips is not None:
            self._make()

    def _make(self) -> None:
        width = self.scrollable_content_region.width
        wanted = (width, self.colours)
        if not width:
            self._made_for = None
            self.refresh()
        if not width or wanted == self._made_for:
            return
        self._made_for = wanted
        self._strips = []
        if self._note:
            note = Style.parse(wanted[1].muted)
            pieces = cut_text(printable(self._note), width, width)
            self._strips = [Strip([Segment(each, note)]).adjust_cell_length(width) for each in pieces]
        if not self._is_empty:
            if self._title:
                title = Segment(printable(self._title), Style.parse(wanted[1].title))
                self._strips.append(Strip([title]).adjust_cell_length(width))
            self._strips += json_lines(self._value, width, wanted[1])
        self.virtual_size = Size(0, len(self._strips))
        self.refresh()

    def _colour(self, name: str) -> str:
        """A theme variable as Rich can draw it; what it cannot (``auto``, ``ansi_…``) is the default colour."""
        value = self.app.theme_variables.get(name, "")
        return value[:7] if value.startswith("#") and len(value) >= 7 else "default"


def _entries(root: object) -> Iterator[_Entry]:
    """The lines of the indented JSON, however deeply it is nested."""
    stack: list[tuple[Iterator[tuple[str, object]], int, str]] = []
    entries: Iterator[tuple[str, object]] = iter([("", root)])
    left, closing = 1, ""
    while True:
        head, value = next(entries, (None, None))
        if head is None:
            if not stack:
                return
            tail = closing
            entries, left, closing = stack.pop()
            yield _Entry(len(stack), "", "", "muted", tail + ("," if left else ""))
            continue
        left -= 1
        depth, comma = len(stack), "," if left else ""
        if isinstance(value, dict) and value:
            yield _Entry(depth, head, "", "muted", "{")
            stack.append((entries, left, closing))
            entries, left, closing = ((_key(key), each) for key, each in value.items()), len(value), "}"
        elif isinstance(value, list | tuple) and value:
            yield _Entry(depth, head, "", "muted", "[")
            stack.append((entries, left, closing))
            entries, left, closing = (("", each) for each in value), len(value), "]"
        else:
            yield _Entry(depth, head, *_scalar(value), comma)


def _key(key: object) -> str:
    return printable(f'"{_escaped(str(key))}": ')


def _scalar(value: object) -> tuple[str, str]:
    """The text of a value without parts, and its kind; of a string the line ends stay."""
    match value:
        case None:
            return "null", "literal"
        case bool():
            return "true" if value else "false", "literal"
        case int():
            return _digits(value), "number"
        case float():
            names = {math.inf: "Infinity", -math.inf: "-Infinity"}
            return "NaN" if math.isnan(value) else names.get(value) or repr(value), "number"
        case dict():
            return "{}", "muted"
        case list() | tuple():
            return "[]", "muted"
        case str():
            return f'"{_escaped(value)}"', "string"
    return f'"{_escaped(repr(value))}"', "string"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _digits(number: int) -> str:
    """Python refuses to write very long integers in decimals."""
    try:
        return str(number)
    except ValueError:
        return hex(number)


def _is_short(entry: _Entry, width: int) -> bool:
    """Whether it certainly takes one line; most entries of a long value need only be counted."""
    text = entry.head + entry.value
    return entry.depth * INDENT + len(text) < width // 2 and text.isascii() and text.isprintable()


def _wrapped(entry: _Entry, width: int) -> Iterator[list[tuple[str, str]]]:
    """The screen lines of ``entry``, each as pieces of text and their kinds; later ones hang under the value."""
    margin = min(entry.depth * INDENT, width // 2)
    line: list[tuple[str, str]] = [(" " * margin, "muted")]
    used = margin
    for piece in cut_text(entry.head, width - margin, width - margin):
        if used > margin:
            yield line
            line = [(" " * margin, "muted")]
        line.append((piece, "key"))
        used = margin + cell_len(piece)
    hang = used + 1 if used <= width // 3 else min(margin + INDENT, width // 2)
    if used > width // 3 and width - used < min(NARROWEST, cell_len(entry.value + entry.tail)):
        yield line
        line, used = [(" " * hang, "muted")], hang
    hard_lines = entry.value.replace("\r\n", "\n").split("\n") if entry.kind == "string" else [entry.value]
    for number, hard_line in enumerate(hard_lines):
        ended = number < len(hard_lines) - 1
        if number:
            yield line
            line, used = [(" " * hang, "muted")], hang
        text = printable(hard_line.replace("\t", " " * TAB_CELLS))
        # Room for the mark or the comma that follows the last piece.
        for index, piece in enumerate(cut_text(text, width - used - 1, width - hang - 1)):
            if index:
                yield line
                line = [(" " * hang, "muted")]
            line.append((piece, entry.kind))
        if ended:
            line.append((LINE_END, "muted"))
    line.append((entry.tail, "muted"))
    yield line


def cut_text(text: str, first_room: int, room: int) -> Iterator[str]:
    """``text`` cut into pieces that fit, after a space where there is one in the second half of the room."""
    start, space = 0, max(1, first_room)
    while start < len(text):
        end = _end(text, start, space)
        if end < len(text):
            blank = text.rfind(" ", start + (end - start) // 2, end)
            end = blank + 1 if blank > start else end
        yield text[start:end]
        start, space = end, max(1, room)


def _end(text: str, start: int, room: int) -> int:
    """How far ``text`` goes from ``start`` in ``room`` cells, but one character at least."""
    end = min(len(text), start + room)
    if text[start:end].isascii():
        return end
    while end > start + 1 and (over := cell_len(text[start:end]) - room) > 0:
        end -= max(1, over // 2)
    return end
