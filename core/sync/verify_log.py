"""Checking the commit logs: every number there, each as it was taken in, each signed by whom it should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from core.errors import Locked, ObjectMissing, ObjectTooLarge, SealBroken, WorkspaceUnusable, WrongKey
from core.remote.store import ObjectInfo, ObjectStore
from core.sync.areas import AreaLocks
from core.sync.commit import LARGEST_COMMIT, Commit, Signed, decode, log_key, stored_hash
from core.sync.devices import Devices
from core.sync.remote_identity import ROOT
from core.sync.segments import SEGMENT, read_segment, segment_key
from core.sync.signing import is_signed
from core.sync.tables import SyncTables
from core.sync_model import Area, Damage, DamageKind

REPAIR = "bailiwick repair"
ELSEWHERE = "bailiwick repair, on another device that has it"
STRANGER = "Find out who else can write there; `bailiwick repair` takes it away."
AT_ONCE = 16
NUMBER = re.compile("[0-9]{12}")


@dataclass(slots=True)
class LogFindings:
    """What was found in one area's log. ``after`` are the sound commits that this device has not taken in yet."""

    commits: int = 0
    bytes_read: int = 0
    damages: list[Damage] = field(default_factory=list)
    after: list[Commit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LogCheck:
    """Checks one area's log; changes nothing."""

    store: ObjectStore
    tables: SyncTables
    devices: Devices
    locks: AreaLocks

    @property
    def area(self) -> Area:
        """The area."""
        return self.locks.area

    def run(self, progress: Callable[[int, int], None]) -> LogFindings:
        """Read the whole log. Raises Locked where new commits are sealed, and what the store raises."""
        found = LogFindings()
        listed = self._listed(found)
        position = self.tables.position(self.area.id)
        remembered = {seq: hash_ for seq, hash_, _ in self.tables.commits(self.area.id, 1, position.seq)}
        remembered[position.seq] = position.hash
        newest = max(listed, default=0)
        last = max(newest, position.seq)
        before: str | None = ""
        hashes: dict[int, str] = {}
        for seq, data in self._read(listed, last):
            found.commits += 1
            found.bytes_read += len(data or b"")
            progress(seq, last)
            if data is None:
                found.damages.append(self._lacking(seq, newest, position.seq))
                before = remembered.get(seq)
                continue
            digest = stored_hash(data)
            if remembered.get(seq) != digest:
                problem = self._problem(seq, data, remembered.get(seq), before, found)
                if problem is not None:
                    found.damages.append(problem)
                    # A fork is whole, and what comes after it follows it.
                    before = digest if problem.kind is DamageKind.FORKED else remembered.get(seq)
                    continue
            before = hashes[seq] = digest
        self._check_segments(hashes, found)
        return found

    def _check_segments(self, hashes: dict[int, str], found: LogFindings) -> None:
        """Segments hold the commits once more, for devices that are far behind: they have to be the same."""
        prefix = f"{ROOT}/segments/{self.area.id}/"
        for info in all_under(self.store, prefix):
            first, _, last = info.key.removeprefix(prefix).partition("-")
            if not (
                NUMBER.fullmatch(first) and NUMBER.fullmatch(last) and info.key == segment_key(self.area.id, int(first))
            ):
                found.damages.append(foreign(info.key, "is no segment of a log"))
                continue
            commits = read_segment(self.store, self.area.id, int(first))
            found.bytes_read += sum(map(len, commits))
            wanted = [hashes.get(seq) for seq in range(int(first), int(first) + SEGMENT)]
            if None not in wanted and [stored_hash(each) for each in commits] != wanted:
                reason = f"{info.key} does not hold the commits that the log holds."
                found.damages.append(Damage(DamageKind.DAMAGED, info.key, reason, REPAIR))

    def _listed(self, found: LogFindings) -> dict[int, ObjectInfo]:
        prefix = f"{ROOT}/log/{self.area.id}/"
        listed: dict[int, ObjectInfo] = {}
        for info in all_under(self.store, prefix):
            name = info.key.removeprefix(prefix)
            if NUMBER.fullmatch(name) and int(name):
                listed[int(name)] = info
            else:
                found.damages.append(foreign(info.key, "is no commit of a log"))
        return listed

    def _read(self, listed: dict[int, ObjectInfo], last: int) -> Iterator[tuple[int, bytes | None]]:
        def one(seq: int) -> bytes | None:
            if seq not in listed:
                return None
            try:
                return self.store.get(log_key(self.area.id, seq), at_most=LARGEST_COMMIT)
            except ObjectMissing:
                return None
            except ObjectTooLarge:
                return b""

        # A gap that a stranger makes by one high number is not read number by number.
        numbers = list(range(1, last + 1)) if last - len(listed) < 100_000 else sorted(listed)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from zip(numbers, pool.map(one, numbers), strict=True)

    def _lacking(self, seq: int, newest: int, taken_in: int) -> Damage:
        key = log_key(self.area.id, seq)
        if seq <= taken_in and seq > newest:
            reason = f"The log of {self.area.id} ends at commit {newest}, and this device has seen {taken_in}."
            return Damage(DamageKind.ROLLED_BACK, key, reason, REPAIR)
        reason = f"Commit {seq} of {self.area.id} is missing."
        return Damage(DamageKind.MISSING, key, reason, REPAIR if seq <= taken_in else ELSEWHERE)

    def _problem(
        self, seq: int, data: bytes, known: str | None, before: str | None, found: LogFindings
    ) -> Damage | None:
        """What is wrong with bytes that are not those that were taken in as commit ``seq``."""
        key = log_key(self.area.id, seq)
        name = f"Commit {seq} of {self.area.id}"
        cure = REPAIR if known else ELSEWHERE
        if (other := self.tables.seq_of_hash(self.area.id, stored_hash(data))) is not None:
            return Damage(DamageKind.FOREIGN, key, f"{name} is commit {other}, put there again.", cure)
        try:
            signed = decode(self.locks.open(data, name), self.area.id, seq)
        except (Locked, WorkspaceUnusable):
            raise
        except (SealBroken, WrongKey) as error:
            kind = DamageKind.FOREIGN if isinstance(error, WrongKey) else DamageKind.DAMAGED
            return Damage(kind, key, error.message, cure)
        if not self._is_signed(signed):
            return foreign(key, f"was not signed by a device that is trusted in {self.area.id}: it is forged")
        if known:
            reason = f"{name} is another one than this device took in as that: the log was forked."
            return Damage(DamageKind.FORKED, key, reason, REPAIR)
        if before is not None and signed.commit.prev != before:
            reason = f"{name} does not go on from the commit before it: the log was forked."
            return Damage(DamageKind.FORKED, key, reason, ELSEWHERE)
        found.after.append(signed.commit)
        return None

    def _is_signed(self, signed: Signed) -> bool:
        for anew in (False, True):
            key = self.devices.signing_key(signed.commit.device, self.area, anew=anew)
            if key and is_signed(key, signed.body, signed.signature):
                return True
        return False


def all_under(store: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
    """Every object whose key begins with ``prefix``, by key."""
    after = ""
    while page := store.list(prefix, after=after):
        yield from page
        after = page[-1].key


def foreign(key: str, why: str) -> Damage:
    """The finding of what nobody of ours wrote."""
    return Damage(DamageKind.FOREIGN, key, f"{key} {why}.", STRANGER)
