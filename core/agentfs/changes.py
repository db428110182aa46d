"""Notices commits, those of other processes included, through SQLite's ``data_version``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from core.agentfs.database import Database
from core.errors import BailiwickError

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 0.2


class ChangeWatcher:
    """A daemon thread that calls ``changed`` once at its start and within a quarter second of any commit.

    Commits of this process' other threads count too, so ``changed`` has to look what is different.
    """

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, two seconds at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def _run(self) -> None:
        known: int | None = None
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                version = self._database.data_version()
                if version != known:
                    known = version
                    self._changed()
            except BailiwickError:
                _log.warning("the workspace could not be asked for changes", exc_info=True)
