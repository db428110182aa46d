"""Finds the places of known texts in another, in a time that hardly grows with how many are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeAlias

_RUN = re.compile(r"[^\W_]+")
_BEGINNING = 5

Span: TypeAlias = tuple[int, int]


class KnownWords:
    """Texts that are found where they stand as words of their own, with ``any_case`` in upper or lower case.

    Immutable; safe from any thread. Of those that begin at one place the longest is found.
    """

    def __init__(self, texts: Iterable[str], *, any_case: bool = False) -> None:
        """A text without letters and digits is never found."""
        self._any_case = any_case
        # By their first letters and digits, then by where these stand in them and how long they are.
        self._known: dict[str, dict[Span, set[str]]] = {}
        for text in texts:
            if run := _RUN.search(text):
                lengths = self._known.setdefault(self._folded(run[0]), {})
                lengths.setdefault((run.start(), len(text)), set()).add(self._folded(text))
        self._known = {run: dict(sorted(known.items(), key=_longest_first)) for run, known in self._known.items()}

    def spans(self, text: str) -> Iterator[Span]:
        """Start and end of each place in ``text``; one may lie in another."""
        if not self._known:
            return
        for run in _RUN.finditer(text):
            for (before, length), spelled in self._known.get(self._folded(run[0]), {}).items():
                start = run.start() - before
                end = start + length
                if start >= 0 and self._folded(text[start:end]) in spelled and _stands_alone(text, start, end):
                    yield start, end
                    break

    def _folded(self, text: str) -> str:
        return text.lower() if self._any_case else text


class KnownPieces:
    """Texts of at least five characters that are found anywhere, also within words; otherwise as ``KnownWords``."""

    shortest = _BEGINNING

    def __init__(self, texts: Iterable[str]) -> None:
        self._known: dict[str, dict[int, set[str]]] = {}
        for text in sorted(texts, key=len, reverse=True):
            self._known.setdefault(text[:_BEGINNING], {}).setdefault(len(text), set()).add(text)

    def spans(self, text: str) -> Iterator[Span]:
        """Start and end of each place in ``text``, in order and without overlaps."""
        if not self._known:
            return
        position, last = 0, len(text) - _BEGINNING
        while position <= last:
            lengths = self._known.get(text[position : position + _BEGINNING], {})
            length = next((each for each, texts in lengths.items() if text[position : position + each] in texts), 0)
            if length:
                yield position, position + length
            position += length or 1


def _longest_first(entry: tuple[Span, set[str]]) -> int:
    return -entry[0][1]


def _stands_alone(text: str, start: int, end: int) -> bool:
    return not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()
