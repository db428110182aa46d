"""The two tiers that outlive a process: small values in AgentFS, larger ones as files, each compared with its hash."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from core.agentfs.database import Database, translated
from core.cache.bounds import SMALL, CacheBounds
from core.cache.catalogue import Catalogue, Found, Number
from core.cache.files import LEFT_SECONDS, Damaged, FileTier, Unnamed
from core.cache.notes import Gathered, Notes
from core.cache.status import CacheCheck, Tier
from core.errors import InvalidInput, NotFound
from core.ids import sha256_hex

_log = logging.getLogger(__name__)
LARGEST_SHARE = 16
LARGEST_FILE_SHARE = 2
"""One value takes at most this part of the files' bound, and more where it came as a file, which somebody asked for."""
_BATCH = 64
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a content lies, and whether the name that was asked for stands for it."""

    found: Found
    is_named: bool


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something to be kept: as ``data`` in AgentFS, or as the file ``unnamed``."""

    name: str
    sha256: str
    size: int
    data: bytes | None
    unnamed: Unnamed | None


class DiskTiers:
    """Safe from any thread and process. Raises as the database and the system do."""

    def __init__(self, database: Database, folder: Path, bounds: CacheBounds, notes: Notes) -> None:
        """What is damaged is counted in ``notes``."""
        self.catalogue = Catalogue(database)
        self.small = min(SMALL, bounds.recent)
        self._database = database
        self._files = FileTier(folder)
        self._bounds = bounds
        self._notes = notes

    def find(self, name: str, sha256: str = "") -> Placed | None:
        """Where the content under ``name`` lies, or the one of that ``sha256`` under any name."""
        found = self.catalogue.find(name)
        if found is not None and sha256 in ("", found.sha256):
            return Placed(found, True)
        found = self.catalogue.find_content(sha256) if sha256 else None
        return Placed(found, False) if found is not None else None

    def read(self, found: Found) -> tuple[Tier, bytes] | None:
        """The content, from AgentFS or else its file; what is damaged or gone of it is dropped."""
        if found.data is not None:
            if sha256_hex(found.data) == found.sha256:
                return Tier.RECENT, found.data
            self._drop_damaged(found.sha256)
        data = self._had(found.sha256, partial(self._files.read, found.sha256)) if found.is_file else None
        return (Tier.FILES, data) if data is not None else None

    def copy(self, found: Found, target: Path) -> bool:
        """Write the content of a file to ``target``, with constant memory; False when it is damaged or gone."""
        return self._had(found.sha256, partial(self._files.copy, found.sha256, target)) is not None

    def arrival(self, name: str, data: bytes | Path, sha256: str, size: int) -> Arrival | None:
        """What is to be kept, written to a file already unless it is small; ``None`` when it is too large."""
        if isinstance(data, bytes) and size <= self.small:
            return Arrival(name, sha256, size, data, None)
        if size > self._bounds.files // (LARGEST_SHARE if isinstance(data, bytes) else LARGEST_FILE_SHARE):
            return None
        with translated(self._database.path):
            return Arrival(name, sha256, size, None, self._files.write(data))

    def discard(self, arrivals: Iterable[Arrival]) -> None:
        """Delete files that were written and not taken in."""
        for arrival in arrivals:
            if arrival.unnamed is not None:
                with suppress(OSError):
                    self._files.discard(arrival.unnamed)

    def take_in(
        self, gathered: Gathered, arrivals: Iterable[Arrival] = (), moment: int = 0, *, forgotten: Iterable[str] = ()
    ) -> None:
        """Write down what was ``gathered``, keep ``arrivals``, keep nothing under the names ``forgotten``, at once."""
        with self._database.transaction() as connection:
            self.catalogue.touch(connection, gathered.used)
            self.catalogue.add(connection, gathered.counts)
            for sha256, data in gathered.promoted.items():
                self.catalogue.promote(connection, sha256, data)
            for arrival in arrivals:
                self._keep(connection, arrival, moment)
            for name in forgotten:
                self._remove_unnamed(connection, self.catalogue.forget(connection, name))
            self._make_room(connection)

    def forget(self, name: str) -> None:
        """Keep nothing under ``name``."""
        with self._database.transaction() as connection:
            self._remove_unnamed(connection, self.catalogue.forget(connection, name))

    def pin(self, name: str) -> None:
        """As ``MultiTierCache.pin``."""
        with self._database.transaction() as connection:
            if self.catalogue.find(name) is None:
                raise NotFound(f"{name} is not in the cache.", "Fetch it first.")
            self.catalogue.set_pinned(connection, name, True)
            _, size = self.catalogue.pinned(connection)
            if size > self._bounds.files:
                raise InvalidInput(
                    f"With {name} there would be {size:,} bytes pinned; the cache has room for {self._bounds.files:,}.",
                    "Unpin something, or raise cache.files_mb.",
                )

    def unpin(self, name: str) -> None:
        """As ``MultiTierCache.unpin``."""
        with self._database.transaction() as connection:
            self.catalogue.set_pinned(connection, name, False)

    def sweep(self) -> int:
        """Delete files that nobody knows of: what killed processes left; the answer is how many."""
        swept = 0
        for path in self._files.left():
            path.unlink(missing_ok=True)
            swept += 1
        if not (names := self._files.names()):
            return swept
        with self._database.transaction() as connection:
            for sha256 in names.difference(self.catalogue.file_hashes(connection)):
                with suppress(FileNotFoundError):
                    if time.time() - self._files.path(sha256).stat().st_mtime > LEFT_SECONDS:
                        self._files.remove(sha256)
                        swept += 1
        return swept

    def check(self) -> CacheCheck:
        """Read everything and drop what is damaged."""
        entries = size = 0
        after, before = "", self._count_damaged()
        while batch := self.catalogue.contents(after, _BATCH):
            after = batch[-1].sha256
            for found in batch:
                entries, size = entries + 1, size + found.size
                if found.data is not None and sha256_hex(found.data) != found.sha256:
                    self._drop_damaged(found.sha256)
                if found.is_file:
                    self._had(found.sha256, partial(self._files.read, found.sha256))
        return CacheCheck(entries, size, self._count_damaged() - before)

    def _keep(self, connection: sqlite3.Connection, arrival: Arrival, moment: int) -> None:
        if arrival.unnamed is not None:
            self._files.name(arrival.unnamed)
        self.catalogue.keep(connection, arrival.sha256, arrival.size, moment, data=arrival.data)
        replaced = self.catalogue.put(connection, arrival.name, arrival.sha256, arrival.size, moment)
        self._remove_unnamed(connection, replaced)
        if self.catalogue.is_pinned(connection, arrival.sha256):
            _, size = self.catalogue.pinned(connection)
            if size > self._bounds.files:
                self.catalogue.set_pinned(connection, arrival.name, False)
                _log.warning("%s has grown too large to stay pinned in the cache", arrival.name)

    def _remove_unnamed(self, connection: sqlite3.Connection, sha256: str | None) -> None:
        if sha256 is not None:
            self.catalogue.release(connection, sha256, recent=True, file=True)
            self._files.remove(sha256)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Bring both tiers under their bounds: small values that were not used for long become files, files go.

        Files are deleted inside the transaction, so that nobody puts the same content back in between.
        """
        over = self.catalogue.numbers(connection)[Number.RECENT_BYTES] - self._bounds.recent
        while over > 0:
            moved = 0
            for found in self.catalogue.recent_in_order(connection, _BATCH):
                if moved >= over:
                    break
                if self._become_file(connection, found):
                    moved += found.size
            if not moved:
                break
            over -= moved
        over = self.catalogue.numbers(connection)[Number.FILES_BYTES] - self._bounds.files
        while over > 0 and (batch := self.catalogue.files_in_order(connection, _BATCH)):
            for found in batch:
                if over <= 0:
                    break
                self.catalogue.release(connection, found.sha256, file=True)
                self._files.remove(found.sha256)
                self.catalogue.add(connection, {Number.FILES_EVICTIONS: 1})
                over -= found.size

    def _become_file(self, connection: sqlite3.Connection, found: Found) -> bool:
        """Move a small value to the files; one that cannot be written there goes, unless it is pinned."""
        if not found.is_file and found.data is not None and sha256_hex(found.data) == found.sha256:
            try:
                self._files.name(self._files.write(found.data))
                self.catalogue.keep(connection, found.sha256, found.size, 0)
            except OSError:
                if self.catalogue.is_pinned(connection, found.sha256):
                    return False
        self.catalogue.release(connection, found.sha256, recent=True)
        self.catalogue.add(connection, {Number.RECENT_EVICTIONS: 1})
        return True

    def _had(self, sha256: str, read: Callable[[], Answer]) -> Answer | None:
        """What ``read`` gets of a file; one that is damaged or gone is dropped, and only the first is counted so."""
        try:
            return read()
        except FileNotFoundError:
            self._drop(sha256, file=True)
        except Damaged:
            self._drop_damaged(sha256, file=True)
        return None

    def _drop_damaged(self, sha256: str, *, file: bool = False) -> None:
        self._notes.count(Number.DAMAGED)
        _log.warning("a damaged entry of the cache is dropped: %s", sha256)
        self._drop(sha256, file=file)

    def _drop(self, sha256: str, *, file: bool) -> None:
        with self._database.transaction() as connection:
            self.catalogue.release(connection, sha256, recent=not file, file=file)
            if file:
                self._files.remove(sha256)

    def _count_damaged(self) -> int:
        return self.catalogue.numbers()[Number.DAMAGED] + self._notes.counts()[Number.DAMAGED]
