"""Cuts sections into passages that the embedding model can read whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from core.library.readers.sections import Block, Section
from core.library.tokens import TokenCounter
from core.model import Passage

LIMIT = 256
_SPECIAL_TOKENS = 2
_CHARACTERS_PER_TOKEN = 16
_SMALLEST_LIMIT = 16
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_LANGUAGE = re.compile(r"[A-Za-z0-9][\w+#.-]{0,19}")
_BREAKS = (re.compile(r"\n(?:[ \t]*\n)+"), re.compile(r"\n"), re.compile(r"(?<=[.!?;:])[ \t]+"), re.compile(r"[ \t]+"))


def embedding_text(passage: Passage) -> str:
    """What is embedded of ``passage``: its title on the first line, then its text."""
    return f"{passage.title}\n{passage.text}"


def cut(sections: Iterable[Section], count_tokens: TokenCounter, limit: int = LIMIT) -> tuple[Passage, ...]:
    """The passages of ``sections``, in order.

    The embedding text of each has at most ``limit`` (16 or more) tokens, two of them the special ones, if
    ``count_tokens`` keeps its promise. Cuts fall between blocks where possible; a block too long for one passage is cut
    at blank lines, then lines, sentences, words, and inside a word only as a last resort. Code stands in a Markdown
    fence, also where it goes on in the next passage. Only whitespace is lost; characters that no screen can show become
    U+FFFD.
    """
    if limit < _SMALLEST_LIMIT:
        raise ValueError(f"a passage needs at least {_SMALLEST_LIMIT} tokens")
    return tuple(passage for section in sections for passage in _Cutter(section, count_tokens, limit).passages())


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text that fits into one passage; ``separator`` is what stood before it in its block, empty inside a word."""

    text: str
    line: int
    tokens: int
    separator: str
    block: _Fenced


@dataclass(frozen=True, slots=True, eq=False)
class _Fenced:
    """A block with the lines that open and close it, if it is code, and their tokens."""

    block: Block
    opening: str
    closing: str
    tokens: int


