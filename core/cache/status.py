"""What the cache tells of itself, for panes, commands and the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    """Where something is kept, the fastest first."""

    MEMORY = "memory"
    RECENT = "recent"
    """Small values in AgentFS."""
    FILES = "files"


@dataclass(frozen=True, slots=True)
class TierStatus:
    """One tier. ``size`` and ``bound`` are bytes; ``hits`` are reads that it answered, ``evictions`` what gave way.

    What gives way in a faster tier may still be in a slower one.
    """

    tier: Tier
    entries: int
    size: int
    bound: int
    hits: int
    evictions: int


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """The whole cache. Counts go back to the first use of the workspace, all processes together.

    ``damaged`` were dropped when their hash did not fit; ``offline`` are reads answered while the remote was not
    reached. ``problem`` is why nothing new could be kept when that was last tried, empty where it could.
    """

    tiers: tuple[TierStatus, ...]
    misses: int
    damaged: int
    offline: int
    pinned: int
    pinned_bytes: int
    problem: str = ""

    @property
    def hits(self) -> int:
        """Reads that any tier answered."""
        return sum(each.hits for each in self.tiers)

    @property
    def reads(self) -> int:
        """All reads."""
        return self.hits + self.misses

    def hit_rate(self, tier: Tier | None = None) -> float | None:
        """The share of all reads, 0..1, that ``tier`` or any tier answered; ``None`` before the first read."""
        hits = self.hits if tier is None else self[tier].hits
        return hits / self.reads if self.reads else None

    def __getitem__(self, tier: Tier) -> TierStatus:
        return next(each for each in self.tiers if each.tier is tier)


@dataclass(frozen=True, slots=True)
class CacheCheck:
    """What a look at everything kept on the disk found; what was damaged is dropped already."""

    entries: int
    size: int
    damaged: int
