"""What every object store can do, and how an object is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.errors import InvalidInput
from core.remote.meter import OperationMeter

LONGEST_KEY = 1024
AT_MOST = 256 * 1024 * 1024
"""The most bytes ``get`` answers where the caller names no other bound."""

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, 0 while unknown; what it raises ends the transfer."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """How an object is stored, as HTTP headers say it; empty strings are not sent."""

    content_type: str = "application/octet-stream"
    content_encoding: str = ""
    cache_control: str = ""


PLAIN = ObjectFacts()


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object; ``sha256`` is in hexadecimal, and empty where the store keeps none."""

    key: str
    size: int
    modified: datetime
    sha256: str = ""


class ObjectStore(Protocol):
    """One remote. Safe from any thread; nothing of it retries for ever.

    All raise RemoteUnreachable when nothing answered in time (then nobody knows what became of a write),
    RemoteRefused when the store said no, and InvalidInput for a key that no store takes.
    """

    name: str
    """The URL without credentials."""
    read_only: bool
    meter: OperationMeter

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """Store an object where there is none; False when there is one. Of several at once one gets True."""

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """Store an object, in place of one that is there."""

    def get(
        self,
        key: str,
        *,
        first: int = 0,
        length: int | None = None,
        at_most: int = AT_MOST,
        progress: Progress | None = None,
    ) -> bytes:
        """The object, or ``length`` bytes from ``first``; raises ObjectMissing, or ObjectTooLarge before reading."""

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """Write the object to ``target`` with constant memory; the answer is its SHA-256. Raises as ``get``."""

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, ``None`` when there is none."""

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Objects whose keys begin with ``prefix`` and come after ``after``, by key, at most ``limit`` (1,000)."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete the objects that are there of ``keys``."""

    def close(self) -> None:
        """Close connections; nothing may be called any more."""


def checked_key(key: str) -> str:
    """``key``; raises InvalidInput when it is none that every store takes, or points out of its folder."""
    parts = key.split("/")
    if (
        not key
        or len(key.encode("utf-8", "replace")) > LONGEST_KEY
        or not key.isprintable()
        or "\\" in key
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise InvalidInput(f"{key[:60]!r} cannot be an object's key.")
    return key
