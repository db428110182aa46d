"""What moves now: told to whoever watches, and ended when somebody asks for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import BailiwickError
from core.ids import new_id
from core.remote.store import Progress
from core.sync_model import Direction, Transfer


class SyncCancelled(BailiwickError):
    """The sync was ended by whoever asked for it; what was moved so far holds, and the rest goes on next time."""


class Watch:
    """Hears of every transfer. Safe from any thread."""

    def __init__(
        self,
        moved: Callable[[Transfer], None] = lambda transfer: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """``moved`` is called with each state of a transfer, the last time with ``done`` equal to ``total``."""
        self._moved = moved
        self._should_stop = should_stop

    def check(self) -> None:
        """Raise SyncCancelled when it is to end."""
        if self._should_stop():
            raise SyncCancelled("The sync was cancelled.", "It goes on where it was with `bailiwick sync`.")

    @contextmanager
    def transfer(self, area: str, label: str, direction: Direction, size: int) -> Iterator[Progress]:
        """Tell of one transfer of ``size`` bytes, which the block moves with the progress it is given."""
        transfer_id, started = new_id(), time.monotonic()

        def progress(done: int, total: int) -> None:
            self.check()
            seconds = max(1e-6, time.monotonic() - started)
            self._moved(Transfer(transfer_id, area, label, direction, done, total or size, done / seconds))

        progress(0, size)
        try:
            yield progress
        finally:
            seconds = max(1e-6, time.monotonic() - started)
            self._moved(Transfer(transfer_id, area, label, direction, size, size, size / seconds))


UNWATCHED = Watch()
