"""The SQLite file: connections of every thread, short transactions, and errors as sentences."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core.errors import BailiwickError, InvalidInput, StorageFull, Unreachable, WorkspaceUnusable
from core.model import JSONValue

BUSY_SECONDS = 10.0


class Database:
    """One ``agentfs.db``, shared by any number of threads and processes (WAL, every commit synced to the disk).

    Each thread has a connection of its own. ``transaction`` takes the write lock at once, so what is read inside it
    cannot change before it commits.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._closed = False

    def connection(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit mode; use it for reading only."""
        existing: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if existing is not None:
            return existing
        with self._lock:
            if self._closed:
                raise WorkspaceUnusable("The workspace is closed.")
            self._close_orphans()
            with translated(self.path):
                connection = sqlite3.connect(
                    self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                # What is deleted or sealed later must not be read from the file's free pages.
                connection.execute("PRAGMA secure_delete = ON")
            self._connections.append((threading.current_thread(), connection))
        self._local.connection = connection
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed when the block ends, rolled back when it raises."""
        connection = self.connection()
        with translated(self.path):
            _begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def data_version(self) -> int:
        """A number that changes when another connection has committed; compare it within one thread only."""
        with translated(self.path):
            return int(self.connection().execute("PRAGMA data_version").fetchone()[0])

    def sync_number(self) -> int:
        """A number that changes when synchronising told of something new."""
        with translated(self.path):
            row = self.connection().execute("SELECT number FROM sync_live").fetchone()
        return int(row["number"]) if row is not None else 0

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            self._closed = True
            for _, connection in self._connections:
                connection.close()
            self._connections.clear()

    def _close_orphans(self) -> None:
        """Close what threads that have ended left behind."""
        for thread, connection in self._connections:
            if not thread.is_alive():
                connection.close()
        self._connections = [each for each in self._connections if each[0].is_alive()]


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock, asking often: SQLite's own waiting asks ten times a second and so comes last for seconds."""
    end = time.monotonic() + BUSY_SECONDS
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
            else:
                return
            time.sleep(random.uniform(0.002, 0.012))
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's complaints inside the block into the errors a person can act on."""
    try:
        yield
    except sqlite3.Error as error:
        raise _as_sentence(error, path) from error
    except UnicodeEncodeError:
        raise InvalidInput("What was given is not valid text.", "Use UTF-8.") from None
    except OSError as error:
        if error.errno in (28, 122, 27):
            raise StorageFull("The disk is full.", "Free some space and try again; nothing was half-written.") from None
        raise


def _as_sentence(error: sqlite3.Error, path: Path) -> BailiwickError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("The disk is full.", "Free some space and try again; nothing was half-written.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return WorkspaceUnusable(
            f"The workspace {path.parent} cannot be written.",
            "Make the folder writable, or name another with --workspace.",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return WorkspaceUnusable(
            f"{path} is damaged.", "Restore it from snapshots/ or a backup; `bailiwick doctor` tells more."
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unreachable("The workspace is busy: another process held it for ten seconds.", "Try again.")
    if code == sqlite3.SQLITE_IOERR:
        return StorageFull("The disk refused to write.", "Check free space and quota, then try again.")
    return WorkspaceUnusable(f"The workspace database refused: {error}.")


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """``moment`` as the ISO 8601 text that the tables hold; it sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """The moment that ``to_text`` wrote."""
    return datetime.fromisoformat(text)


def to_json(value: JSONValue | object) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN; raises ValueError on what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
