"""Keeps transfers within so many bytes a second, all of them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

BURST_SECONDS = 1.0
_LOOK_SECONDS = 0.1


class Bandwidth:
    """Safe from any thread. What is told in one piece may be faster; the pieces after it then wait."""

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """0 is no limit."""
        self._rate = bytes_per_second
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._free_at = clock()

    def spent(self, size: int, check: Callable[[], None] = lambda: None) -> None:
        """``size`` bytes moved: wait until the next may. What ``check``, called now and then, raises ends the wait."""
        if not self._rate or size <= 0:
            return
        with self._lock:
            moment = self._clock()
            self._free_at = max(self._free_at, moment - BURST_SECONDS) + size / self._rate
            until = self._free_at
        while (wait := until - self._clock()) > 0:
            check()
            self._pause(min(wait, _LOOK_SECONDS))