class _Cutter:
    def __init__(self, section: Section, count_tokens: TokenCounter, limit: int) -> None:
        self._count = count_tokens
        self._heading_path = tuple(_printable(each) for each in section.heading_path)
        self._blocks = section.blocks
        self._title, title_tokens = self._fit_title(_printable(section.title), limit)
        self._budget = limit - _SPECIAL_TOKENS - title_tokens
        self._characters = limit * _CHARACTERS_PER_TOKEN
        self._current: list[_Piece] = []
        self._tokens = 0
        self._length = 0

    def passages(self) -> Iterator[Passage]:
        for block in self._blocks:
            if not block.text.strip():
                continue
            fenced = self._fence(_tidy(block))
            for piece in self._pieces(fenced):
                if self._current and not self._fits(piece):
                    carried = self._take_lead_in(piece)
                    yield self._close()
                    for each in carried:
                        self._add(each)
                self._add(piece)
        if self._current:
            yield self._close()

    def _fit_title(self, title: str, limit: int) -> tuple[str, int]:
        """``title``, shortened if it would take more than a quarter of a passage, and its tokens."""
        most = limit // 4
        title = " ".join(title[: most * _CHARACTERS_PER_TOKEN].split())
        tokens = self._count(title)
        if tokens <= most:
            return title, tokens
        fitting, unfitting = 0, len(title)
        while unfitting - fitting > 1:
            middle = (fitting + unfitting) // 2
            if self._count(title[:middle] + "…") <= most:
                fitting = middle
            else:
                unfitting = middle
        title = title[:fitting].rstrip() + "…"
        return title, self._count(title)

    def _fence(self, block: Block) -> _Fenced:
        if not block.is_code:
            return _Fenced(block, "", "", 0)
        longest = max((len(each) for each in re.findall("`+", block.text)), default=0)
        closing = "`" * max(3, longest + 1)
        language = _LANGUAGE.match(block.language)
        opening = closing + (language[0] if language else "")
        tokens = self._count(opening) + self._count(closing)
        if tokens > self._budget // 4:
            return _Fenced(block, "", "", 0)
        return _Fenced(block, opening, closing, tokens)

    def _pieces(self, fenced: _Fenced) -> Iterator[_Piece]:
        line, counted = fenced.block.line, 0
        text = fenced.block.text
        for start, end, tokens, separator in self._split(text, 0, self._budget - fenced.tokens, 0, "\n\n"):
            line += text.count("\n", counted, start)
            counted = start
            yield _Piece(text[start:end], line, tokens, separator, fenced)

    def _split(
        self, text: str, offset: int, budget: int, level: int, separator: str
    ) -> Iterator[tuple[int, int, int, str]]:
        """Start, end, tokens and preceding separator of each piece of ``text``, found at ``offset`` in its block."""
        if len(text) <= self._characters:
            tokens = self._count(text)
            if tokens <= budget:
                yield offset, offset + len(text), tokens, separator
                return
        if level == len(_BREAKS):
            yield from self._split_word(text, offset, budget, separator)
            return
        start = 0
        for match in _BREAKS[level].finditer(text):
            if match.start() > start:
                yield from self._split(text[start : match.start()], offset + start, budget, level + 1, separator)
                separator = match[0]
            start = match.end()
        if start < len(text):
            yield from self._split(text[start:], offset + start, budget, level + 1, separator)

    def _split_word(self, word: str, offset: int, budget: int, separator: str) -> Iterator[tuple[int, int, int, str]]:
        start, size = 0, self._characters
        while start < len(word):
            part = word[start : start + size]
            tokens = self._count(part)
            if tokens > budget and len(part) > 1:
                size = len(part) // 2
                continue
            yield offset + start, offset + start + len(part), tokens, separator
            start, separator = start + len(part), ""

    def _fits(self, piece: _Piece) -> bool:
        if self._current[-1].block is piece.block and not piece.separator:
            return False
        fence = 0 if self._current[-1].block is piece.block else piece.block.tokens
        length = self._length + len(piece.separator) + len(piece.text)
        return self._tokens + fence + piece.tokens <= self._budget and length <= self._characters

    def _take_lead_in(self, piece: _Piece) -> list[_Piece]:
        """The sentence that introduces ``piece`` ("For example:") moves to the next passage with it, if both fit."""
        last = self._current[-1]
        introduces = piece.block.block.is_code and last.text.endswith(":") and last.block is not piece.block
        fits = last.tokens + piece.block.tokens + piece.tokens <= self._budget
        if len(self._current) < 2 or last.block.block.is_code or not introduces or not fits:
            return []
        if len(last.text) + len(piece.text) > self._characters:
            return []
        return [self._current.pop()]

    def _add(self, piece: _Piece) -> None:
        if not self._current or self._current[-1].block is not piece.block:
            self._tokens += piece.block.tokens
        self._tokens += piece.tokens
        self._length += len(piece.separator) + len(piece.text)
        self._current.append(piece)

    def _close(self) -> Passage:
        parts: list[str] = []
        previous: _Fenced | None = None
        for piece in self._current:
            if piece.block is previous:
                parts.append(piece.separator)
            else:
                if previous is not None:
                    parts.append(f"\n{previous.closing}" if previous.closing else "")
                    parts.append("\n" if piece.block.block.tight else "\n\n")
                parts.append(f"{piece.block.opening}\n" if piece.block.opening else "")
            parts.append(piece.text)
            previous = piece.block
        if previous is not None and previous.closing:
            parts.append(f"\n{previous.closing}")
        passage = Passage(self._title, self._heading_path, "".join(parts), self._current[0].line)
        self._current, self._tokens, self._length = [], 0, 0
        return passage


def _tidy(block: Block) -> Block:
    """``block`` without blank lines around it and without unprintable characters."""
    text = _printable(block.text)
    first = len(text) - len(text.lstrip())
    lines_before = text.count("\n", 0, first)
    start = text.rfind("\n", 0, first) + 1
    return replace(block, text=text[start:].rstrip(), line=block.line + lines_before)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)
