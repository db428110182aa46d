"""Tells every process what synchronising does at this moment, a few times a second at most."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from core.agentfs.database import now, to_text
from core.errors import BailiwickError
from core.events import EventBus, SyncChanged
from core.model import JSONValue
from core.sync.history import SyncHistory
from core.sync_model import SyncActivity, Transfer

_log = logging.getLogger(__name__)
TELL_SECONDS = 0.4
"""With the watcher of each process, which notices what is told, that is five events a second at most."""
LONG_SECONDS = 10.0


class Telling:
    """Safe from any thread."""

    def __init__(self, history: SyncHistory, bus: EventBus) -> None:
        self._history = history
        self._bus = bus
        self._lock = threading.Lock()
        self._transfers: dict[str, Transfer] = {}
        self._told_at = float("-inf")
        self._is_told = False
        self._later: threading.Timer | None = None
        self.next_at: datetime | None = None
        """When the worker of this process looks next."""

    def moved(self, transfer: Transfer) -> None:
        """A transfer went on, or ended."""
        with self._lock:
            if transfer.done >= transfer.total > 0:
                self._transfers.pop(transfer.id, None)
            else:
                self._transfers[transfer.id] = transfer
        self.begin(force=False)

    def begin(self, *, force: bool = True) -> None:
        """A sync began, or goes on."""
        moment = time.monotonic()
        with self._lock:
            wait = self._told_at + TELL_SECONDS - moment
            if not force and wait > 0:
                if self._later is None:
                    # A transfer that tells nothing more for long is to be seen all the same.
                    self._later = threading.Timer(wait, self._tell_later)
                    self._later.daemon = True
                    self._later.start()
                return
            self._told_at, self._is_told = moment, True
        self._tell(SyncActivity.SYNCING)

    def _tell_later(self) -> None:
        with self._lock:
            if self._later is None:
                return
            self._later = None
        try:
            self.begin()
        except BailiwickError:
            _log.debug("what moves could not be told", exc_info=True)

    def end(self) -> None:
        """It ended; where nothing was told of it, nothing is."""
        with self._lock:
            self._transfers.clear()
            later, self._later = self._later, None
            is_told, self._is_told = self._is_told, False
        if later is not None:
            later.cancel()
            # It may be telling now, and what ends is told after it.
            later.join(1.0)
        if not is_told and later is None:
            return
        self._tell(SyncActivity.IDLE)

    def rest(self, next_at: datetime | None) -> None:
        """Nothing is to be done until ``next_at``, which other processes are told where that is a while."""
        before, self.next_at = self.next_at, next_at
        if next_at is None:
            if before is not None:
                self._tell(SyncActivity.IDLE)
        elif (next_at - now()).total_seconds() >= LONG_SECONDS and (
            before is None or abs((next_at - before).total_seconds()) > 1.0
        ):
            self._tell(SyncActivity.IDLE)

    def _tell(self, activity: SyncActivity) -> None:
        with self._lock:
            transfers: list[JSONValue] = [
                {
                    "id": each.id,
                    "area": each.area,
                    "label": each.label,
                    "direction": each.direction.value,
                    "done": each.done,
                    "total": each.total,
                    "rate": each.rate,
                }
                for each in self._transfers.values()
            ]
        next_at = to_text(self.next_at) if self.next_at is not None else None
        self._history.tell({"activity": activity.value, "transfers": transfers, "next_at": next_at})
        self._bus.publish(SyncChanged())
