"""Reads plain text: paragraphs, and headings underlined with ``=`` or ``-``."""

from __future__ import annotations

import re

from core.library.readers.sections import Outline, Reading, text_blocks

_UNDERLINE = re.compile(r"(={3,}|-{3,}|~{3,})\s*")
_LEVELS = {"=": 1, "-": 2, "~": 3}


def read(text: str, fallback_title: str) -> Reading:
    """The sections of ``text``."""
    outline = Outline()
    lines = text.split("\n")
    start = 0
    for position in range(1, len(lines)):
        if position - 1 < start or not _is_heading(lines, position):
            continue
        _add_blocks(outline, lines, start, position - 1)
        outline.heading(_LEVELS[lines[position][0]], lines[position - 1], position)
        start = position + 1
    _add_blocks(outline, lines, start, len(lines))
    return outline.finish(fallback_title)


def _is_heading(lines: list[str], position: int) -> bool:
    underline = lines[position]
    if not _UNDERLINE.fullmatch(underline):
        return False
    title = lines[position - 1]
    stands_alone = position < 2 or not lines[position - 2].strip() or bool(_UNDERLINE.fullmatch(lines[position - 2]))
    is_text = bool(title.strip()) and not title[:1].isspace() and any(each.isalnum() for each in title)
    return is_text and stands_alone and len(underline.rstrip()) >= min(len(title.rstrip()), 80) * 0.6


def _add_blocks(outline: Outline, lines: list[str], start: int, end: int) -> None:
    for block in text_blocks("\n".join(lines[start:end]), start + 1):
        outline.add(block.text, block.line, is_code=block.is_code, language=block.language)
