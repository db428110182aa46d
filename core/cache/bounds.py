"""How much each tier may hold."""

from __future__ import annotations

from dataclasses import dataclass

from core.model import ResourceLimits

MEBIBYTE = 2**20
SMALL = 64 * 1024
"""Bytes up to which a value is kept in AgentFS and goes to memory at once; larger ones do when they are read again."""
MOST_RECENT_MB = 64
FILES_TO_MEMORY = 4
RESERVE = 0.1
"""The share of the machine's memory that the memory tier leaves to others."""


@dataclass(frozen=True, slots=True)
class CacheBounds:
    """The most bytes of each tier."""

    memory: int
    recent: int
    files: int


def bounds_of(limits: ResourceLimits, *, memory_mb: int = 0, recent_mb: int = 0, files_mb: int = 0) -> CacheBounds:
    """The bounds that settings give in MiB; 0 is what the hardware's ``limits`` say. Pure."""
    memory = memory_mb or limits.cache_size_mb
    recent = recent_mb or min(MOST_RECENT_MB, max(1, limits.cache_size_mb // 4))
    files = files_mb or limits.cache_size_mb * FILES_TO_MEMORY
    return CacheBounds(memory * MEBIBYTE, recent * MEBIBYTE, files * MEBIBYTE)


def memory_allowed(bound: int, held: int, available: int, total: int) -> int:
    """How many bytes the memory tier may hold now.

    ``held`` are those it holds; ``available`` and ``total`` are the machine's memory. It may grow into what is
    available beyond a reserve, and gives back what is lacking of that. Pure.
    """
    spare = available - int(total * RESERVE)
    return max(0, min(bound, held + spare))
