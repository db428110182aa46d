"""An object store read through the cache: what was seen before is there when the remote is not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.cache.keeping import Keeping, keeping
from core.cache.tiers import Kept, MultiTierCache
from core.errors import ObjectMissing, ObjectTooLarge, RemoteUnreachable
from core.ids import sha256_hex
from core.remote.store import AT_MOST, PLAIN, ObjectFacts, ObjectInfo, ObjectStore, Progress


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. ``cached``: without asking the remote; ``offline``: because the remote was not reached.

    ``age`` is the seconds since it came from the remote.
    """

    data: bytes
    cached: bool = False
    offline: bool = False
    age: float = 0.0


class CachedStore:
    """As the store beneath, whose immutable objects are read once. Safe from any thread.

    Writes go through, and keep nothing: only what was read is known to be there. Who checks the remote itself reads
    ``direct``; who finds that an object is not what it should be says so by ``forget``.
    """

    def __init__(self, store: ObjectStore, cache: MultiTierCache) -> None:
        self.direct = store
        self.cache = cache
        self.name = store.name
        self.read_only = store.read_only
        self.meter = store.meter
        self._scope = sha256_hex(store.name.encode())[:16]

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """As ``ObjectStore.put_if_absent``."""
        return self.direct.put_if_absent(key, data, facts, progress)

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """As ``ObjectStore.put``; what was kept of the object is forgotten."""
        try:
            self.direct.put(key, data, facts, progress)
        finally:
            self.forget(key)

    def get(
        self,
        key: str,
        *,
        first: int = 0,
        length: int | None = None,
        at_most: int = AT_MOST,
        progress: Progress | None = None,
    ) -> bytes:
        """As ``ObjectStore.get``, or what is kept."""
        return self.read(key, first=first, length=length, at_most=at_most, progress=progress).data

    def read(
        self,
        key: str,
        *,
        first: int = 0,
        length: int | None = None,
        at_most: int = AT_MOST,
        progress: Progress | None = None,
    ) -> Reading:
        """As ``get``, telling where it came from.

        Parts of an object are answered from the whole when that is kept. A part that is read is not kept: only a whole
        can be compared with the hash that it is named by.
        """
        how = keeping(key)
        if how is None:
            return Reading(self.direct.get(key, first=first, length=length, at_most=at_most, progress=progress))
        name = self._named(key)
        kept = self.cache.find(name, how.sha256, max_age=how.seconds)
        if kept is not None:
            return self._answer(key, kept, first, length, at_most, progress)
        try:
            data = self.direct.get(key, first=first, length=length, at_most=at_most, progress=progress)
        except RemoteUnreachable:
            kept = self.cache.find(name, how.sha256)
            if kept is None:
                raise
            self.cache.count_offline()
            return self._answer(key, kept, first, length, at_most, progress, offline=True)
        except ObjectMissing:
            self.cache.forget(name)
            raise
        if first == 0 and _is_whole(data, length, how):
            self.cache.put(name, data, how.sha256)
        return Reading(data)

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """As ``ObjectStore.get_to``, or what is kept."""
        how = keeping(key)
        if how is None:
            return self.direct.get_to(key, target, at_most=at_most, progress=progress)
        name = self._named(key)
        digest = self.cache.copy_to(name, target, how.sha256, max_age=how.seconds)
        if digest is None:
            try:
                digest = self.direct.get_to(key, target, at_most=at_most, progress=progress)
            except RemoteUnreachable:
                digest = self.cache.copy_to(name, target, how.sha256)
                if digest is None:
                    raise
                self.cache.count_offline()
            except ObjectMissing:
                self.cache.forget(name)
                raise
            else:
                if how.sha256 in ("", digest):
                    self.cache.put_file(name, target, digest)
                return digest
        size = target.stat().st_size
        if size > at_most:
            target.unlink()
            raise _too_large(key, size, at_most)
        if progress is not None:
            progress(size, size)
        return digest

    def head(self, key: str) -> ObjectInfo | None:
        """As ``ObjectStore.head``; of what is kept, when the remote is not reached."""
        try:
            return self.direct.head(key)
        except RemoteUnreachable:
            how = keeping(key)
            kept = self.cache.find(self._named(key), how.sha256) if how is not None else None
            if kept is None:
                raise
            self.cache.count_offline()
            return ObjectInfo(key, len(kept.data), datetime.now(UTC) - timedelta(seconds=kept.age), kept.sha256)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """As ``ObjectStore.list``."""
        return self.direct.list(prefix, after=after, limit=limit)

    def delete(self, keys: Sequence[str]) -> None:
        """As ``ObjectStore.delete``; what was kept of the objects is forgotten."""
        try:
            self.direct.delete(keys)
        finally:
            for key in keys:
                self.forget(key)

    def close(self) -> None:
        """Close the store beneath; the cache stays open."""
        self.direct.close()

    def forget(self, key: str) -> None:
        """Read the object anew next time: what the remote gave was not what it should have been."""
        if keeping(key) is not None:
            self.cache.forget(self._named(key))

    def pin(self, key: str) -> None:
        """Keep what was read of the object whatever else is read. Raises as ``MultiTierCache.pin``."""
        self.cache.pin(self._named(key))

    def unpin(self, key: str) -> None:
        """Let the object give way again."""
        self.cache.unpin(self._named(key))

    def _named(self, key: str) -> str:
        # Another remote may have another object under the same key.
        return f"{self._scope}/{key}"

    @staticmethod
    def _answer(
        key: str,
        kept: Kept,
        first: int,
        length: int | None,
        at_most: int,
        progress: Progress | None,
        *,
        offline: bool = False,
    ) -> Reading:
        data = (
            kept.data if (first, length) == (0, None) else kept.data[first : None if length is None else first + length]
        )
        if len(data) > at_most:
            raise _too_large(key, len(data), at_most)
        if progress is not None:
            progress(len(data), len(data))
        return Reading(data, cached=True, offline=offline, age=kept.age)


def read_exactly(
    store: ObjectStore, key: str, sha256: str, *, first: int = 0, length: int | None = None, at_most: int = AT_MOST
) -> bytes:
    """The bytes of that ``sha256``, which lie in the object ``key``: kept, where ``store`` keeps what it reads.

    Where the remote gives others, they are handed on for the caller to find that out, and not kept.
    """
    if not isinstance(store, CachedStore):
        return store.get(key, first=first, length=length, at_most=at_most)
    kept = store.cache.get(sha256, sha256)
    if kept is not None:
        return kept
    data = store.direct.get(key, first=first, length=length, at_most=at_most)
    store.cache.put(sha256, data, sha256)
    return data


def beneath(store: ObjectStore) -> ObjectStore:
    """The store that asks the remote itself, for whoever checks or mends it."""
    return store.direct if isinstance(store, CachedStore) else store


def forget(store: ObjectStore, key: str) -> None:
    """Have ``key`` read anew next time, where ``store`` keeps what it reads."""
    if isinstance(store, CachedStore):
        store.forget(key)


def _is_whole(data: bytes, length: int | None, how: Keeping) -> bool:
    """Whether ``data``, read from the first byte on, are known to be the whole object."""
    return length is None or (bool(how.sha256) and hashlib.sha256(data).hexdigest() == how.sha256)


def _too_large(key: str, size: int, at_most: int) -> ObjectTooLarge:
    return ObjectTooLarge(f"{key} in the remote has {size:,} bytes; at most {at_most:,} are read.")
