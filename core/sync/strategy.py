"""Which strategy fits: strategy.md's match over tier, network and volume, made total, as one table.

The first row that fits decides. Rows 2 to 5 are strategy.md's. Row 1 comes before them, for nothing can be moved while
nothing answers; row 6 is the case that strategy.md leaves open, a pro user on a poor network with little to move.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.config import SyncSettings
from core.sync_model import DataVolume, NetworkQuality, SyncStrategy, UserTier


@dataclass(frozen=True, slots=True)
class Row:
    """``None`` fits everything."""

    tier: UserTier | None
    network: NetworkQuality | None
    volume: DataVolume | None
    strategy: SyncStrategy
    reason: str


_FREE, _PRO = UserTier.FREE, UserTier.PRO
_HIGH = DataVolume.HIGH
_EXCELLENT, _GOOD, _OFFLINE = NetworkQuality.EXCELLENT, NetworkQuality.GOOD, NetworkQuality.OFFLINE
_REALTIME, _ADAPTIVE, _ON_DEMAND = SyncStrategy.REALTIME, SyncStrategy.ADAPTIVE, SyncStrategy.ON_DEMAND

TABLE: tuple[Row, ...] = (
    Row(
        None, _OFFLINE, None, _ON_DEMAND, "Nothing answers: what changes here is kept until the remote is there again."
    ),
    Row(_PRO, _EXCELLENT, None, _REALTIME, "Tier pro on an excellent network: everything moves at once."),
    Row(_PRO, _GOOD, None, _ADAPTIVE, "Tier pro on a good network: changes move soon, large files when there is time."),
    Row(None, None, _HIGH, _ON_DEMAND, "Much waits to be moved: it moves when you ask for it."),
    Row(_FREE, None, None, _ADAPTIVE, "Tier free: changes move soon, large files when there is time."),
    Row(_PRO, None, None, _ADAPTIVE, "The network is poor: changes move soon, large files when there is time."),
)


def determine_strategy(tier: UserTier, network: NetworkQuality, volume: DataVolume) -> Row:
    """The row that decides. Pure."""
    return next(
        row
        for row in TABLE
        if row.tier in (None, tier) and row.network in (None, network) and row.volume in (None, volume)
    )


def volume_of(waiting_bytes: int, settings: SyncSettings) -> DataVolume:
    """How much ``waiting_bytes`` are."""
    return DataVolume.HIGH if waiting_bytes > settings.high_volume_mb * 1_000_000 else DataVolume.LOW


@dataclass(frozen=True, slots=True)
class Pace:
    """How a strategy runs.

    What changes here is sent once nothing more changed for ``batch_seconds``, or the first of it waits for
    ``longest_batch_seconds``. The remote is asked every ``poll_seconds`` while something comes from there, and at least
    every ``idle_seconds``. ``small_only``: files up to ``sync.small_kb`` move at once, larger ones when nothing else
    does. ``by_itself``: without being asked. ``by_rate``: how often the remote is asked follows from how often
    something came, instead of ten minutes at full pace and half of it after each look that found nothing.
    """

    batch_seconds: float
    longest_batch_seconds: float
    poll_seconds: float
    idle_seconds: float
    small_only: bool
    by_itself: bool = True
    by_rate: bool = False


def pace_of(strategy: SyncStrategy, settings: SyncSettings) -> Pace:
    """The pace of ``strategy``."""
    match strategy:
        case SyncStrategy.REALTIME:
            return Pace(
                settings.realtime_batch_seconds,
                settings.realtime_batch_seconds,
                settings.realtime_poll_seconds,
                settings.realtime_idle_seconds,
                small_only=False,
            )
        case SyncStrategy.ADAPTIVE:
            return Pace(
                settings.adaptive_batch_seconds,
                settings.adaptive_longest_batch_seconds,
                settings.adaptive_poll_seconds,
                settings.adaptive_idle_seconds,
                small_only=True,
                by_rate=True,
            )
        case _:
            return Pace(0, 0, 0, 0, small_only=True, by_itself=False)


def depends_on_network(tier: UserTier, volume: DataVolume) -> bool:
    """Whether on another network something would move by itself that does not move on this one."""
    return any(
        determine_strategy(tier, network, volume).strategy is not SyncStrategy.ON_DEMAND for network in NetworkQuality
    )
