"""The DuckDB file itself: opened with our settings, replaced when it cannot be used, shared between threads."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from core.errors import BailiwickError, EngineHeld, StorageFull, WorkspaceUnusable
from core.index.schema import SCHEMA_VERSION, create_tables, read_meta
from core.index.storage_errors import IndexDamaged, is_full, is_refused

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 10.0
_HEADER_BYTES = 3 * 4096
_MAGIC = b"DUCK"
_MAGIC_OFFSET = 8
_DAMAGE_PHRASES = ("corrupt", "checksum", "could not read enough bytes", "malformed")


class _Unusable(Exception):
    """The file cannot serve as our index; the text is the reason, in words that follow "because"."""


class DocumentStore:
    """One open ``documents.duckdb``. Safe from any thread: any number of readers beside one writer.

    ``rebuilt`` says why the file was started anew when it was opened last, else it is empty. A file that turns out
    damaged in use raises IndexDamaged once; the next use opens it again, moved aside and started anew if need be.
    """

    def __init__(self, path: Path, *, threads: int, memory_mb: int) -> None:
        """Open or create ``path``; ``threads`` and ``memory_mb`` bound what DuckDB takes.

        Raises:
            EngineHeld: another process has the file open.
            WorkspaceUnusable: the folder cannot be written.
            StorageFull: there is no room for the file.
        """
        self._path = path
        self._threads = threads
        self._memory_mb = memory_mb
        self._write_lock = threading.RLock()
        self._idle = threading.Condition()
        self._users = 0
        self._closed = False
        self._broken = False
        self._damaged = False
        self.rebuilt = ""
        self.store_id = ""
        self._connection = self._open()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own, which sees what was committed when each statement begins."""
        with self._use() as connection, self._translated():
            cursor = connection.cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor in the one write transaction; it commits at the end of the block and rolls back on any exception."""
        with self._write_lock, self.reader() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Write everything into the one file and let go of it; waits for readers, ten seconds at most."""
        with self._write_lock, self._idle:
            if self._closed:
                return
            self._closed = True
            self._idle.wait_for(lambda: self._users == 0, _CLOSE_SECONDS)
            with suppress(duckdb.Error):
                self._connection.execute("CHECKPOINT")
            self._connection.close()

    @contextmanager
    def _use(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._idle:
            if self._closed:
                raise WorkspaceUnusable("The document index is closed.")
            if self._broken:
                self._reopen()
            self._users += 1
            connection = self._connection
        try:
            yield connection
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    def _reopen(self) -> None:
        """Open the file again after a failure that ended the connection; the lock of ``_idle`` is held."""
        # DuckDB hands out the open instance of a path again, so the old one must be gone first.
        if not self._idle.wait_for(lambda: self._users == 0, _CLOSE_SECONDS):
            raise WorkspaceUnusable("The document index is still in use and cannot be opened again.", "Try again.")
        if not self._broken:
            return
        self._connection.close()
        if self._damaged:
            self._move_aside()
        self._connection = self._open()
        if self._damaged:
            self.rebuilt = "it was damaged"
        self._broken = self._damaged = False

    def _open(self) -> duckdb.DuckDBPyConnection:
        self.rebuilt = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                self._remove_leftovers()
            try:
                return self._connect()
            except _Unusable as reason:
                self._move_aside()
                self.rebuilt = str(reason)
                _log.warning("the document index is started anew because %s", reason)
                return self._connect()
        except _Unusable as reason:
            raise WorkspaceUnusable(f"The document index {self._path} cannot be used because {reason}.") from None
        except OSError as error:
            raise self._as_sentence(error) from None

    def _connect(self) -> duckdb.DuckDBPyConnection:
        fresh = not self._path.exists()
        if not fresh:
            with self._path.open("rb") as file:
                if file.read(_MAGIC_OFFSET + len(_MAGIC))[_MAGIC_OFFSET:] != _MAGIC:
                    raise _Unusable("the file is not a DuckDB database")
        try:
            connection = duckdb.connect(str(self._path))
        except duckdb.Error as error:
            text = str(error)
            if "could not set lock" in text.lower() or "being used by another process" in text.lower():
                raise self._held(text) from None
            if is_full(text) or is_refused(text):
                raise self._as_sentence(error) from None
            raise _Unusable("the file is damaged") from None
        try:
            self._configure(connection)
            if fresh:
                create_tables(connection)
            self._check(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, duckdb.Error):
                if is_full(str(error)) or is_refused(str(error)):
                    raise self._as_sentence(error) from None
                raise _Unusable("the file is damaged or belongs to another program") from None
            raise
        return connection

    def _configure(self, connection: duckdb.DuckDBPyConnection) -> None:
        """The settings of design.md section 6; DuckDB keeps none of them in the file."""
        connection.execute("SET disabled_compression_methods = 'alp,alprd'")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET python_enable_replacements = false")
        connection.execute(f"SET threads = {self._threads:d}")
        connection.execute(f"SET memory_limit = '{self._memory_mb:d}MB'")

    def _check(self, connection: duckdb.DuckDBPyConnection) -> None:
        meta = read_meta(connection)
        found = meta.get("schema_version", "")
        if found != SCHEMA_VERSION:
            raise _Unusable(f"it has the schema version {found[:20] or 'none'} instead of {SCHEMA_VERSION}")
        connection.execute("SELECT id, embedding, metadata, passage_count FROM documents LIMIT 0")
        connection.execute("SELECT slot, text_sha256, model_key, embedding, s5 FROM passages LIMIT 0")
        row = connection.execute("SELECT block_size, total_blocks FROM pragma_database_size()").fetchone()
        assert row is not None
        block_size, blocks = row
        if self._path.stat().st_size < _HEADER_BYTES + block_size * blocks:
            raise _Unusable("the file is cut short")
        self.store_id = meta["store_id"]

    def _held(self, text: str) -> EngineHeld:
        process = re.search(r"PID (\d+)", text)
        by = f"process {process[1]}" if process else "another process"
        return EngineHeld(f"The document index {self._path} is held by {by}.", "Use that one, or end it first.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn DuckDB's failures into ours; its own texts may quote content, so they go no further."""
        try:
            yield
        except duckdb.Error as error:
            text = str(error)
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                self._broken = True
            if is_full(text) or is_refused(text):
                raise self._as_sentence(error) from None
            if any(phrase in text.lower() for phrase in _DAMAGE_PHRASES):
                self._broken = self._damaged = True
            if self._damaged or self._broken:
                _log.error("the document index failed in use: %s", type(error).__name__)
                raise IndexDamaged("The document index is damaged and is being started anew.") from None
            raise self._as_sentence(error) from None

    def _as_sentence(self, error: Exception) -> BailiwickError:
        if is_full(error):
            return StorageFull(f"The disk of {self._path.parent} is full; nothing was written.", "Free some space.")
        if is_refused(error):
            return WorkspaceUnusable(f"{self._path} cannot be written.", "Check the permissions of the folder.")
        if isinstance(error, duckdb.OutOfMemoryException):
            return WorkspaceUnusable(
                f"The document index needs more than its {self._memory_mb} MB of memory.",
                "Allow it more in the settings.",
            )
        if isinstance(error, OSError):
            return WorkspaceUnusable(f"{self._path} cannot be opened: {error.strerror}.")
        return WorkspaceUnusable(f"The document index failed ({type(error).__name__}).", "See the log.")

    def _files(self) -> list[Path]:
        """The database file and what DuckDB keeps beside it, those that exist."""
        beside = [self._path.with_name(self._path.name + ending) for ending in (".wal", ".wal.checkpoint")]
        return [file for file in (self._path, *beside) if file.exists()]

    def _remove_leftovers(self) -> None:
        for file in self._files():
            file.unlink()

    def _move_aside(self) -> None:
        """Keep the unusable file as ``….damaged-<n>``, in place of an earlier one."""
        files = self._files()
        if not files:
            return
        earlier = list(self._path.parent.glob(f"{self._path.name}.damaged-*"))
        numbers = [int(match[1]) for file in earlier if (match := re.search(r"\.damaged-(\d+)", file.name))]
        number = max(numbers, default=0) + 1
        for file in earlier:
            file.unlink()
        for file in files:
            ending = file.name.removeprefix(self._path.name)
            os.replace(file, self._path.with_name(f"{self._path.name}.damaged-{number}{ending}"))
