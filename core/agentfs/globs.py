"""Whether two path globs can name the same path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

ANY_DEPTH = "**"
ANY_LETTERS = "*"


def normalised(pattern: str) -> str:
    """The pattern with ``/`` between its parts, without ``.`` parts, a trailing ``/`` meaning all that is below."""
    rooted = pattern.startswith("/")
    parts = [part for part in pattern.replace("\\", "/").split("/") if part not in ("", ".")]
    if pattern.endswith("/"):
        parts.append(ANY_DEPTH)
    return ("/" if rooted else "") + "/".join(parts)


def overlap(one: str, other: str) -> bool:
    """Whether some path matches both patterns.

    ``*`` and ``?`` stay within a part, ``[…]`` counts as any one character, ``**`` as any number of parts, none
    included. A relative and an absolute pattern never overlap.
    """
    first, second = normalised(one), normalised(other)
    if first.startswith("/") != second.startswith("/"):
        return False
    return _meet(first.strip("/").split("/"), second.strip("/").split("/"), ANY_DEPTH, _part_overlap)


def _meet(one: Sequence[str], other: Sequence[str], many: str, same: Callable[[str, str], bool]) -> bool:
    """Whether two sequences can stand for one: ``many`` stands for any number of elements, ``same`` compares others.

    ``row[j]`` says it of the elements of ``one`` seen so far and the first ``j`` of ``other``; nothing recurses.
    """
    row = [True]
    for theirs in other:
        row.append(row[-1] and theirs == many)
    for ours in one:
        above, row = row, [row[0] and ours == many]
        for j, theirs in enumerate(other):
            if many in (ours, theirs):
                row.append(above[j + 1] or row[j])
            else:
                row.append(above[j] and same(ours, theirs))
    return row[-1]


@lru_cache(maxsize=4096)
def _part_overlap(one: str, other: str) -> bool:
    return _meet(tokens(one), tokens(other), ANY_LETTERS, lambda ours, theirs: ours == theirs or "?" in (ours, theirs))


def tokens(part: str) -> list[str]:
    """The letters of one part of a pattern; ``?`` stands for a class too, and ``*`` for several."""
    found: list[str] = []
    index = 0
    while index < len(part):
        end = _class_end(part, index)
        if end:
            found.append("?")
        elif not (part[index] == ANY_LETTERS and found and found[-1] == ANY_LETTERS):
            found.append(part[index])
        index = end or index + 1
    return found


def _class_end(part: str, start: int) -> int:
    """Where a ``[…]`` that begins at ``start`` ends, 0 when none does; a ``]`` that comes first belongs to it."""
    if part[start] != "[":
        return 0
    first = start + (2 if part.startswith("[!", start) else 1)
    return part.find("]", first + 1) + 1
