"""Tar files one block at a time: made as a stream, and read as one that nobody is trusted to have written well."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Protocol

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1024 * 1024


class Readable(Protocol):
    """Where bytes come from; fewer than asked for may come, none only at the end."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""


def header(name: str, size: int, moment: int) -> bytes:
    """The block before a plain file of ``size`` bytes that you alone may read, written at ``moment`` (Unix time)."""
    made = tarfile.TarInfo(name)
    made.size, made.mtime, made.mode = size, moment, 0o600
    return made.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """What fills the last block of ``size`` bytes."""
    return bytes(-size % BLOCK)


def ending(size: int) -> bytes:
    """What ends an archive whose members take ``size`` bytes."""
    return bytes(2 * BLOCK + -(size + 2 * BLOCK) % tarfile.RECORDSIZE)


def next_header(stream: Readable) -> tarfile.TarInfo | None:
    """The next member's header, None at the end. Raises EOFError where the stream is cut off, tarfile.TarError."""
    block = exactly(stream, BLOCK)
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape") if any(block) else None


def pieces(stream: Readable, size: int) -> Iterator[bytes]:
    """The next ``size`` bytes; raises EOFError where there are fewer."""
    left = size
    while left:
        piece = exactly(stream, min(left, CHUNK))
        left -= len(piece)
        yield piece


def content(stream: Readable, size: int) -> Iterator[bytes]:
    """The ``size`` bytes of a member, and past the padding behind them. Raises EOFError, tarfile.TarError."""
    yield from pieces(stream, size)
    if any(exactly(stream, -size % BLOCK)):
        raise tarfile.HeaderError("something lies between the members")


def exactly(stream: Readable, size: int) -> bytes:
    """The next ``size`` bytes; raises EOFError where there are fewer."""
    data = stream.read(size)
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
