"""What one side changed of base, by line: which of its lines stand for which of base's, and what is new or gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.conflicts.merging.alignment import blocks
from core.conflicts.merging.text_merge import WORDS, Mark, Words, lines, word_changes

LEAST_ALIKE = 0.4
"""The share of words that two lines have in common from which on one is the other, changed."""
MOST_PAIRED = 4_000
"""Pairs of lines that are compared in one changed part; in a larger one nothing stands for anything."""


class LineMark(StrEnum):
    """What became of a line."""

    KEPT = "kept"
    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class LineChange:
    """One line. ``at`` is its place in base, or that of the line before which it was added.

    ``words`` are the line, of a changed one both what was removed and what was added. The end of the line is left out
    where it is no part of the difference.
    """

    mark: LineMark
    at: int
    words: tuple[Words, ...]


def line_changes(base: str, side: str) -> tuple[LineChange, ...]:
    """How ``side`` differs from ``base``, in the order in which it is read. Pure."""
    return tuple(_changes(lines(base), lines(side)))


def _changes(was: list[str], now: list[str]) -> Iterator[LineChange]:
    at = right = 0
    for block in (*blocks(was, now), None):
        first, second = (block.first, block.second) if block else (len(was), len(now))
        yield from _replaced(was[at:first], now[right:second], at)
        length = block.length if block else 0
        for place in range(first, first + length):
            yield _whole(LineMark.KEPT, place, was[place])
        at, right = first + length, second + length


def _replaced(was: list[str], now: list[str], at: int) -> Iterator[LineChange]:
    """A part of base and what the side has in its place."""
    one = other = 0
    for left, right in (*_pairs(was, now), (len(was), len(now))):
        for place in range(one, left):
            yield _whole(LineMark.REMOVED, at + place, was[place])
        for place in range(other, right):
            yield _whole(LineMark.ADDED, at + left, now[place])
        if left < len(was):
            yield LineChange(LineMark.CHANGED, at + left, _changed(was[left], now[right]))
        one, other = left + 1, right + 1


def _pairs(was: Sequence[str], now: Sequence[str]) -> list[tuple[int, int]]:
    """Which lines stand for each other: those that are most alike together, in the order of both."""
    if not was or not now or len(was) * len(now) > MOST_PAIRED:
        return []
    mine, theirs = ([Counter(_words(line)) for line in side] for side in (was, now))
    best = [[0.0] * (len(now) + 1) for _ in range(len(was) + 1)]
    for one in range(len(was) - 1, -1, -1):
        for other in range(len(now) - 1, -1, -1):
            alike = _alike(mine[one], theirs[other])
            paired = alike + best[one + 1][other + 1] if alike >= LEAST_ALIKE else 0.0
            best[one][other] = max(paired, best[one + 1][other], best[one][other + 1])
    found: list[tuple[int, int]] = []
    one = other = 0
    while one < len(was) and other < len(now) and best[one][other]:
        if best[one][other] == best[one + 1][other]:
            one += 1
        elif best[one][other] == best[one][other + 1]:
            other += 1
        else:
            found.append((one, other))
            one, other = one + 1, other + 1
    return found


def _alike(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0


def _words(line: str) -> list[str]:
    """Its words; of a line without any its signs."""
    found = [word for word in WORDS.findall(line) if not word.isspace()]
    return [word for word in found if word[0].isalnum() or word[0] == "_"] or found


def _changed(was: str, now: str) -> tuple[Words, ...]:
    words = word_changes(was, now)
    if words[-1].mark is Mark.KEPT:
        words[-1] = Words(Mark.KEPT, words[-1].text.removesuffix("\n"))
    return tuple(each for each in words if each.text)


def _whole(mark: LineMark, at: int, line: str) -> LineChange:
    text = line.removesuffix("\n")
    word = {LineMark.KEPT: Mark.KEPT, LineMark.REMOVED: Mark.REMOVED, LineMark.ADDED: Mark.ADDED}[mark]
    return LineChange(mark, at, (Words(word, text),) if text else ())
