"""What is sent: bytes or a part of a file, read as often as signing and retrying need, and told of while it is sent."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.remote.store import Progress

_CHUNK = 1024 * 1024
_TOLD_EVERY = 128 * 1024


class Stopped(BaseException):
    """Carries what ``progress`` raised past the libraries that would wrap it and try again."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__()
        self.reason = reason


class Body:
    """A seekable stream over ``length`` bytes from ``first`` of bytes or a file, for one thread.

    Only what is read after ``sending`` was set counts as sent; reading to hash and sign is silent.
    """

    def __init__(
        self, data: bytes | Path, first: int = 0, length: int | None = None, progress: Progress | None = None
    ) -> None:
        self.length = size_of(data) - first if length is None else length
        self.sending = False
        self._progress = progress
        self._file: BinaryIO = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
        self._first = first
        self._position = 0
        self._told = 0
        self._file.seek(first)

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        left = self.length - self._position
        piece = self._file.read(left if size is None or size < 0 else min(size, left))
        self._position += len(piece)
        if self.sending and self._progress is not None:
            self._tell(self._progress)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file's."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.length}[whence]
        self._position = self._told = min(max(0, start + offset), self.length)
        self._file.seek(self._first + self._position)
        return self._position

    def tell(self) -> int:
        """As a file's."""
        return self._position

    def close(self) -> None:
        """As a file's."""
        self._file.close()

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(_CHUNK):
            yield piece

    def _tell(self, progress: Progress) -> None:
        if self._position - self._told >= _TOLD_EVERY or (self._position == self.length and self._told < self.length):
            self._told = self._position
            try:
                progress(self._position, self.length)
            except BaseException as reason:  # noqa: BLE001 — whatever ends a transfer comes out as it was
                raise Stopped(reason) from None


@contextmanager
def opened(
    data: bytes | Path, first: int = 0, length: int | None = None, progress: Progress | None = None
) -> Iterator[Body]:
    """A body that is closed at the end; what ``progress`` raised comes out as it was."""
    body = Body(data, first, length, progress)
    try:
        yield body
    except Stopped as stopped:
        raise stopped.reason from None
    finally:
        body.close()


def size_of(data: bytes | Path) -> int:
    """Its bytes."""
    return len(data) if isinstance(data, bytes) else data.stat().st_size


def sha256_of(data: bytes | Path, first: int = 0, length: int | None = None) -> bytes:
    """The digest of a part of it, with constant memory."""
    digest = hashlib.sha256()
    with opened(data, first, length) as body:
        for piece in body:
            digest.update(piece)
    return digest.digest()


def as_base64(digest: bytes) -> str:
    """As S3's headers carry it."""
    return base64.b64encode(digest).decode("ascii")


def from_base64(text: str) -> str:
    """A digest in hexadecimal; empty where ``text`` is none, such as the digest of a multipart upload's digests."""
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        return ""
    return digest.hex() if len(digest) == 32 else ""
