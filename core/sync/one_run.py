"""One sync over all areas: what it moved, what it cost, and what went wrong in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.agentfs.database import now
from core.errors import BailiwickError, RemoteRefused, RemoteUnreachable
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.budget import BudgetUsed
from core.sync.moving import SyncCancelled
from core.sync.outbox import AsksFirst
from core.sync.prices import PriceList
from core.sync.pulling import FetchPolicy
from core.sync.tables import SyncTables
from core.sync_model import SyncRun, SyncStrategy

_ENDS = (RemoteUnreachable, RemoteRefused, SyncCancelled, BudgetUsed)
"""What concerns every area."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that ended; ``error`` is what keeps the sync from going on, apart from what is wrong with single items."""

    run: SyncRun
    error: BailiwickError | None


def run_areas(
    store: ObjectStore,
    areas: Callable[[], list[AreaSync]],
    tables: SyncTables,
    work: Callable[[AreaSync, AreaResult], None],
    why: str,
    strategy: SyncStrategy,
    prices: PriceList,
) -> Outcome:
    """Have ``work`` done in each of ``areas``, which may raise as it does; an area that cannot go on holds up no other.

    Raises nothing that a person may see: that is in the answer.
    """
    started, at, before = now(), time.monotonic(), store.meter.total()
    total = AreaResult()
    error: BailiwickError | None = None
    try:
        for area in areas():
            try:
                work(area, total)
            except AsksFirst as asks:
                error = error or asks
            except _ENDS:
                raise
            except BailiwickError as wrong:
                tables.set_problem(area.area.id, f"{wrong.message} {wrong.hint}".strip())
                error = error or wrong
    except BailiwickError as end:
        error = end
    problem, cure = ("", "") if error is None else (error.message, error.hint)
    used = store.meter.total() - before
    run = SyncRun(
        started,
        time.monotonic() - at,
        why,
        strategy,
        total.sent,
        total.received,
        total.conflicts,
        used,
        prices.cost(used),
        problem or next(iter(total.problems), ""),
        cure,
    )
    return Outcome(run, error)


def level(policy: FetchPolicy, *, approved: bool) -> Callable[[AreaSync, AreaResult], None]:
    """The work of a usual sync: each area level, both ways."""

    def work(area: AreaSync, total: AreaResult) -> None:
        result = area.run(policy, approved=approved)
        total.sent += result.sent
        total.received += result.received
        total.conflicts += result.conflicts
        total.problems += result.problems

    return work
