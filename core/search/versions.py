"""The version that is nearest to the one asked for, so that a replacement can be named and is never silent."""

from __future__ import annotations

import re
from collections.abc import Sequence

from packaging.version import InvalidVersion, Version


def nearest_version(asked: str, available: Sequence[str]) -> str | None:
    """The one of ``available`` that comes nearest to ``asked``: equal, else of the longest common prefix, else older.

    ``None`` when nothing is available. Works for PEP 440 versions and, by their numbers, for any others.
    """
    named = [version for version in available if version]
    if not named:
        return None
    wanted = _key(asked)

    def closeness(version: str) -> tuple[int, int, tuple[int, ...]]:
        key = _key(version)
        common = 0
        for left, right in zip(wanted, key, strict=False):
            if left != right:
                break
            common += 1
        older = key <= wanted or common == len(wanted)
        direction = tuple(number if older else -number for number in key)
        return common, int(older), direction

    return max(named, key=closeness)


def same_version(left: str, right: str) -> bool:
    """Whether two spellings name one version: ``v1.2`` and ``1.2.0`` do."""
    try:
        return Version(left) == Version(right)
    except InvalidVersion:
        return left.strip().lower().removeprefix("v") == right.strip().lower().removeprefix("v")


def _key(version: str) -> tuple[int, ...]:
    try:
        return Version(version).release
    except InvalidVersion:
        return tuple(int(number) for number in re.findall(r"\d+", version))
