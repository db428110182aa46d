"""Which parts of two sequences belong together: unique elements first, as a person would see it, then what is left."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

MOST_COMPARED = 4_000_000
"""Pairs of elements that are compared in a part without unique elements; a larger one counts as replaced whole."""


@dataclass(frozen=True, slots=True)
class Block:
    """``length`` equal elements, from ``first`` on in one sequence and from ``second`` on in the other."""

    first: int
    second: int
    length: int

    @property
    def turned(self) -> Block:
        """The same with the sequences exchanged."""
        return Block(self.second, self.first, self.length)


def blocks(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[Block]:
    """The parts that belong together, in order, none touching the next in both sequences. Pure.

    What was put in or taken out between equal elements could stand in several places; it stands in the last of them,
    whatever else was changed, so that two changes of one place are seen to be that.
    """
    return _slid(one, other, _joined(one, other))


def _joined(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[Block]:
    found: list[Block] = []
    for block in _matches(one, 0, len(one), other, 0, len(other)):
        if found:
            last = found[-1]
            if (last.first + last.length, last.second + last.length) == (block.first, block.second):
                found[-1] = Block(last.first, last.second, last.length + block.length)
                continue
        found.append(block)
    return found


def _slid(one: Sequence[Hashable], other: Sequence[Hashable], found: list[Block]) -> list[Block]:
    following = [Block(len(one), len(other), 0)]
    for before in (*reversed(found), Block(0, 0, 0)):
        after = following[-1]
        first, second, length = before.first + before.length, before.second + before.length, 0
        if (first == after.first) != (second == after.second):
            line, place, end = (other, second, after.second) if first == after.first else (one, first, after.first)
            while length < after.length and line[place + length] == line[end + length]:
                length += 1
        if length:
            following.pop()
            left = Block(after.first + length, after.second + length, after.length - length)
            if left.length or not following:
                following.append(left)
        following.append(Block(before.first, before.second, before.length + length))
    return [block for block in reversed(following) if block.length]


def _matches(
    one: Sequence[Hashable], first: int, first_end: int, other: Sequence[Hashable], second: int, second_end: int
) -> Iterator[Block]:
    """Equal beginnings and ends, and between them what unique elements divide. Recursion ends where none are left."""
    start = 0
    while first + start < first_end and second + start < second_end and one[first + start] == other[second + start]:
        start += 1
    if start:
        yield Block(first, second, start)
        first, second = first + start, second + start
    end = 0
    while (
        first < first_end - end
        and second < second_end - end
        and one[first_end - end - 1] == other[second_end - end - 1]
    ):
        end += 1
    first_end, second_end = first_end - end, second_end - end
    if first < first_end and second < second_end:
        anchors = _anchors(one, first, first_end, other, second, second_end)
        if anchors:
            for left, right in anchors:
                yield from _matches(one, first, left, other, second, right)
                yield Block(left, right, 1)
                first, second = left + 1, right + 1
            yield from _matches(one, first, first_end, other, second, second_end)
        elif (first_end - first) * (second_end - second) <= MOST_COMPARED:
            matcher = SequenceMatcher(None, one[first:first_end], other[second:second_end], autojunk=False)
            for left, right, length in matcher.get_matching_blocks():
                if length:
                    yield Block(first + left, second + right, length)
    if end:
        yield Block(first_end, second_end, end)


def _anchors(
    one: Sequence[Hashable], first: int, first_end: int, other: Sequence[Hashable], second: int, second_end: int
) -> list[tuple[int, int]]:
    """The longest run, in order in both, of elements that occur once in each."""
    counts, other_counts = Counter(one[first:first_end]), Counter(other[second:second_end])
    places = {
        other[index]: index
        for index in range(second, second_end)
        if other_counts[other[index]] == 1 and counts[other[index]] == 1
    }
    pairs = [(index, places[one[index]]) for index in range(first, first_end) if one[index] in places]
    tails: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for number, (_, right) in enumerate(pairs):
        place = bisect_left(tails, right)
        before.append(ends[place - 1] if place else None)
        if place == len(tails):
            tails.append(right)
            ends.append(number)
        else:
            tails[place], ends[place] = right, number
    chosen: list[tuple[int, int]] = []
    at = ends[-1] if ends else None
    while at is not None:
        chosen.append(pairs[at])
        at = before[at]
    return chosen[::-1]
