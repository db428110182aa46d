"""Taking away what nothing names any more: announced in the log, deleted after a time of grace.

The announcement is a commit, so it stands in one order with every other: whoever commits after it has read it, and
sends again what it would have named. Areas are not ordered among each other, so nothing here looks beyond one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agentfs.database import now
from core.ids import new_id
from core.model import JSONValue
from core.remote.store import ObjectInfo, ObjectStore
from core.sync.approval import REQUESTS
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.commit import Operation
from core.sync.outbox import Draft
from core.sync.tables import SyncTables
from core.sync_model import Change

GRACE_HOURS = 72.0
MOST_SKEW_SECONDS = 300.0
_MOST_ANNOUNCED = 2000


@dataclass(frozen=True, slots=True)
class Reclaimable:
    """What an area holds that nothing names: ``objects`` and ``bytes`` in all, ``ready`` those whose time is over.

    ``next_at`` is when the next may be deleted, ``waits`` a sentence where something keeps collecting from going on.
    """

    area: str
    objects: int
    bytes: int
    ready: int
    next_at: datetime | None = None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one step of collecting did: objects announced in the log, objects and bytes deleted."""

    announced: int
    deleted: int
    bytes: int
    left: Reclaimable


def reclaimable(store: ObjectStore, area: AreaSync, *, grace_hours: float = GRACE_HOURS) -> Reclaimable:
    """What could be taken away in ``area``; lists its objects (one class A operation per 1,000) and changes nothing."""
    return _looked(area.tables, area.area.id, list(_unnamed(store, area)), grace_hours, _skew(store))


def collect(store: ObjectStore, area: AreaSync, *, grace_hours: float = GRACE_HOURS) -> Collected:
    """Announce in the log what nothing names; delete what was announced ``grace_hours`` ago and is unnamed still.

    What was uploaded within the time of grace may belong to a commit that is still to come, and is left alone; where
    this machine's clock and the store's differ by more than five minutes, ages are not told and nothing is touched.
    """
    tables, area_id = area.tables, area.area.id
    area.pull(AreaResult())
    unnamed = list(_unnamed(store, area))
    skew = _skew(store)
    left = _looked(tables, area_id, unnamed, grace_hours, skew)
    if left.waits:
        return Collected(0, 0, 0, left)
    grace = timedelta(hours=grace_hours)
    announced = tables.collected(area_id)
    due = [each for each in unnamed if each.key in announced and now() - announced[each.key] >= grace]
    store.delete([each.key for each in due])
    tables.forget_collected(area_id, [each.key for each in due])
    old = {each.key for each in unnamed if each.key not in announced and _age(each, skew) >= grace}

    def build() -> Sequence[Draft]:
        # A commit that came first may name some of them now.
        keys = sorted(old - tables.objects(area_id) - tables.collected(area_id).keys())[:_MOST_ANNOUNCED]
        if not keys:
            return []
        header: dict[str, JSONValue] = {"keys": list(keys)}
        return [Draft(Operation(f"collect/{new_id()}", Change.COLLECT, None, None, "collect", "", header))]

    before = len(tables.collected(area_id))
    while area.commit(build, AreaResult()):
        pass
    count = len(tables.collected(area_id)) - before
    gone = {each.key for each in due}
    rest = [each for each in unnamed if each.key not in gone]
    return Collected(count, len(due), sum(each.size for each in due), _looked(tables, area_id, rest, grace_hours, skew))


def sweep_temporary(store: ObjectStore, *, older_than_hours: float = 24.0) -> int:
    """Delete what uploads and probes that never ended left under ``temp/``, and requests to join that nobody answers.

    Returns how many objects.
    """
    skew = _skew(store)
    if abs(skew.total_seconds()) > MOST_SKEW_SECONDS:
        return 0
    old = [
        each.key
        for prefix in ("temp/", REQUESTS)
        for each in _listed(store, prefix)
        if _age(each, skew) >= timedelta(hours=older_than_hours)
    ]
    store.delete(old)
    return len(old)


def _unnamed(store: ObjectStore, area: AreaSync) -> Iterator[ObjectInfo]:
    named = area.tables.objects(area.area.id)
    for each in _listed(store, f".bailiwick/blobs/{area.area.id}/"):
        if each.key not in named:
            yield each


def _listed(store: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
    after = ""
    while page := store.list(prefix, after=after):
        yield from page
        after = page[-1].key


def _skew(store: ObjectStore) -> timedelta:
    """How far the store's clock is ahead of this machine's."""
    key = f"temp/clock-{new_id()}"
    store.put(key, b"")
    try:
        found = store.head(key)
        return found.modified - now() if found is not None else timedelta()
    finally:
        store.delete([key])


def _age(info: ObjectInfo, skew: timedelta) -> timedelta:
    return now() + skew - info.modified


def _looked(
    tables: SyncTables, area: str, unnamed: Sequence[ObjectInfo], grace_hours: float, skew: timedelta
) -> Reclaimable:
    announced, grace = tables.collected(area), timedelta(hours=grace_hours)
    due_at = [announced[each.key] + grace for each in unnamed if each.key in announced]
    waits = ""
    if abs(skew.total_seconds()) > MOST_SKEW_SECONDS:
        waits = f"This machine's clock and the remote's differ by {abs(skew.total_seconds()):,.0f} seconds."
    return Reclaimable(
        area,
        len(unnamed),
        sum(each.size for each in unnamed),
        sum(moment <= now() for moment in due_at),
        min(due_at, default=None),
        waits,
    )
