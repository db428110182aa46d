"""The DuckDB file itself: opened with our settings, replaced when it cannot be used, shared between threads."""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from core.errors import BailiwickError, EngineHeld, StorageFull, WorkspaceUnusable
from core.index.encryption import Encryption, connect_encrypted, enter, is_wrong_key
from core.index.schema import SCHEMA_VERSION, Remains, create_tables, first_meta, read_meta
from core.index.storage_errors import IndexClosed, IndexDamaged, is_full, is_refused

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 10.0
_HEADER_BYTES = 3 * 4096
_MAGIC = b"DUCK"
_MAGIC_OFFSET = 8
_DAMAGE_PHRASES = ("corrupt", "checksum", "could not read enough bytes", "malformed", "aes tag")
_HELD_PHRASES = ("could not set lock", "being used by another process", "file handle conflict")


class _Unusable(Exception):
    """The file cannot serve as our index; the text is the reason, in words that follow "because"."""


class DocumentStore:
    """One open file of the document index. Safe from any thread: any number of readers beside one writer.

    ``rebuilt`` says why the file was started anew when it was opened last, else it is empty. A file that turns out
    damaged in use raises IndexDamaged once; the next use opens it again, moved aside and started anew if need be.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        memory_mb: int,
        encryption: Encryption | None = None,
        remains: Remains = Remains.NONE,
    ) -> None:
        """Open or create ``path``; ``threads`` and ``memory_mb`` bound what DuckDB takes, ``remains`` is what a file
        that is created says of older ones.

        An encrypted file that does not open under its key is started anew without being kept.

        Raises:
            EngineHeld: another process has the file open.
            EncryptionUnavailable: it is to be encrypted, and DuckDB cannot.
            Locked: the key was forgotten meanwhile.
            WorkspaceUnusable: the folder cannot be written.
            StorageFull: there is no room for the file.
        """
        self.path = path
        self._threads = threads
        self._memory_mb = memory_mb
        self._encryption = encryption
        self._remains = remains
        self._write_lock = threading.RLock()
        self._idle = threading.Condition()
        self._users = 0
        self._closed = False
        self._replacing = False
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
                if self._encryption is not None:
                    enter(cursor)
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

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nothing is written but by this thread."""
        with self._write_lock:
            yield

    def replace_with(self, fresh: Path) -> None:
        """Put the complete database ``fresh`` in the place of this one, and forget what earlier damage left beside it.

        Call it within ``writing``; readers wait meanwhile. Raises WorkspaceUnusable when those that there are do not
        end in ten seconds; nothing is changed then.
        """
        with self._write_lock, self._idle:
            self._replacing = True
            try:
                if not self._idle.wait_for(lambda: self._users == 0, _CLOSE_SECONDS):
                    raise WorkspaceUnusable("The document index is still in use and cannot be replaced.", "Try again.")
                if self._closed:
                    raise IndexClosed()
                with self._translated():
                    self._connection.execute("CHECKPOINT")
                self._exchange(fresh)
            finally:
                self._replacing = False
                self._idle.notify_all()

    def _exchange(self, fresh: Path) -> None:
        rebuilt = self.rebuilt
        self._connection.close()
        try:
            # A write-ahead log that was left would be replayed into the new file.
            if self._files() == [self.path]:
                os.replace(fresh, self.path)
                self._remove_damaged()
        except OSError as error:
            raise self._as_sentence(error) from None
        finally:
            self._connection = self._open()
            self.rebuilt = self.rebuilt or rebuilt

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
            self._idle.wait_for(lambda: not self._replacing)
            if self._closed:
                raise IndexClosed()
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
            self._put_away()
        self._connection = self._open()
        if self._damaged:
            self.rebuilt = "it was damaged"
        self._broken = self._damaged = False

    def _open(self) -> duckdb.DuckDBPyConnection:
        self.rebuilt = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                self._remove_leftovers()
            try:
                return self._connect()
            except _Unusable as reason:
                self._put_away()
                self.rebuilt = str(reason)
                _log.warning("the document index is started anew because %s", reason)
                return self._connect()
        except _Unusable as reason:
            raise WorkspaceUnusable(f"The document index {self.path} cannot be used because {reason}.") from None
        except OSError as error:
            raise self._as_sentence(error) from None

    def _connect(self) -> duckdb.DuckDBPyConnection:
        fresh = not self.path.exists()
        if not fresh:
            with self.path.open("rb") as file:
                if file.read(_MAGIC_OFFSET + len(_MAGIC))[_MAGIC_OFFSET:] != _MAGIC:
                    raise _Unusable("the file is not a DuckDB database")
        try:
            if self._encryption is None:
                connection = duckdb.connect(str(self.path))
            else:
                connection = connect_encrypted(self.path, self._encryption)
        except duckdb.Error as error:
            text = str(error)
            if any(phrase in text.lower() for phrase in _HELD_PHRASES):
                raise self._held(text) from None
            if is_full(text) or is_refused(text):
                raise self._as_sentence(error) from None
            raise _Unusable("its key is another" if is_wrong_key(error) else "the file is damaged") from None
        try:
            self._remove_unfinished()
            self._configure(connection)
            if fresh:
                create_tables(connection, first_meta(Remains.UNKNOWN if self._damaged_files() else self._remains))
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
        # Free blocks at the end may never have been written; one that is missing elsewhere is noticed when it is read.
        row = connection.execute(
            "SELECT block_size, used_blocks FROM pragma_database_size() WHERE database_name = current_database()"
        ).fetchone()
        assert row is not None
        block_size, blocks = row
        if self.path.stat().st_size < _HEADER_BYTES + block_size * blocks:
            raise _Unusable("the file is cut short")
        self.store_id = meta["store_id"]

    def _held(self, text: str) -> EngineHeld:
        process = re.search(r"PID (\d+)", text)
        by = f"process {process[1]}" if process else "another process"
        return EngineHeld(f"The document index {self.path} is held by {by}.", "Use that one, or end it first.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn DuckDB's failures into ours; its own texts may quote content, so they go no further."""
        try:
            yield
        except duckdb.Error as error:
            if self._closed:
                raise IndexClosed() from None
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
            return StorageFull(f"The disk of {self.path.parent} is full; nothing was written.", "Free some space.")
        if is_refused(error):
            return WorkspaceUnusable(f"{self.path} cannot be written.", "Check the permissions of the folder.")
        if isinstance(error, duckdb.OutOfMemoryException):
            return WorkspaceUnusable(
                f"The document index needs more than its {self._memory_mb} MB of memory.",
                "Allow it more in the settings.",
            )
        if isinstance(error, OSError):
            return WorkspaceUnusable(f"{self.path} cannot be opened: {error.strerror}.")
        return WorkspaceUnusable(f"The document index failed ({type(error).__name__}).", "See the log.")

    def _files(self) -> list[Path]:
        """The database file and what DuckDB keeps beside it, those that exist."""
        beside = [self.path.with_name(self.path.name + ending) for ending in (".wal", ".wal.checkpoint")]
        return [file for file in (self.path, *beside) if file.exists()]

    def _remove_leftovers(self) -> None:
        for file in self._files():
            file.unlink()

    def _remove_unfinished(self) -> None:
        """What a process that was killed had spilled, and the copy that it was writing."""
        shutil.rmtree(self.path.with_name(f"{self.path.name}.tmp"), ignore_errors=True)
        for ending in (".new", ".new.wal"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _put_away(self) -> None:
        """Keep the unusable file as ``….damaged-<n>``, in place of an earlier one; an encrypted one is not kept."""
        if self._encryption is not None:
            self._remove_leftovers()
            return
        files = self._files()
        if not files:
            return
        numbers = [
            int(match[1]) for file in self._damaged_files() if (match := re.search(r"\.damaged-(\d+)", file.name))
        ]
        number = max(numbers, default=0) + 1
        self._remove_damaged()
        for file in files:
            ending = file.name.removeprefix(self.path.name)
            os.replace(file, self.path.with_name(f"{self.path.name}.damaged-{number}{ending}"))

    def _damaged_files(self) -> list[Path]:
        return list(self.path.parent.glob(f"{self.path.name}.damaged-*"))

    def _remove_damaged(self) -> None:
        for file in self._damaged_files():
            file.unlink()
