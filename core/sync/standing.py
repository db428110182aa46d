"""How synchronising stands, read from the workspace alone: no request is made, and no file of the remote is read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text
from core.config import Settings
from core.errors import BailiwickError
from core.sync.budget import used_up
from core.sync.choosing import StrategyChooser
from core.sync.history import SyncHistory, activity_of, transfers_of
from core.sync.prices import FREE
from core.sync.remote_link import RemoteLink
from core.sync.sync_lock import is_synchronising
from core.sync.tables import SyncTables
from core.sync_model import (
    Area,
    AreaKind,
    AreaStatus,
    DeviceStatus,
    NetworkQuality,
    NetworkSample,
    Spending,
    SyncActivity,
    SyncStatus,
)

PAUSED, ASKS, PROBLEM = "sync.paused", "sync.asks", "sync.problem"
"""Settings: whether a person paused, the question of a safety brake, and what is wrong with its cure."""
_STORED_SECONDS = 60.0


class Standing:
    """Safe from any thread and process."""

    def __init__(
        self,
        agentfs: AgentFS,
        settings: Settings,
        tables: SyncTables,
        history: SyncHistory,
        link: RemoteLink,
        chooser: StrategyChooser,
    ) -> None:
        self._agentfs = agentfs
        self._settings = settings
        self._tables = tables
        self._history = history
        self._link = link
        self._chooser = chooser
        self._stored = (float("-inf"), 0)

    @property
    def paused(self) -> bool:
        """Whether a person paused synchronising."""
        return self._agentfs.settings.get(PAUSED) is True

    @property
    def asks(self) -> str:
        """The question of a safety brake that waits for an answer, empty where none does."""
        return str(self._agentfs.settings.get(ASKS) or "")

    def read(self, next_at: datetime | None) -> SyncStatus:
        """All of it; ``next_at`` is when this process looks next, where it is the one that does."""
        remote = self._link.status()
        if not remote.url:
            return SyncStatus(SyncActivity.NO_REMOTE, remote)
        from core.conflicts.records import ConflictStore

        told, samples, asks = self._history.told(), self._history.samples(), self.asks
        spending, problem = self.spending(), self._problem()
        if problem is None and spending.stopped:
            problem = used_up(spending)
        activity = self._activity(told, samples, is_stopped=bool(asks or problem))
        waits = activity in (SyncActivity.IDLE, SyncActivity.OFFLINE)
        known_next = next_at or (from_text(told["next_at"]) if told.get("next_at") else None)
        return SyncStatus(
            activity,
            remote,
            self._chooser.current(),
            tuple(self._area(area) for area in self._tables.areas()),
            transfers_of(told) if activity is SyncActivity.SYNCING else (),
            tuple(self._devices()),
            samples,
            self._history.runs(),
            spending,
            known_next if waits else None,
            ConflictStore(self._agentfs).count_open(),
            problem.message if problem is not None else "",
            problem.hint if problem is not None else "",
            asks,
            self._history.choices(),
        )

    def spending(self) -> Spending:
        """What this month cost so far, and may cost."""
        return self._link.budget.spending(self._stored_bytes())

    def settled(self, problem: str = "", cure: str = "") -> bool:
        """Remember what keeps the sync from going on, or that nothing does: then no question waits either.

        Says whether that is news.
        """
        self._stored = (float("-inf"), 0)
        known = self._agentfs.settings.get(PROBLEM)
        is_news = known != [problem, cure] and bool(problem or known is not None)
        if is_news:
            self._agentfs.settings.put(PROBLEM, [problem, cure])
        if not problem and self._agentfs.settings.get(ASKS):
            self._agentfs.settings.put(ASKS, "")
            is_news = True
        return is_news

    def _problem(self) -> BailiwickError | None:
        known = self._agentfs.settings.get(PROBLEM)
        if not isinstance(known, list) or len(known) != 2 or not known[0]:
            return None
        return BailiwickError(str(known[0]), str(known[1]))

    def _activity(
        self, told: dict[str, object], samples: tuple[NetworkSample, ...], *, is_stopped: bool
    ) -> SyncActivity:
        if activity_of(told) is SyncActivity.SYNCING and is_synchronising(self._agentfs.root):
            return SyncActivity.SYNCING
        if self.paused:
            return SyncActivity.PAUSED
        if samples and samples[-1].quality is NetworkQuality.OFFLINE:
            return SyncActivity.OFFLINE
        return SyncActivity.STOPPED if is_stopped else SyncActivity.IDLE

    def _area(self, area: Area) -> AreaStatus:
        count, size = self._tables.pending_counts(area.id)
        if area.kind is AreaKind.USER:
            # While the remote is away nothing is scanned, and what changed waits all the same.
            more, larger = self._tables.unscanned_counts(area.id, self._settings.user.id)
            count, size = count + more, size + larger
        synced_at, problem = self._tables.synced(area.id)
        commits = self._tables.position(area.id).seq
        return AreaStatus(area, commits, count, size, self._tables.missing_counts(area.id)[0], synced_at, problem)

    def _devices(self) -> Iterator[DeviceStatus]:
        from core.sync.audit_heads import own_trail_problem

        for each in self._tables.devices():
            own = each.id == self._agentfs.device
            problem = own_trail_problem(self._agentfs) if own else ""
            yield replace(each, is_this=own, problem=problem or each.problem)

    def _stored_bytes(self) -> int:
        if self._link.budget.prices == FREE:
            return 0
        read_at, size = self._stored
        if time.monotonic() - read_at > _STORED_SECONDS:
            size = self._tables.stored_bytes()
            self._stored = (time.monotonic(), size)
        return size
