"""What every reader makes of a file: sections of blocks, each block at its line in the source."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

SEPARATOR = " › "
_LONGEST_HEADING = 200


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, table or piece of code; ``line`` is 1-based in the source file.

    Each newline in ``text`` is one line further down in the source as far as the format allows it. ``language`` is that
    of code, as written. A ``tight`` block belongs on the next line of the one before it, not in a paragraph of its own.
    """

    text: str
    line: int
    is_code: bool = False
    language: str = ""
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks under one heading, or of one symbol."""

    heading_path: tuple[str, ...]
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole document as read; ``title`` may be what the caller gave for a document that has none."""

    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class _Heading:
    level: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _End:
    level: int


class Outline:
    """Collects headings and blocks in the order of the source and makes sections of them.

    The first heading is the document's title if no other stands on its level or above; otherwise the title is the one
    given by the document's own metadata, or the caller's.
    """

    def __init__(self) -> None:
        self._entries: list[_Heading | _End | Block] = []

    def heading(self, level: int, text: str, line: int) -> None:
        """A heading of ``level`` (1 is the highest); one too long for a title is kept as text too."""
        text = " ".join(text.split())
        if not text:
            return
        if len(text) <= _LONGEST_HEADING:
            self._entries.append(_Heading(level, text, line))
            return
        self._entries.append(_Heading(level, text[: _LONGEST_HEADING - 1].rstrip() + "…", line))
        self._entries.append(Block(text, line))

    def end_heading(self, level: int) -> None:
        """What follows belongs to the heading above ``level`` again."""
        self._entries.append(_End(level))

    def add(self, text: str, line: int, *, is_code: bool = False, language: str = "", tight: bool = False) -> None:
        """A block under the latest heading; blank text is ignored."""
        if text.strip():
            language = language if is_code else ""
            self._entries.append(Block(text, max(1, line), is_code=is_code, language=language, tight=tight))

    def finish(self, fallback_title: str, own_title: str = "") -> Reading:
        """The document: every section's heading path begins with the document's title."""
        title = own_title.strip() or self._title() or fallback_title
        sections: list[Section] = []
        open_headings: list[_Heading] = []
        blocks: list[Block] = []

        def path() -> tuple[str, ...]:
            texts = tuple(each.text for each in open_headings)
            return texts if texts[:1] == (title,) else (title, *texts)

        def close() -> None:
            if blocks:
                sections.append(Section(path(), SEPARATOR.join(path()), tuple(blocks)))
                blocks.clear()

        for position, entry in enumerate(self._entries):
            if isinstance(entry, Block):
                blocks.append(entry)
                continue
            close()
            while open_headings and open_headings[-1].level >= entry.level:
                open_headings.pop()
            if isinstance(entry, _End):
                continue
            open_headings.append(entry)
            following = self._entries[position + 1] if position + 1 < len(self._entries) else None
            if following is None or (not isinstance(following, Block) and following.level <= entry.level):
                blocks.append(Block(entry.text, entry.line))
        close()
        return Reading(title, tuple(sections))

    def _title(self) -> str:
        headings = [each for each in self._entries if isinstance(each, _Heading)]
        if not headings or any(each.level <= headings[0].level for each in headings[1:]):
            return ""
        return headings[0].text


_PROMPT = ">>> "
_SESSION = "pycon"
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*(.*)$")


def text_blocks(text: str, line: int) -> tuple[Block, ...]:
    """Paragraphs of plain text whose first line has the number ``line``; fences and interactive sessions are code."""
    blocks: list[Block] = []
    paragraph: list[str] = []
    start = line
    tight = False

    def close() -> None:
        if not paragraph:
            return
        is_session = paragraph[0].lstrip().startswith(_PROMPT)
        block = Block("\n".join(paragraph), start, is_session, _SESSION if is_session else "", tight)
        paragraph.clear()
        if is_session and blocks and blocks[-1].language == _SESSION:
            gap = "\n" * max(1, start - blocks[-1].line - blocks[-1].text.count("\n"))
            blocks[-1] = replace(blocks[-1], text=blocks[-1].text + gap + block.text)
        else:
            blocks.append(block)

    lines = text.split("\n")
    position = 0
    while position < len(lines):
        current = lines[position]
        fence = _FENCE.match(current.strip())
        if fence and (end := _fence_end(lines, position, fence[1])) is not None:
            close()
            tight = False
            code = "\n".join(lines[position + 1 : end])
            if code.strip():
                blocks.append(Block(code, line + position + 1, is_code=True, language=fence[2]))
            position = end + 1
            continue
        if not current.strip():
            close()
            tight = False
        else:
            if paragraph and current.lstrip().startswith(_PROMPT) and not paragraph[0].lstrip().startswith(_PROMPT):
                close()
                tight = True
            if not paragraph:
                start = line + position
            paragraph.append(current)
        position += 1
    close()
    return tuple(blocks)


def _fence_end(lines: list[str], start: int, fence: str) -> int | None:
    for position in range(start + 1, len(lines)):
        stripped = lines[position].strip()
        if len(stripped) >= len(fence) and not stripped.strip(fence[0]):
            return position
    return None
