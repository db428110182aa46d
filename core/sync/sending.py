"""The only place from which content goes to a remote: packed, under the hash of its bytes, and never overwritten."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from core.errors import RemoteUnreachable
from core.ids import sha256_hex
from core.privacy import Cleared
from core.remote.store import ObjectFacts, ObjectStore
from core.sync.areas import AreaLocks
from core.sync.commit import Commit, Place, body_of, encode, log_key
from core.sync.failpoints import reached
from core.sync.moving import UNWATCHED, Watch
from core.sync.packing import Encoding, compress
from core.sync.signing import Signer
from core.sync_model import AreaKind, Direction

AT_ONCE = 16
SMALL = 256 * 1024
"""Content that is smaller, as stored, shares an object with others."""
PACK = 8 * 1024 * 1024
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Parcel:
    """Content ready to be stored; ``data`` are the bytes as they will lie there."""

    data: bytes
    encoding: Encoding


def publish(store: ObjectStore, key: str, data: bytes, facts: ObjectFacts, *, replace: bool) -> bool:
    """Put text that the one door cleared for everybody under a readable key; false where something is there already.

    ``data`` are made of what ``release`` gave, and of nothing else. With ``replace`` it takes the place of what is
    there: of what is derived from the log alone, or was copied from a blob that stays. Raises what the store raises.
    """
    for left in reversed(range(_TRIES)):
        try:
            if replace:
                store.put(key, data, facts)
                return True
            if store.put_if_absent(key, data, facts):
                return True
            present = store.head(key)
            return present is not None and present.size == len(data) and store.get(key) == data
        except RemoteUnreachable:
            if not left:
                raise
    raise AssertionError("the last try answers or raises")


def put_back(store: ObjectStore, key: str, data: bytes) -> None:
    """Put back a commit as it was taken in here, where it is gone or something else lies in its place."""
    store.put(key, data)


class Sender:
    """Sends to one area. Not for several threads at once; close it when all was added."""

    def __init__(
        self,
        store: ObjectStore,
        locks: AreaLocks,
        watch: Watch = UNWATCHED,
        *,
        free: Callable[[str], str] = lambda key: key,
    ) -> None:
        """``free`` gives another key for one that is about to be taken away."""
        self._free = free
        self._store = store
        self._locks = locks
        self._watch = watch
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._under_way: list[Future[None]] = []
        self._pack: list[bytes] = []
        self._packed: list[tuple[int, int, str, Encoding, int]] = []
        self._size = 0
        self._places: dict[int, Place] = {}
        self._count = 0

    def close(self) -> None:
        """End the threads; what is under way ends by itself."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, cleared: Cleared, encoding: Encoding) -> int:
        """Take in content that was cleared; the answer is the number by which ``finish`` tells its place.

        What others get has an object of its own, so that it can be taken away when it is unshared.
        """
        return self._take(self._parcel(cleared, encoding), alone=self._locks.area.kind is not AreaKind.USER)

    def finish(self) -> list[Place]:
        """Where everything that was added lies, by its numbers, once all of it is there. Raises what the store does."""
        self._flush()
        for each in self._under_way:
            each.result()
        self._under_way.clear()
        reached("blobs-sent")
        places = [self._places[number] for number in range(self._count)]
        self._places.clear()
        self._count = 0
        return places

    def encoded(self, commit: Commit, signer: Signer) -> bytes:
        """The stored bytes of ``commit``."""
        body = body_of(commit)
        return self._locks.close(encode(body, signer.sign(body)))

    def try_commit(self, commit: Commit, data: bytes) -> None:
        """Try to put ``commit``, encoded as ``data``, into the log.

        Whether it is there is told by reading the log alone: an answer may be lost, and a request may arrive late.
        """
        reached("before-commit")
        with contextlib.suppress(RemoteUnreachable):
            self._store.put_if_absent(log_key(commit.area, commit.seq), data)
        reached("after-commit")

    def _parcel(self, cleared: Cleared, encoding: Encoding) -> Parcel:
        if encoding is not Encoding.NONE:
            return Parcel(cleared.data, encoding)
        packed = compress(cleared.data)
        if not self._locks.area.is_sealed:
            return Parcel(packed, Encoding.ZSTD)
        return Parcel(self._locks.close(packed), Encoding.ZSTD_AGE)

    def _take(self, parcel: Parcel, *, alone: bool) -> int:
        number, self._count = self._count, self._count + 1
        digest = sha256_hex(parcel.data)
        if alone or len(parcel.data) >= SMALL:
            key = self._key(digest)
            self._places[number] = Place(key, 0, len(parcel.data), digest, parcel.encoding)
            self._send(key, parcel.data)
            return number
        self._packed.append((self._size, len(parcel.data), digest, parcel.encoding, number))
        self._pack.append(parcel.data)
        self._size += len(parcel.data)
        if self._size >= PACK:
            self._flush()
        return number

    def _flush(self) -> None:
        if not self._pack:
            return
        data = b"".join(self._pack)
        key = self._key(sha256_hex(data))
        for first, length, digest, encoding, number in self._packed:
            self._places[number] = Place(key, first, length, digest, encoding)
        self._pack, self._packed, self._size = [], [], 0
        self._send(key, data)

    def _key(self, digest: str) -> str:
        return self._free(f".bailiwick/blobs/{self._locks.area.id}/{digest[:2]}/{digest}")

    def _send(self, key: str, data: bytes) -> None:
        self._watch.check()
        while len(self._under_way) >= AT_ONCE:
            self._under_way.pop(0).result()
        self._under_way.append(self._pool.submit(self._put, key, data))

    def _put(self, key: str, data: bytes) -> None:
        for left in reversed(range(_TRIES)):
            self._watch.check()
            reached("before-blob")
            try:
                with self._watch.transfer(self._locks.area.id, key, Direction.UP, len(data)) as progress:
                    # Under that name lies this content or nothing, so it does not matter who put it there.
                    self._store.put_if_absent(key, data, progress=progress)
                return
            except RemoteUnreachable:
                if not left:
                    raise
