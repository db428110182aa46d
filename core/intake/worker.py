"""The engine's thread for hooks: takes the spool in as soon as something lies there, and summarises later."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from core.agentfs.agentfs import AgentFS
from core.config import ConflictSettings
from core.errors import BailiwickError
from core.events import EventBus, Notice

if TYPE_CHECKING:
    from core.intake.summaries import Summariser
    from core.intake.taking_in import Intake

INTERVAL_SECONDS = 0.15
SUMMARY_SECONDS = 2.0
RETRY_SECONDS = 5.0
STEP_SECONDS = 1.0
_log = logging.getLogger(__name__)


class IntakeWorker:
    """A daemon thread. What cannot be taken in now is tried again, and a person hears of it once."""

    def __init__(self, agentfs: AgentFS, bus: EventBus, conflicts: ConflictSettings) -> None:
        self._agentfs = agentfs
        self._conflicts = conflicts
        self._parts: tuple[Intake, Summariser] | None = None
        self._bus = bus
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._next_summary = 0.0
        self._due = 1
        self._complaint = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, two seconds at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        # The dashboard's first content comes before what this thread loads.
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                self._step()
                self._complaint = ""
            except BailiwickError as error:
                self._complain(f"What agents' hooks tell waits: {error.message}", error.hint)
                self._stop.wait(RETRY_SECONDS)
            except Exception:  # noqa: BLE001 - whatever one record brings about, the thread goes on with the others
                _log.exception("the hooks' spool was not taken in")
                self._stop.wait(RETRY_SECONDS)

    def _step(self) -> None:
        if self._parts is None:
            from core.intake.summaries import Summariser
            from core.intake.taking_in import Intake

            self._parts = Intake(self._agentfs, self._conflicts), Summariser(self._agentfs)
        intake, summariser = self._parts
        if intake.waits() and intake.take_in(STEP_SECONDS):
            self._due = 1
        if self._due and time.monotonic() >= self._next_summary:
            self._due = summariser.step()
            # A transcript may be written a little later than its hook is called.
            self._next_summary = time.monotonic() + SUMMARY_SECONDS if self._due else 0.0

    def _complain(self, sentence: str, hint: str) -> None:
        _log.warning("%s", sentence)
        if sentence != self._complaint:
            self._complaint = sentence
            self._bus.publish(Notice(f"{sentence} {hint}".strip(), "warning"))
