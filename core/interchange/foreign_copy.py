"""A foreign SQLite file, never opened where it lies: its copy is, read-only, by a connection that trusts nothing."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.agentfs.database import translated
from core.errors import InvalidInput, NotFound, Unreachable

LARGEST_FILE = 1024 * 1024 * 1024
LARGEST_CELL = 32 * 1024 * 1024
READING_SECONDS = 120.0
_HEADER = b"SQLite format 3\0"
_ATTEMPTS = 3
_BLOCK = 1024 * 1024
_STEPS_BETWEEN_LOOKS = 20_000
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LARGEST_CELL,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1024 * 1024,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 8,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 8,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}
_ALLOWED_FUNCTIONS = {"count", "lower"}


@dataclass(frozen=True, slots=True)
class ForeignCopy:
    """The copy, open; ``sha256`` is of the file as it lay there, without what was in a ``-wal`` beside it."""

    connection: sqlite3.Connection
    sha256: str


@contextmanager
def opened_copy(source: Path, folder: Path) -> Iterator[ForeignCopy]:
    """Copy ``source``, and the ``-wal`` beside it, into ``folder``, and open that.

    Texts that are no UTF-8 come as strings with surrogates. Raises NotFound, InvalidInput when it is no SQLite file, is
    damaged, too large or not closed properly, and Unreachable while another program writes it.
    """
    copy = folder / "foreign.db"
    sha256 = _copied(source, copy)
    with _complaints(source):
        _take_in_wal(copy)
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            _distrust(connection)
            if [tuple(row) for row in connection.execute("PRAGMA quick_check(1)")] != [("ok",)]:
                raise _damaged(source)
            connection.set_authorizer(_authorized)
            yield ForeignCopy(connection, sha256)


def _copied(source: Path, copy: Path) -> str:
    wal = source.with_name(source.name + "-wal")
    for _ in range(_ATTEMPTS):
        _refuse_unfinished(source)
        before = _looks(source), _looks(wal)
        if before[0] is None:
            raise NotFound(f"There is no file {source}.")
        if before[0].size + (before[1].size if before[1] else 0) > LARGEST_FILE:
            raise _too_large(source)
        copied_wal = copy.with_name(copy.name + "-wal")
        copied_wal.unlink(missing_ok=True)
        try:
            sha256 = _copy(source, copy, header=_HEADER)
            if before[1] is not None and before[1].size:
                _copy(wal, copied_wal)
        except FileNotFoundError:
            # It was closed at this very moment.
            continue
        if (_looks(source), _looks(wal)) == before:
            return sha256
    raise Unreachable(f"{source} is being written by another program.", "Close it there, then import it.")


@dataclass(frozen=True, slots=True)
class _Looks:
    """What tells that a file was changed or replaced."""

    device: int
    inode: int
    size: int
    modified_ns: int


def _looks(path: Path) -> _Looks | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is no file.", "Name an AgentFS file.")
    return _Looks(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _refuse_unfinished(source: Path) -> None:
    """A journal beside it names pages to put back, and files: it is as little ours to play as it is to trust."""
    journal = source.with_name(source.name + "-journal")
    if (found := _looks(journal)) is not None and found.size:
        raise InvalidInput(
            f"{source} was not closed properly: an unfinished change lies in {journal.name}.",
            "Open and close it once with the program that wrote it.",
        )


def _copy(source: Path, copy: Path, *, header: bytes = b"") -> str:
    digest, total = hashlib.sha256(), 0
    try:
        # Without waiting: what was a file a moment ago may be a pipe now.
        with os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as reading:
            if not stat.S_ISREG(os.fstat(reading.fileno()).st_mode):
                raise InvalidInput(f"{source} is no file.", "Name an AgentFS file.")
            if reading.read(len(header)) != header:
                raise _not_one(source)
            reading.seek(0)
            with (
                translated(copy),
                os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as writing,
            ):
                while block := reading.read(_BLOCK):
                    total += len(block)
                    if total > LARGEST_FILE:
                        raise _too_large(source)
                    digest.update(block)
                    writing.write(block)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unreadable(source, error) from None
    return digest.hexdigest()


def _take_in_wal(copy: Path) -> None:
    if copy.with_name(copy.name + "-wal").exists():
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _distrust(connection: sqlite3.Connection) -> None:
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    for setting in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")
    connection.row_factory = sqlite3.Row
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    deadline = time.monotonic() + READING_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)


def _authorized(action: int, first: str | None, second: str | None, _: str | None, through: str | None) -> int:
    """Plain reading and nothing that a view or a trigger of the file would do."""
    if through is not None:
        return sqlite3.SQLITE_DENY
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second in _ALLOWED_FUNCTIONS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first == "table_info":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


@contextmanager
def _complaints(source: Path) -> Iterator[None]:
    """What SQLite says about the copy, as a sentence about ``source``."""
    try:
        yield
    except UnicodeDecodeError:
        # SQLite's own complaint quoted what is no text.
        raise _damaged(source) from None
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_TOOBIG:
            raise InvalidInput(f"{source} holds a value larger than {LARGEST_CELL // 2**20} MiB.") from None
        if code == sqlite3.SQLITE_INTERRUPT:
            raise InvalidInput(f"Reading {source} takes longer than {READING_SECONDS:.0f} seconds.") from None
        if code == sqlite3.SQLITE_NOTADB:
            raise _not_one(source) from None
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            with translated(source):
                raise
        raise _damaged(source) from None


def _damaged(source: Path) -> InvalidInput:
    return InvalidInput(f"{source} is damaged, or not what it claims to be; nothing of it was imported.")


def _too_large(source: Path) -> InvalidInput:
    return InvalidInput(f"{source} is larger than {LARGEST_FILE // 2**30} GiB; such files are not imported.")


def _not_one(source: Path) -> InvalidInput:
    return InvalidInput(f"{source} is no AgentFS file.", "AgentFS keeps them as .agentfs/NAME.db.")


def _unreadable(path: Path, error: OSError | ValueError) -> InvalidInput:
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "no possible name"
    return InvalidInput(f"{path} cannot be read ({reason}).")
