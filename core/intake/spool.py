"""The spool: what hooks leave for the engine, one line each in ``intake/calls.jsonl``, in the order it came.

A hook's whole process has a few milliseconds, so this module and those a hook imports know nothing but the standard
library's small parts: no pathlib, no dataclasses, nothing else of ``core``.
"""

from __future__ import annotations

import fcntl
import os
import time

FOLDER = "intake"
FILE = "calls.jsonl"
HEADER_BYTES = 64
LARGEST_BYTES = 64 * 1024 * 1024
LOCK_SECONDS = 1.0
_PAUSE_SECONDS = 0.002


class SpoolRefused(Exception):
    """The record was not kept; the message is one sentence without content."""


def spool_path(workspace: str) -> str:
    """Where the spool of a workspace lies."""
    return os.path.join(workspace, FOLDER, FILE)


def spool_waits(workspace: str | os.PathLike[str]) -> bool:
    """Whether there is a spool; what is in it may be taken in already."""
    return os.path.exists(spool_path(os.fspath(workspace)))


def append(workspace: str, record: bytes) -> None:
    """Add ``record``, a line without its end; when this returns, it is on the disk, whole.

    Safe from any process. Raises SpoolRefused and OSError; then no part of a line is left behind.
    """
    path = spool_path(workspace)
    while True:
        descriptor = _open(workspace, path)
        try:
            if not lock(descriptor, LOCK_SECONDS):
                raise SpoolRefused("the spool was locked all the time")
            present = os.fstat(descriptor)
            if present.st_nlink == 0:
                # The engine took everything in and took the file away meanwhile.
                continue
            is_new = present.st_size == 0
            _write(descriptor, present.st_size, _new_header() + record if is_new else record)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.fsync(descriptor)
            if is_new:
                _sync_folder(os.path.dirname(path))
                _sync_folder(workspace)
            return
        finally:
            os.close(descriptor)


def lock(descriptor: int, seconds: float) -> bool:
    """Take the file for this process alone, trying for so long."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(_PAUSE_SECONDS)
        else:
            return True


def _open(workspace: str, path: str) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        # Only the folder is made, never the workspace: where that is gone, nobody will take anything in.
        make_folder(os.path.dirname(path))
        return os.open(path, flags, 0o600)


def make_folder(path: str) -> None:
    """Make one folder, for this user alone; its parent must be there."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return


def _write(descriptor: int, size: int, lines: bytes) -> None:
    if size + len(lines) > LARGEST_BYTES:
        raise SpoolRefused("the spool is full: no engine has taken it in for long")
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        lines = b"\n" + lines
    lines += b"\n"
    try:
        written = os.write(descriptor, lines)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
    if written != len(lines):
        os.ftruncate(descriptor, size)
        raise SpoolRefused("the disk is full")


def _new_header() -> bytes:
    """The first line of a spool, by which one is told from the next of the same name."""
    return b'{"spool": "%s"}\n' % os.urandom(12).hex().encode()


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
