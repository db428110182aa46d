"""The daemon thread that synchronises by itself, as often as the strategy says."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from core.agentfs.database import now
from core.complaints import Complaints
from core.config import SyncSettings
from core.errors import BailiwickError
from core.events import EventBus
from core.sync.schedule import Schedule
from core.sync.service import SyncService
from core.sync.strategy import Pace, depends_on_network, pace_of
from core.sync_model import NetworkQuality, StrategyChoice, SyncStrategy

_log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
"""So often it is asked whether anything is to be done, where nothing wakes the thread."""
CLOSE_SECONDS = 5.0


class SyncWorker:
    """Owned by the engine. ``start`` and ``stop`` once; the other methods are safe from any thread."""

    def __init__(self, service: SyncService, settings: SyncSettings, bus: EventBus) -> None:
        self._service = service
        self._itself = service.by_itself
        self._settings = settings
        self._schedule = Schedule(time.monotonic())
        self._wake = threading.Event()
        self._noticed = threading.Event()
        self._stopped = threading.Event()
        self._is_syncing = False
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
            self._thread.join(CLOSE_SECONDS)

    def items_changed(self) -> None:
        """Something was committed here."""
        self._noticed.set()
        self.look_again()

    def look_again(self) -> None:
        """How to synchronise may have been changed."""
        self._wake.set()
        if self._is_syncing and self._service.paused:
            self._service.cancel()

    def _run(self) -> None:
        self._noticed.set()
        while not self._stopped.is_set():
            try:
                wait = self._step()
                self._complaints.settle()
            except Exception as error:  # noqa: BLE001 - synchronising goes on after whatever goes wrong once
                self._complaints.about(error)
                moment = time.monotonic()
                self._schedule.ran(moment, moment, received=False, failed=True)
                wait = LOOK_SECONDS
            self._wake.wait(wait)
            self._wake.clear()

    def _step(self) -> float:
        """Do what is due; the answer is how many seconds to wait at most."""
        service = self._service
        if not service.is_set or service.paused:
            # What ended when it was paused is no failure, and what comes after it is due at once.
            self._schedule.is_back()
            self._itself.rest(None)
            return LOOK_SECONDS
        if self._noticed.is_set():
            self._noticed.clear()
            if self._itself.has_changes():
                self._schedule.changed(time.monotonic())
        choice = service.choice()
        if self._is_to_probe(choice):
            return self._probe(choice)
        pace = pace_of(choice.strategy, self._settings)
        moment = time.monotonic()
        due = self._schedule.due_at(pace, moment, self._itself.least_poll_seconds())
        if due is None or due > moment:
            return self._rest(due, moment)
        self._sync(pace)
        return 0.0

    def _sync(self, pace: Pace) -> None:
        changed = self._schedule.first_change is not None
        started = time.monotonic()
        self._is_syncing = True
        try:
            outcome = self._itself.sync(changed=changed, is_ended=self._stopped.is_set)
        except BailiwickError as error:
            _log.info("not synchronised: %s", error.message)
            self._schedule.ran(started, time.monotonic(), received=False, failed=True)
            return
        finally:
            self._is_syncing = False
        moved = bool(outcome.run.sent or outcome.run.received)
        failed = outcome.error is not None
        self._schedule.ran(started, time.monotonic(), received=bool(outcome.run.received), failed=failed)
        if not (changed or moved or failed):
            self._use_quiet_time(pace)

    def _use_quiet_time(self, pace: Pace) -> None:
        """Nothing else is to be done now: what is large moves, and once a day the remote is tidied up."""
        started = time.monotonic()
        self._is_syncing = True
        try:
            while pace.small_only and not (self._stopped.is_set() or self._noticed.is_set()):
                outcome = self._itself.move_large(self._stopped.is_set)
                if outcome is None or outcome.error is not None:
                    break
            if not self._stopped.is_set():
                self._itself.collect_if_due()
        except BailiwickError as error:
            _log.info("quiet time was of no use: %s", error.message)
            self._schedule.ran(started, time.monotonic(), received=False, failed=True)
        finally:
            self._is_syncing = False

    def _is_to_probe(self, choice: StrategyChoice) -> bool:
        """Whether nothing moves by itself, but would on another network, or once there is one."""
        if choice.forced or choice.strategy is not SyncStrategy.ON_DEMAND:
            return False
        return depends_on_network(choice.tier, choice.volume) or choice.network is NetworkQuality.OFFLINE

    def _probe(self, choice: StrategyChoice) -> float:
        """Look whether the remote is there again, or the network better."""
        moment = time.monotonic()
        due = self._schedule.look_due_at(moment)
        if choice.network is not NetworkQuality.OFFLINE and self._schedule.looked_at is not None:
            due = max(due, self._schedule.looked_at + self._settings.adaptive_idle_seconds)
        if due > moment:
            return self._rest(due, moment)
        answers = False
        try:
            answers = self._itself.look()
        except BailiwickError as error:
            _log.info("the remote was not reached: %s", error.message)
        self._schedule.ran(moment, time.monotonic(), received=False, failed=not answers)
        if answers and choice.network is NetworkQuality.OFFLINE:
            self._schedule.is_back()
        return 0.0

    def _rest(self, due: float | None, moment: float) -> float:
        self._itself.rest(now() + timedelta(seconds=due - moment) if due is not None else None)
        return LOOK_SECONDS if due is None else min(due - moment, LOOK_SECONDS)
