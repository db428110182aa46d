"""The daemon thread that synchronises by itself, as often as the strategy says."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from core.agentfs.database import now
from core.complaints import Complaints
from core.config import SyncSettings
from core.errors import BailiwickError
from core.events import EventBus
from core.sync.service import POLL, SyncService
from core.sync.strategy import Pace, pace_of
from core.sync_model import NetworkQuality, SyncRun

_log = logging.getLogger(__name__)
RECENT_SECONDS = 600.0
"""While a device was active for so long, the remote is asked often."""
LONGEST_BACK_OFF = 300.0


@dataclass(slots=True)
class Schedule:
    """When the next sync is due; pure but for the jitter, and told the time by whoever asks.

    All moments are seconds of one clock. A local change is collected for the pace's batch seconds, the remote is asked
    every poll seconds while something happens, and twice as seldom after each look that found nothing.
    """

    jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1)
    changed_at: float | None = None
    looked_at: float | None = None
    active_at: float | None = None
    quiet_looks: int = 0
    failures: int = 0

    def changed(self, moment: float) -> None:
        """Something changed here."""
        if self.changed_at is None:
            self.changed_at = moment

    def ran(self, moment: float, *, moved: bool, failed: bool) -> None:
        """A sync ended."""
        self.looked_at = moment
        self.failures = self.failures + 1 if failed else 0
        if not failed:
            self.changed_at = None
        if moved:
            self.active_at = moment
            self.quiet_looks = 0
        else:
            self.quiet_looks += 1

    def due_at(self, pace: Pace, moment: float) -> float | None:
        """When to sync next, ``None`` while nothing happens by itself."""
        if not pace.by_itself:
            return None
        if self.looked_at is None:
            return moment
        if self.failures:
            wait = min(LONGEST_BACK_OFF, pace.poll_seconds * 2.0**self.failures)
            return self.looked_at + wait * self.jitter()
        poll = self.looked_at + self._poll_seconds(pace, moment) * self.jitter()
        if self.changed_at is None:
            return poll
        return min(poll, self.changed_at + pace.batch_seconds)

    def _poll_seconds(self, pace: Pace, moment: float) -> float:
        if self.active_at is not None and moment - self.active_at < RECENT_SECONDS:
            return pace.poll_seconds
        return min(pace.idle_seconds, pace.poll_seconds * 2.0 ** min(self.quiet_looks, 16))


class SyncWorker:
    """Owned by the engine. ``start`` and ``stop`` once; the other methods are safe from any thread."""

    def __init__(self, service: SyncService, settings: SyncSettings, bus: EventBus) -> None:
        self._service = service
        self._settings = settings
        self._schedule = Schedule()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._complaints = Complaints(bus, _log, "Synchronising stopped")
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what moves ends where it is, and goes on next time."""
        self._stopped.set()
        self._wake.set()
        self._service.cancel()
        if self._thread.is_alive():
            self._thread.join(5)

    def items_changed(self) -> None:
        """Something was committed here."""
        self._schedule.changed(time.monotonic())
        self._wake.set()

    def look_again(self) -> None:
        """How to synchronise may have been changed."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                wait = self._step()
                self._complaints.settle()
            except Exception as error:  # noqa: BLE001 - synchronising goes on after whatever goes wrong once
                self._complaints.about(error)
                self._schedule.ran(time.monotonic(), moved=False, failed=True)
                wait = 5.0
            self._wake.wait(wait)
            self._wake.clear()

    def _step(self) -> float:
        """Sync if that is due; the answer is how many seconds to wait at most."""
        service = self._service
        if not service.is_set or service.paused:
            service.next_at = None
            return 5.0
        moment = time.monotonic()
        due = self._schedule.due_at(self._pace(), moment)
        if due is None:
            service.next_at = None
            return 5.0
        if due > moment:
            service.next_at = now() + timedelta(seconds=due - moment)
            return min(due - moment, 5.0)
        local = self._schedule.changed_at is not None
        run = self._sync("changes here" if local else POLL)
        moved = run is not None and bool(run.sent or run.received)
        self._schedule.ran(time.monotonic(), moved=moved, failed=run is None or bool(run.problem))
        return 0.0

    def _pace(self) -> Pace:
        choice = self._service.choice()
        pace = pace_of(choice.strategy, self._settings)
        if choice.network is NetworkQuality.OFFLINE and not choice.forced:
            # Somebody has to notice that the remote is there again: the schedule's back-off asks now and then.
            return Pace(self._settings.adaptive_batch_seconds, 30, 30, small_only=True)
        return pace

    def _sync(self, why: str) -> SyncRun | None:
        try:
            return self._service.sync_now(why)
        except BailiwickError as error:
            _log.info("not synchronised: %s", error.message)
            return None
