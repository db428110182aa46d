"""What moves now: told to whoever watches, and ended when somebody asks for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import BailiwickError
from core.ids import new_id
from core.remote.store import Progress
from core.sync.bandwidth import Bandwidth
from core.sync_model import Direction, Transfer


class SyncCancelled(BailiwickError):
    """The sync was ended by whoever asked for it; what was moved so far holds, and the rest goes on next time."""


class Watch:
    """Hears of every transfer. Safe from any thread."""

    def __init__(
        self,
        moved: Callable[[Transfer], None] = lambda transfer: None,
        should_stop: Callable[[], bool] = lambda: False,
        guard: Callable[[], None] = lambda: None,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        """``moved`` is called with each state of a transfer, the last time with ``done`` equal to ``total``.

        ``guard`` is asked before more is moved; what it raises ends the sync. ``bandwidth`` is kept to.
        """
        self._moved = moved
        self._should_stop = should_stop
        self._guard = guard
        self._bandwidth = bandwidth

    def check(self) -> None:
        """Raise SyncCancelled when it is to end, and what the guard raises."""
        if self._should_stop():
            raise SyncCancelled("The sync was cancelled.", "It goes on where it was with `bailiwick sync`.")
        self._guard()

    @contextmanager
    def transfer(self, area: str, label: str, direction: Direction, size: int) -> Iterator[Progress]:
        """Tell of one transfer of ``size`` bytes, which the block moves with the progress it is given."""
        transfer_id, started, told = new_id(), time.monotonic(), 0

        def progress(done: int, total: int) -> None:
            nonlocal told
            self.check()
            if self._bandwidth is not None:
                self._bandwidth.spent(done - told, self.check)
            told = done
            seconds = max(1e-6, time.monotonic() - started)
            self._moved(Transfer(transfer_id, area, label, direction, done, total or size, done / seconds))

        progress(0, size)
        try:
            yield progress
        finally:
            seconds = max(1e-6, time.monotonic() - started)
            self._moved(Transfer(transfer_id, area, label, direction, size, size, size / seconds))


UNWATCHED = Watch()
