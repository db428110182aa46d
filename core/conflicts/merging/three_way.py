"""The three-way merge of sequences: what both sides left alone holds it together, what one side changed is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from core.conflicts.merging.alignment import blocks


class Origin(StrEnum):
    """Who changed a region: nobody, one side, both in the same way, or both differently."""

    UNCHANGED = "unchanged"
    LOCAL = "local"
    REMOTE = "remote"
    SAME = "same"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Region:
    """A part of all three sequences; the regions of a merge, joined, are each of them. ``at`` is its place in base."""

    origin: Origin
    base: tuple[str, ...]
    local: tuple[str, ...]
    remote: tuple[str, ...]
    at: int


def regions(base: Sequence[str], local: Sequence[str], remote: Sequence[str], *, narrow: bool = True) -> list[Region]:
    """Divide the three sequences into regions, in order. Pure; with the sides exchanged it divides them alike.

    Changes that touch belong to one region. What both sides put in at one place is divided where it is equal; with
    ``narrow`` so is what they made of the same part, as far as it begins and ends equally.
    """
    found: list[Region] = []
    at = left = right = 0
    for start, left_start, right_start, length in (
        *_stable(base, local, remote),
        (len(base), len(local), len(remote), 0),
    ):
        sides = tuple(base[at:start]), tuple(local[left:left_start]), tuple(remote[right:right_start])
        found += _divided(*sides, at, narrow)
        if length:
            kept = tuple(base[start : start + length])
            found.append(Region(Origin.UNCHANGED, kept, kept, kept, start))
        at, left, right = start + length, left_start + length, right_start + length
    return found


def _stable(base: Sequence[str], local: Sequence[str], remote: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """The parts of base that both sides left alone: their places in all three, and their length."""
    in_local, in_remote = blocks(base, local), blocks(base, remote)
    one = other = 0
    while one < len(in_local) and other < len(in_remote):
        first, second = in_local[one], in_remote[other]
        start = max(first.first, second.first)
        end = min(first.first + first.length, second.first + second.length)
        if start < end:
            yield start, first.second + start - first.first, second.second + start - second.first, end - start
        if first.first + first.length <= second.first + second.length:
            one += 1
        else:
            other += 1


def _divided(
    base: tuple[str, ...], local: tuple[str, ...], remote: tuple[str, ...], at: int, narrow: bool
) -> list[Region]:
    """The regions of a part that somebody changed."""
    if not (base or local or remote):
        return []
    if local == remote:
        return [Region(Origin.SAME, base, local, remote, at)]
    if local == base:
        return [Region(Origin.REMOTE, base, local, remote, at)]
    if remote == base:
        return [Region(Origin.LOCAL, base, local, remote, at)]
    if not base:
        return _inserted(local, remote, at)
    start = _equal_start(local, remote)
    end = _equal_start(local[start:][::-1], remote[start:][::-1])
    mine, theirs = local[start : len(local) - end], remote[start : len(remote) - end]
    if not (narrow and (start or end)):
        return [Region(Origin.CONFLICT, base, local, remote, at)]
    first = [Region(Origin.SAME, (), local[:start], remote[:start], at)] if start else []
    last = Region(Origin.SAME, (), local[len(local) - end :], remote[len(remote) - end :], at + len(base))
    return [*first, *_divided(base, mine, theirs, at, narrow), *([last] if end else [])]


def _inserted(local: tuple[str, ...], remote: tuple[str, ...], at: int) -> list[Region]:
    """The regions of what both sides put in at one place: what is equal once, and what one has more where it stands.

    Where each has something that the other has not, all of that is in conflict: which goes before which is not known.
    """
    found: list[Region] = []
    left = right = 0
    # Always compared in one direction, so that it makes no difference which side is which.
    common = blocks(local, remote) if local <= remote else [each.turned for each in blocks(remote, local)]
    only_here: set[str] = set()
    only_there: set[str] = set()
    for block in (*common, None):
        left_end, right_end = (block.first, block.second) if block else (len(local), len(remote))
        mine, theirs = local[left:left_end], remote[right:right_end]
        only_here.update(mine)
        only_there.update(theirs)
        if mine and theirs:
            found.append(Region(Origin.CONFLICT, (), mine, theirs, at))
        elif mine or theirs:
            found.append(Region(Origin.LOCAL if mine else Origin.REMOTE, (), mine, theirs, at))
        if block:
            left, right = left_end + block.length, right_end + block.length
            found.append(Region(Origin.SAME, (), local[left_end:left], remote[right_end:right], at))
    if only_here & only_there:
        # The same in another order: taking it from both sides would have it twice.
        return [Region(Origin.CONFLICT, (), local, remote, at)]
    if only_here and only_there:
        return [each if each.origin is Origin.SAME else replace(each, origin=Origin.CONFLICT) for each in found]
    return found


def _equal_start(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count
