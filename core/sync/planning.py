"""What a sync would do, and what it would cost at most, told before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from core.agentfs.agentfs import AgentFS
from core.sync.area_sync import AreaSync
from core.sync.log_reading import AHEAD
from core.sync.outbox import AsksFirst
from core.sync.planner import Step
from core.sync.prices import PriceList
from core.sync.pulling import PUBLISHED, FetchPolicy, Foreseen
from core.sync.segments import SEGMENT
from core.sync.sending import PACK, SMALL
from core.sync.tables import SyncTables
from core.sync_model import AreaKind, Change, Direction, Operations, PlannedChange, SyncPlan

_COMMIT = 500
"""So many changes fit into a commit, however long their headers are."""


def planned(areas: Sequence[AreaSync], prices: PriceList, policy: FetchPolicy) -> SyncPlan:
    """The plan of a sync of ``areas`` at ``prices``; reads their logs, changes nothing but the outbox.

    The operations are an upper bound, as long as nobody else commits meanwhile.
    """
    changes: list[PlannedChange] = []
    operations = Operations()
    asks = ""
    for area in areas:
        foreseen = area.foresee(policy)
        up = list(area.outbox.changes())
        changes += [*_down(area, foreseen), *up]
        reads, read = foreseen.reads(), foreseen.commits
        # Where both sides differ, a record and what is made of both go up, and what both were made of is read.
        differing = foreseen.differing
        commits = ceil((len(up) + differing) / _COMMIT)
        operations += Operations(
            class_a=_objects(area.area.kind, up, commits) + 2 * differing + commits + _segments(area, read, commits),
            # The log is read to its end, a little beyond where much is new, and again after each commit.
            class_b=len(reads) + differing + read + min(read, AHEAD) + 3 + 3 * commits,
            bytes_up=sum(each.size for each in up),
            bytes_down=sum(span.end - span.first for span in reads),
        )
        try:
            area.outbox.brake()
        except AsksFirst as question:
            asks = asks or question.message
    return SyncPlan(tuple(changes), operations, prices.cost(operations), asks)


def _down(area: AreaSync, foreseen: Foreseen) -> Iterator[PlannedChange]:
    for path, (incoming, step) in foreseen.steps.items():
        change = Change.CONFLICT if step is Step.CONFLICT else incoming.operation.change
        yield PlannedChange(area.area.id, Direction.DOWN, change, path, incoming.operation.size)


def _objects(kind: AreaKind, up: Sequence[PlannedChange], commits: int) -> int:
    """How many objects at most content is put into: for one's own devices packed, for others each in one of its own."""
    sent = [each for each in up if each.change is Change.PUT]
    if kind is not AreaKind.USER:
        # What everybody may read lies at a readable key besides.
        return len(sent) * (2 if kind is AreaKind.SHARED else 1)
    small = sum(each.size for each in sent if each.size < SMALL)
    return small // PACK + commits + sum(each.size >= SMALL for each in sent)


def _segments(area: AreaSync, read: int, commits: int) -> int:
    """How many segments the log may be cut into meanwhile."""
    seq = area.tables.position(area.area.id).seq + read
    return (seq + commits) // SEGMENT - seq // SEGMENT


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
