"""Whether two path globs can name the same path."""

from __future__ import annotations

from functools import lru_cache

ANY_DEPTH = "**"


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
    return _parts_overlap(tuple(first.strip("/").split("/")), tuple(second.strip("/").split("/")))


@lru_cache(maxsize=4096)
def _parts_overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one and not other:
        return True
    if one and one[0] == ANY_DEPTH:
        return _parts_overlap(one[1:], other) or (bool(other) and _parts_overlap(one, other[1:]))
    if other and other[0] == ANY_DEPTH:
        return _parts_overlap(other, one)
    if not one or not other:
        return False
    return _part_overlap(_tokens(one[0]), _tokens(other[0])) and _parts_overlap(one[1:], other[1:])


@lru_cache(maxsize=4096)
def _part_overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one and not other:
        return True
    if one and one[0] == "*":
        return _part_overlap(one[1:], other) or (bool(other) and _part_overlap(one, other[1:]))
    if other and other[0] == "*":
        return _part_overlap(other, one)
    if not one or not other:
        return False
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _part_overlap(one[1:], other[1:])


def _tokens(part: str) -> tuple[str, ...]:
    tokens: list[str] = []
    index = 0
    while index < len(part):
        end = part.find("]", index + 2) if part[index] == "[" else -1
        if end > 0:
            tokens.append("?")
            index = end + 1
        else:
            if not (part[index] == "*" and tokens and tokens[-1] == "*"):
                tokens.append(part[index])
            index += 1
    return tuple(tokens)
