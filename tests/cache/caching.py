"""A cache of a workspace for tests, with bounds so small that everything has to give way to something."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from core.agentfs.database import Database
from core.agentfs.migration import migrate
from core.cache.bounds import CacheBounds
from core.cache.tiers import MultiTierCache

TINY = CacheBounds(memory=40_000, recent=2_000, files=64_000)
"""Up to 2,000 bytes a value is small, up to 4,000 it may be a file, up to 5,000 it may be in memory."""
ROOMY = CacheBounds(memory=8 * 2**20, recent=2**20, files=64 * 2**20)


class Opened:
    """A cache that can be closed and opened again."""

    def __init__(self, root: Path, bounds: CacheBounds = ROOMY, *, clock: Callable[[], float] = time.time) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.folder = root / "cache"
        self._bounds = bounds
        self._clock = clock
        self.open()

    def open(self) -> None:
        """Open it, as the next process would."""
        self.database = Database(self.root / "agentfs.db")
        migrate(self.database, self.root / "snapshots")
        self.cache = MultiTierCache(self.database, self.folder, self._bounds, clock=self._clock)

    def close(self) -> None:
        """Close it in good order."""
        self.cache.close()
        self.database.close()

    def reopen(self) -> MultiTierCache:
        """Have nothing in memory any more."""
        self.close()
        self.open()
        return self.cache

    def files(self) -> list[Path]:
        """The files of the third tier."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def spoil_recent(self, sha256: str) -> int:
        """Change a small value behind the cache's back; the answer is how many."""
        with closing(sqlite3.connect(self.root / "agentfs.db")) as connection, connection:
            return connection.execute(
                "UPDATE cache_bytes SET bytes = bytes || 'z' WHERE sha256 = ?", (sha256,)
            ).rowcount

    def spoil_file(self, sha256: str) -> int:
        """Change a file behind the cache's back; the answer is how many."""
        path = self.folder / sha256[:2] / sha256
        if not path.exists():
            return 0
        path.write_bytes(path.read_bytes()[:-1] + b"\xff\x00")
        return 1
