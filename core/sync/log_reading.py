"""Reads an area's log from where this device is to its end, believing nothing that is not signed and chained."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.errors import ObjectMissing, ObjectTooLarge, SealBroken, WrongKey
from core.remote.store import ObjectStore
from core.sync.areas import AreaLocks
from core.sync.commit import LARGEST_COMMIT, Commit, decode, log_key, stored_hash
from core.sync.devices import Devices
from core.sync.moving import UNWATCHED, Watch
from core.sync.segments import SEGMENT, read_segment
from core.sync.signing import is_signed
from core.sync.tables import Position

AHEAD = 16
_CURE = "`bailiwick verify` names what is wrong, `bailiwick repair` puts back what this device has."


@dataclass(frozen=True, slots=True)
class ReadCommit:
    """A commit that was checked, with its stored bytes and their hash."""

    commit: Commit
    data: bytes
    hash: str


class LogReader:
    """Reads one area's log. Safe from any thread."""

    def __init__(self, store: ObjectStore, locks: AreaLocks, devices: Devices, watch: Watch = UNWATCHED) -> None:
        self._store = store
        self._locks = locks
        self._devices = devices
        self._watch = watch

    def require_known(self, position: Position) -> None:
        """Raise SealBroken when the commit this device took in last is not there any more as it was."""
        if not position.seq:
            return
        data = self._get(position.seq)
        area = self._locks.area.id
        if data is None:
            raise SealBroken(
                f"The log of {area} was rolled back: this device took in commit {position.seq}, and it is gone.", _CURE
            )
        if stored_hash(data) != position.hash:
            raise SealBroken(
                f"The log of {area} was forked: commit {position.seq} is another than this device took in.", _CURE
            )

    def read(self, position: Position) -> Iterator[ReadCommit]:
        """The commits after ``position``, in their order, until one is not there.

        Raises SealBroken for one that is damaged, forged or does not follow, WorkspaceUnusable for one of a newer
        version, Locked, and what the store raises.
        """
        before = position.hash
        for seq, data, is_copy in self._stored(position.seq + 1):
            self._watch.check()
            try:
                read = self._checked(seq, data, before)
            except (SealBroken, WrongKey):
                # What is wrong with a segment harms nobody: the log itself decides.
                right = self._get(seq) if is_copy else None
                if right is None:
                    raise
                read = self._checked(seq, right, before)
            before = read.hash
            yield read

    def _stored(self, seq: int) -> Iterator[tuple[int, bytes, bool]]:
        """Numbers and stored bytes from ``seq`` on, and whether they are from a segment: one at first, then ever more
        at once, then segments.
        """
        data = self._get(seq)
        if data is None:
            return
        yield seq, data, False
        seq += 1
        ahead, looked_for = 1, 0
        with ThreadPoolExecutor(AHEAD) as pool:
            while True:
                first = seq - (seq - 1) % SEGMENT
                if ahead == AHEAD and first != looked_for:
                    looked_for = first
                    for data in read_segment(self._store, self._locks.area.id, first)[seq - first :]:
                        yield seq, data, True
                        seq += 1
                    continue
                # Up to the next boundary, from where on there may be a segment again.
                for data in pool.map(self._get, range(seq, min(seq + ahead, first + SEGMENT))):
                    if data is None:
                        return
                    yield seq, data, False
                    seq += 1
                ahead = min(AHEAD, 2 * ahead)

    def _get(self, seq: int) -> bytes | None:
        try:
            return self._store.get(log_key(self._locks.area.id, seq), at_most=LARGEST_COMMIT)
        except ObjectMissing:
            return None
        except ObjectTooLarge:
            raise SealBroken(f"Commit {seq} of {self._locks.area.id} is larger than any of ours.", _CURE) from None

    def _checked(self, seq: int, data: bytes, before: str) -> ReadCommit:
        area = self._locks.area
        signed = decode(self._locks.open(data, f"Commit {seq} of {area.id}"), area.id, seq)
        if not any(
            (key := self._devices.signing_key(signed.commit.device, area, anew=anew))
            and is_signed(key, signed.body, signed.signature)
            for anew in (False, True)
        ):
            raise SealBroken(
                f"Commit {seq} of {area.id} was not signed by a device that is trusted there: it is forged.", _CURE
            )
        if signed.commit.prev != before:
            raise SealBroken(
                f"Commit {seq} of {area.id} does not follow the one that this device took in: the log was forked.",
                _CURE,
            )
        return ReadCommit(signed.commit, data, stored_hash(data))
