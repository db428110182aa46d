"""What a sync would do, and what it would cost at most, told before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from core.agentfs.agentfs import AgentFS
from core.sync.area_sync import AreaSync, AsksFirst
from core.sync.fetching import spans
from core.sync.log_reading import AHEAD
from core.sync.prices import PriceList
from core.sync.pulling import PUBLISHED, FetchPolicy
from core.sync.sending import PACK, SMALL
from core.sync.tables import SyncTables
from core.sync_model import Change, Direction, Operations, PlannedChange, SyncPlan

_COMMIT = 2000


def planned(areas: Sequence[AreaSync], prices: PriceList, policy: FetchPolicy) -> SyncPlan:
    """The plan of a sync of ``areas`` at ``prices``; reads their logs, changes nothing but the outbox.

    The operations are an upper bound, as long as nobody else commits meanwhile.
    """
    changes: list[PlannedChange] = []
    operations = Operations()
    asks = ""
    for area in areas:
        down = list(area.incoming(policy))
        up = list(area.outgoing())
        changes += [each for each, _ in down] + up
        reads = spans([place for _, place in down if place is not None])
        small = sum(each.size for each in up if each.size < SMALL)
        large = sum(each.size >= SMALL for each in up)
        commits = ceil(len(up) / _COMMIT)
        operations += Operations(
            class_a=ceil(small / PACK) + large + commits,
            # The log is read to its end, a little beyond where much is new, and again after each commit.
            class_b=len(reads) + area.unread() + min(area.unread(), AHEAD) + 2 + 2 * commits,
            bytes_up=sum(each.size for each in up),
            bytes_down=sum(span.end - span.first for span in reads),
        )
        try:
            area.brake()
        except AsksFirst as question:
            asks = asks or question.message
    return SyncPlan(tuple(changes), operations, prices.cost(operations), asks)


def queued(agentfs: AgentFS, tables: SyncTables, limit: int) -> tuple[PlannedChange, ...]:
    """What waits to go up, then what is known but was not fetched, at most ``limit`` of each."""
    return tuple(_queued(agentfs, tables, limit))


def _queued(agentfs: AgentFS, tables: SyncTables, limit: int) -> Iterator[PlannedChange]:
    areas = tables.areas()
    for area in areas:
        for each in tables.pending(area.id, limit):
            gone = tables.base(area.id, each.path) is not None and agentfs.items.at_path(each.path) is None
            change = Change.DELETE if gone and not each.path.startswith("agents/") else Change.PUT
            yield PlannedChange(area.id, Direction.UP, change, each.path, each.size)
    for area in areas:
        for known in tables.not_fetched(area.id, limit, besides=PUBLISHED):
            yield PlannedChange(area.id, Direction.DOWN, Change.PUT, known.path, known.size, "not fetched")
