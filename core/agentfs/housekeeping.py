"""What time itself changes: expired states and leases, the line for places, the signed head, old records and files."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.complaints import Complaints
from core.errors import BailiwickError, ConfigurationError
from core.events import EventBus, Notice

if TYPE_CHECKING:
    from core.privacy import PrivacyRules

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 1.0
SIGN_SECONDS = 5.0
ARCHIVE_SECONDS = 3600.0
SWEEP_SECONDS = 300.0
JUDGING_SECONDS = 0.5
FIRST_JUDGING_SECONDS = 2.0


class Housekeeper:
    """A daemon thread of the engine; without one, the next process that asks finds expired things expired all the same.

    ``retention_days`` is how long audit records stay in the database, 0 for ever. ``upkeep`` is done about once a
    second too.
    """

    def __init__(
        self, agentfs: AgentFS, bus: EventBus, retention_days: int, upkeep: Callable[[], None] = lambda: None
    ) -> None:
        self._agentfs = agentfs
        self._bus = bus
        self._retention = timedelta(days=retention_days)
        self._upkeep = upkeep
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._next_sign = 0.0
        self._next_archive = 0.0
        self._next_sweep = 0.0
        self._complaint = ""
        self._complaints = Complaints(bus, _log, "Housekeeping was put off")
        self._rules: PrivacyRules | None = None
        self._rules_complaint = ""
        self._sealed = 0
        self._judging_done = False
        self._first_judging = 0.0

    def start(self) -> None:
        """Begin."""
        self._first_judging = time.monotonic() + FIRST_JUDGING_SECONDS
        self._thread.start()

    def stop(self) -> None:
        """End the thread, waiting two seconds at most, and sign the head a last time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)
            self._once(self._sign)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._once(self._tidy)
            self._once(self._reclassify)
            self._once(self._upkeep)
            self._stop.wait(INTERVAL_SECONDS)

    def _once(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except BailiwickError as error:
            _log.warning("housekeeping was put off: %s", error.message)
        except Exception as error:  # noqa: BLE001 - the other duties, and this one later, are to be done all the same
            self._complaints.about(error)

    def _tidy(self) -> None:
        self._agentfs.leases.end_expired()
        self._agentfs.states.expire()
        self._agentfs.agents.places.admit_waiting()
        moment = time.monotonic()
        if moment >= self._next_sign:
            self._next_sign = moment + SIGN_SECONDS
            self._sign()
        if moment >= self._next_sweep:
            self._next_sweep = moment + SWEEP_SECONDS
            self._agentfs.contents.sweep()
        if self._retention and moment >= self._next_archive:
            self._next_archive = moment + ARCHIVE_SECONDS
            self._agentfs.audit_check.archive.archive(now() - self._retention, by=self._agentfs.agents.engine)

    def look_again(self) -> None:
        """The keys were unlocked: judge what waited for them."""
        self._agentfs.reclassifier.look_again()
        self._judging_done = False

    def _reclassify(self) -> None:
        # An empty workspace loads no boundaries, and the dashboard's first content comes before them.
        if time.monotonic() < self._first_judging or not self._agentfs.items.position():
            return
        try:
            rules = self._agentfs.guard.rules
        except ConfigurationError as error:
            self._complain_of_rules(str(error))
            return
        self._complain_of_rules(self._agentfs.guard.rules_problem)
        if rules is not self._rules:
            self._agentfs.reclassifier.note_rules()
            self._rules, self._judging_done = rules, False
        if self._judging_done:
            return
        step = self._agentfs.reclassifier.step(JUDGING_SECONDS, self._stop.is_set)
        self._sealed += step.sealed
        if not step.left:
            self._judging_done = True
            if self._sealed:
                self._bus.publish(Notice(f"Sealed {self._sealed:,} items that were written before."))
                self._sealed = 0

    def _complain_of_rules(self, problem: str) -> None:
        if problem and problem != self._rules_complaint:
            self._bus.publish(Notice(problem, "error"))
        self._rules_complaint = problem

    def _sign(self) -> None:
        complaint = self._agentfs.audit_check.sign_head()
        if complaint and complaint != self._complaint:
            self._bus.publish(Notice(f"{complaint} `bailiwick audit verify` tells more.", "error"))
        self._complaint = complaint
