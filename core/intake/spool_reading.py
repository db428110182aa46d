"""The engine's side of the spool: what lies behind a place in it, and taking it away once all of it is taken in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.agentfs.database import translated
from core.intake.spool import HEADER_BYTES, lock, spool_path

CHUNK_BYTES = 32 * 1024
KEPT_BYTES = 256 * 1024
_LOCK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """How far a spool, known by its first line, was taken in."""

    spool: str
    offset: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of the spool, and the place behind them; ``is_last`` says that nothing more lay there."""

    lines: tuple[bytes, ...]
    end: Place
    is_last: bool


def signature(workspace: Path) -> tuple[int, int] | None:
    """What changes when something is added to the spool; ``None`` while there is none."""
    try:
        present = os.stat(spool_path(str(workspace)))
    except OSError:
        return None
    return present.st_ino, present.st_size


def read(workspace: Path, place: Place | None) -> Chunk | None:
    """What comes after ``place``, or from the beginning where that is another spool's; ``None`` when nothing does."""
    path = Path(spool_path(str(workspace)))
    with translated(path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            head, separator, _ = os.pread(descriptor, HEADER_BYTES, 0).partition(b"\n")
            if not separator:
                return None
            spool = head.decode("ascii", "replace")
            offset = place.offset if place is not None and place.spool == spool else len(head) + 1
            # A hook syncs what it wrote a moment later; what is taken in must not be lost to a power cut that the
            # place survives, or what is written next would lie before the place.
            os.fsync(descriptor)
            data = os.pread(descriptor, CHUNK_BYTES, offset)
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) == CHUNK_BYTES:
                # No line of a hook's is so long: pass over it.
                whole = len(data)
            if not whole:
                return None
            lines = tuple(line for line in data[:whole].split(b"\n") if line)
            is_last = offset + whole == os.fstat(descriptor).st_size
            return Chunk(lines, Place(spool, offset + whole), is_last)
        finally:
            os.close(descriptor)


def take_away(workspace: Path, end: Place) -> None:
    """Delete the spool when it has grown and ends at ``end``, up to where it was taken in; else leave it."""
    if end.offset < KEPT_BYTES:
        return
    path = Path(spool_path(str(workspace)))
    with translated(path):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            if not lock(descriptor, _LOCK_SECONDS):
                return
            head = os.pread(descriptor, HEADER_BYTES, 0).partition(b"\n")[0].decode("ascii", "replace")
            present = os.fstat(descriptor)
            if present.st_nlink and head == end.spool and present.st_size == end.offset:
                path.unlink()
        finally:
            os.close(descriptor)
