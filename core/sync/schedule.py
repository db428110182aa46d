"""When the next sync is due: told the time by whoever asks, so that it can be tried without waiting."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from core.sync.strategy import Pace

RECENT_SECONDS = 600.0
"""While something came from the remote for so long, the remote is asked often."""
LONGEST_BACK_OFF = 300.0
OFFLINE_SECONDS = 5.0
LOOKS_PER_GAP = 4
"""How often the remote is asked in the time that usually passes until something comes."""


@dataclass(slots=True)
class Schedule:
    """All moments are seconds of one clock. Not for several threads at once."""

    began_at: float
    jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1)
    first_change: float | None = None
    last_change: float | None = None
    looked_at: float | None = None
    received: deque[float] = field(default_factory=lambda: deque(maxlen=8))
    quiet_looks: int = 0
    failures: int = 0
    _factor: float = 1.0

    def changed(self, moment: float) -> None:
        """Something changed here."""
        self.last_change = moment
        if self.first_change is None:
            self.first_change = moment

    def ran(self, started: float, ended: float, *, received: bool, failed: bool) -> None:
        """A sync ended; what changed here since it ``started`` waits for the next."""
        self.looked_at = ended
        self._factor = self.jitter()
        self.failures = self.failures + 1 if failed else 0
        if not failed:
            self.first_change = self.last_change if (self.last_change or 0.0) > started else None
            self.last_change = self.first_change
        if received:
            self.received.append(ended)
            self.quiet_looks = 0
        elif not self._is_active(ended):
            self.quiet_looks += 1

    def due_at(self, pace: Pace, moment: float, least_poll_seconds: float = 0.0) -> float | None:
        """When to sync next, ``None`` while nothing happens by itself.

        ``least_poll_seconds`` pass between two looks where nothing changed here.
        """
        if not pace.by_itself:
            return None
        if self.looked_at is None:
            return moment
        if self.failures:
            wait = min(LONGEST_BACK_OFF, pace.poll_seconds * 2.0 ** min(self.failures, 16))
            return self.looked_at + wait * self._factor
        wait = max(least_poll_seconds, self._poll_seconds(pace, moment))
        poll = self.looked_at + wait * self._factor
        if self.first_change is None or self.last_change is None:
            return poll
        sent = min(self.last_change + pace.batch_seconds, self.first_change + pace.longest_batch_seconds)
        return min(poll, sent)

    def look_due_at(self, moment: float) -> float:
        """When to ask next whether the remote is there again, sooner at first than later."""
        if self.looked_at is None:
            return moment
        wait = OFFLINE_SECONDS * 2.0 ** min(max(0, self.failures - 1), 16)
        return self.looked_at + min(LONGEST_BACK_OFF, wait) * self._factor

    def is_back(self) -> None:
        """The remote answers again, or a pause ended: a sync is due at once."""
        self.looked_at, self.failures = None, 0

    def _poll_seconds(self, pace: Pace, moment: float) -> float:
        if not pace.by_rate:
            if self._is_active(moment):
                return pace.poll_seconds
            return min(pace.idle_seconds, pace.poll_seconds * 2.0 ** min(self.quiet_looks, 16))
        quiet = moment - (self.received[-1] if self.received else self.began_at)
        usual = (self.received[-1] - self.received[0]) / (len(self.received) - 1) if len(self.received) > 1 else 0.0
        return min(pace.idle_seconds, max(pace.poll_seconds, max(quiet, usual) / LOOKS_PER_GAP))

    def _is_active(self, moment: float) -> bool:
        return bool(self.received) and moment - self.received[-1] < RECENT_SECONDS
