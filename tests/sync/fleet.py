"""Several devices of one user over a faulty remote, and what must be true of them when all is quiet again.

Names of invariants: I1 nothing here is overwritten that is not in the log, or kept; I2 each operation is made of what
was there before it; I3 what the log names is there, and is what was sent; I4 the log is one chain; I5 devices at rest
are equal to the log and have nothing to send; I6 of two versions both are kept; I7 what was deleted stays deleted
unless somebody edited it; I8 no crash needs anybody's help; I9 only what nothing names is taken away; I10 a sync stays
within its plan; I11 what each changed in a place of its own is merged, and all of it is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from core.agentfs import items
from core.agentfs.database import from_text, now, to_text
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore
from core.conflicts.service import ConflictService
from core.errors import BailiwickError, ObjectMissing
from core.ids import sha256_hex
from core.model import Kind
from core.remote.folder import FolderStore
from core.sync import area_sync, failpoints, pulling, taking_in
from core.sync.area_sync import AreaSync
from core.sync.commit import Commit, Operation, decode, log_key, stored_hash
from core.sync.devices import Devices
from core.sync.garbage import collect
from core.sync.planning import planned
from core.sync.prices import FREE
from core.sync.pulling import EVERYTHING, FetchPolicy
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync_model import Change
from tests.sync.faulty_store import FaultyStore
from tests.sync.syncing import AREA, Syncing, join
from tests.sync.two_devices import PERSON, USER

PATHS = ("notes/x", "notes/y", "notes/z")
TALLY = "tallies/shared"
"""What each device counts in a place of its own."""
NAMES = ("laptop", "desk", "phone", "tablet")
LARGE = 600
MOST_ROUNDS = 12
CRASHES = ("after-scan", "blobs-sent", "before-commit", "after-commit", "before-blob", "before-apply", "after-apply")
CRASHES += ("after-look", "after-base", "after-advance")
AWAY = timedelta(hours=80)
"""Longer than the time of grace."""
BETWEEN = ("after-scan", "blobs-sent", "before-commit", "after-commit", "before-apply", "after-look", "after-apply")


CHANGED = ((area_sync, "now"), (items, "now"), (taking_in, "TOGETHER"), (pulling, "WINDOW"))
"""What a run changes, and puts right again."""


class Crash(BaseException):
    """The process dies here."""


class Violation(AssertionError):
    """An invariant does not hold; the message begins with its name."""


@dataclass(slots=True)
class Member:
    """A device, its running process, and what its user did."""

    syncing: Syncing
    running: AreaSync | None = None
    written: dict[str, str] = field(default_factory=dict)
    """Texts that this user put here and has not replaced knowingly since, with their versions."""
    deleted: set[tuple[str, str]] = field(default_factory=set)
    """The paths and texts that this user deleted here."""
    tally: int = 0
    foreign: bool = False
    """Whether it forgot the remote once: what it has then comes back, even where others had deleted it."""

    def area(self) -> AreaSync:
        """The sync of its running process."""
        if self.running is None:
            self.running = self.syncing.area()
        return self.running


@dataclass(slots=True)
class Interference:
    """What happens at the points that one sync reaches: a crash, or something that others do meanwhile."""

    crash_at: tuple[str, int] | None = None
    between: tuple[str, Callable[[], None]] | None = None


class Fleet:
    """Three devices, and a fourth that may join late. Not for several threads."""

    def __init__(self, root: Path, source: random.Random) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "remote").mkdir()
        self._root = root
        self._source = source
        self.folder = FolderStore(root / "remote")
        self.store = FaultyStore(self.folder, source)
        self.members: list[Member] = []
        self._texts = 0
        self._deleted: set[tuple[str, str]] = set()
        self._ruled: set[str] = set()
        """Paths that were ruled on: what is ruled for may come back on purpose."""
        self._nested = False
        self.ahead = timedelta()
        self.said: list[str] = []
        self.counts = {
            "syncs": 0,
            "crashes": 0,
            "conflicts": 0,
            "commits": 0,
            "faults": 0,
            "deletions": 0,
            "collected": 0,
            "rulings": 0,
            "merges": 0,
            "rounds": 0,
        }
        for _ in range(3):
            self.join()

    def close(self) -> None:
        """Close every workspace."""
        for each in self.members:
            each.syncing.device.agentfs.close()

    # What users do

    def join(self) -> Member:
        """Another device; what it wrote before it knew the remote is its own."""
        name = NAMES[len(self.members)]
        first = self.members[0].syncing if self.members else None
        rate, self.store.rate = self.store.rate, 0.0
        member = Member(join(self._root / name, name, self.store, first=first))  # type: ignore[arg-type]
        self.store.rate = rate
        self.members.append(member)
        return member

    def write(self, member: Member, path: str, *, large: bool = False) -> None:
        """The user writes what nobody wrote before."""
        self._texts += 1
        text = f"{self._texts} by {member.syncing.device.name}"
        self._put(member, path, text + (" and more" * LARGE if large else ""))

    def delete(self, member: Member, path: str) -> None:
        """The user deletes what is there, if anything is."""
        text = member.syncing.read(path)
        if text is None:
            return
        self._forget_knowingly(member, text)
        self._deleted.add((path, text))
        member.deleted.add((path, text))
        member.syncing.delete(path)
        self.said.append(f"{member.syncing.device.name} deletes {path} ({text[:20]})")

    def count(self, member: Member) -> None:
        """The user counts one more, beside what the others count."""
        text = member.syncing.read(TALLY)
        member.tally += 1
        tallies = {**(json.loads(text) if text is not None else {}), member.syncing.device.name: member.tally}
        member.syncing.write(TALLY, json.dumps(tallies), Kind.RESEARCH_FINDING)
        self.said.append(f"{member.syncing.device.name} counts {tallies}")

    def rule(self, member: Member, take: Took) -> None:
        """The user rules on the oldest conflict that is open here, whatever others do."""
        service = ConflictService(member.syncing.device.agentfs, USER)
        for each in service.all(ConflictStatus.OPEN)[:1]:
            service.resolve_many([each.id], take, by=PERSON)
            self.counts["rulings"] += 1
            self._ruled.add(each.path)
            text = member.syncing.read(each.path)
            self.said.append(f"{member.syncing.device.name} rules for {take} of {each.path} ({(text or '-')[:20]})")

    def rename(self, member: Member, path: str, to: str) -> None:
        """The user moves what is there."""
        text = member.syncing.read(path)
        if text is None or path == to:
            return
        self.delete(member, path)
        self._put(member, to, text)

    def _put(self, member: Member, path: str, text: str) -> None:
        before = member.syncing.read(path)
        if before is not None:
            self._forget_knowingly(member, before)
        member.syncing.write(path, text)
        version = member.syncing.device.tree.version(path)
        assert version is not None
        member.written[text] = version
        self._deleted.discard((path, text))
        for each in self.members:
            each.deleted.discard((path, text))
        self.said.append(f"{member.syncing.device.name} writes {path} ({text[:20]})")

    @staticmethod
    def _forget_knowingly(member: Member, text: str) -> None:
        member.written.pop(text, None)

    def forget(self, member: Member) -> None:
        """The device knows nothing of the remote any more, keeps what it has, and joins anew."""
        agentfs = member.syncing.device.agentfs
        SyncTables(agentfs.database).forget()
        member.running = None
        member.foreign = True
        rate, self.store.rate = self.store.rate, 0.0
        Devices(agentfs, self.store, SyncTables(agentfs.database), Teams(agentfs)).register(member.syncing.device.name)
        self.store.rate = rate
        self.said.append(f"{member.syncing.device.name} forgets the remote")

    # What devices do

    def sync(
        self,
        member: Member,
        policy: FetchPolicy = EVERYTHING,
        *,
        rate: float = 0.0,
        interference: Interference | None = None,
    ) -> None:
        """One sync amid faults, which may fail, and crash."""
        self.counts["syncs"] += 1
        self.said.append(
            f"{member.syncing.device.name} syncs, {interference.crash_at if interference is not None else None}"
        )
        before, self.store.rate = self.store.rate, rate
        try:
            with self._interfered(interference):
                result = member.area().run(policy, approved=True)
            self.counts["conflicts"] += result.conflicts
            self._check_deleted_here(member)
        except Crash:
            self.counts["crashes"] += 1
            member.running = None
            self.said.append(f"{member.syncing.device.name} crashed")
        except BailiwickError as error:
            self.said.append(f"{member.syncing.device.name} failed: {error.message[:60]}")
            if rate == 0.0 and not self._nested and interference is None:
                raise
        finally:
            self.store.rate = before

    def collect(self, member: Member, *, rate: float = 0.0) -> None:
        """The device takes away what nothing names."""
        self.said.append(f"{member.syncing.device.name} collects")
        before, self.store.rate = self.store.rate, rate
        try:
            self.counts["collected"] += collect(self.store, member.area()).deleted
        except BailiwickError:
            if rate == 0.0:
                raise
        finally:
            self.store.rate = before

    def days_pass(self) -> None:
        """Everything that lies there, and that was announced, is older than the time of grace."""
        self.said.append("days pass")
        for path in (self._root / "remote").rglob("*"):
            if path.is_file():
                moment = path.stat().st_mtime - AWAY.total_seconds()
                os.utime(path, (moment, moment))
        for each in self.members:
            with each.syncing.device.agentfs.database.transaction() as connection:
                rows = connection.execute("SELECT area, object, known_at FROM sync_collected").fetchall()
                connection.executemany(
                    "UPDATE sync_collected SET known_at = ? WHERE area = ? AND object = ?",
                    [(to_text(from_text(row["known_at"]) - AWAY), row["area"], row["object"]) for row in rows],
                )

    def clock(self) -> datetime:
        """What the clock of whoever asks shows."""
        return now() + self.ahead

    def fetch(self, member: Member) -> None:
        """Everything that is known there but was not fetched comes."""
        tables = SyncTables(member.syncing.device.agentfs.database)
        if paths := [each.path for each in tables.not_fetched(AREA.id)]:
            member.area().fetch(paths)

    @contextmanager
    def _interfered(self, interference: Interference | None) -> Iterator[None]:
        before = failpoints.on_reached
        if interference is None:
            # What others do in the middle of a sync is not interfered with itself.
            failpoints.on_reached = None
            try:
                yield
            finally:
                failpoints.on_reached = before
            return
        left = interference.crash_at[1] if interference.crash_at is not None else 0
        done = False

        def reached(name: str) -> None:
            nonlocal left, done
            if interference.between is not None and name == interference.between[0] and not done:
                done = True
                nested, self._nested = self._nested, True
                try:
                    interference.between[1]()
                finally:
                    self._nested = nested
            if interference.crash_at is not None and name == interference.crash_at[0]:
                left -= 1
                if left == 0:
                    raise Crash(name)

        failpoints.on_reached = reached
        try:
            yield
        finally:
            failpoints.on_reached = before

    # What must be true

    def settle(self) -> int:
        """Every fault ends and every device syncs until nobody has anything to do; in how many rounds."""
        self.store.rate = 0.0
        self.store.settle()
        for number in range(1, MOST_ROUNDS + 1):
            moved = False
            for each in self.members:
                each.running = None
                tables = SyncTables(each.syncing.device.agentfs.database)
                position = tables.position(AREA.id).seq
                plan, before = planned([each.area()], FREE, EVERYTHING).operations, self.store.meter.total()
                result = each.area().run(approved=True)
                used = self.store.meter.total() - before
                if used.class_a > plan.class_a or used.class_b > plan.class_b:
                    raise Violation(f"I10: planned {plan}, used {used}")
                self.counts["conflicts"] += result.conflicts
                moved |= bool(result.received) or tables.position(AREA.id).seq != position
            if not moved:
                self.counts["rounds"] = max(self.counts["rounds"], number)
                return number
        raise Violation(f"I8: not quiet after {MOST_ROUNDS} rounds")

    def log(self) -> list[tuple[Commit, bytes]]:
        """The whole log as it lies in the remote."""
        locks = self.members[0].area()._locks
        found: list[tuple[Commit, bytes]] = []
        while True:
            seq = len(found) + 1
            try:
                data = self.folder.get(log_key(AREA.id, seq))
            except ObjectMissing:
                return found
            found.append((decode(locks.open(data, "a commit"), AREA.id, seq).commit, data))

    def check(self) -> None:
        """Settle, and raise Violation unless everything holds."""
        try:
            self.settle()
        except BailiwickError as error:
            raise Violation(f"I8: a sync without faults fails: {error.message}") from error
        log = self.log()
        self.counts["commits"] = len(log)
        self.counts["faults"] = self.store.faults
        state = self._replayed(log)
        self._check_objects(log, state)
        for each in self.members:
            self._check_level(each, state, len(log))
        self._check_nothing_lost(log)
        self._check_deleted()
        self._check_merged()

    def _replayed(self, log: list[tuple[Commit, bytes]]) -> dict[str, Operation]:
        state: dict[str, Operation] = {}
        before = ""
        for commit, data in log:
            if commit.prev != before:
                raise Violation(f"I4: commit {commit.seq} does not follow the one before it")
            before = stored_hash(data)
            for operation in commit.operations:
                present = state.get(operation.path)
                if operation.base != (present.version if present is not None else None):
                    raise Violation(f"I2: {operation.path} in commit {commit.seq} is not made of what was there")
                if operation.version is None:
                    state.pop(operation.path, None)
                else:
                    state[operation.path] = operation
        return state

    def _check_objects(self, log: list[tuple[Commit, bytes]], state: dict[str, Operation]) -> None:
        named = {each.place.key for each in state.values() if each.place is not None}
        announced: set[object] = set()
        for commit, _ in log:
            for each in commit.operations:
                if each.change is Change.COLLECT:
                    announced.update((each.header or {})["keys"])  # type: ignore[arg-type]
        for commit, _ in log:
            for operation in commit.operations:
                if (place := operation.place) is None:
                    if operation.version is not None and operation.change is not Change.COLLECT:
                        raise Violation(f"I3: {operation.path} in commit {commit.seq} has no content")
                    continue
                try:
                    data = self.folder.get(place.key, first=place.first, length=place.length)
                except ObjectMissing:
                    if place.key in announced and place.key not in named:
                        continue
                    raise Violation(f"I{9 if place.key in announced else 3}: {place.key} is missing") from None
                if sha256_hex(data) != place.sha256:
                    raise Violation(f"I3: {place.key} is not what was sent")

    def _check_level(self, member: Member, state: dict[str, Operation], seq: int) -> None:
        name, device = member.syncing.device.name, member.syncing.device
        tables = SyncTables(device.agentfs.database)
        if tables.position(AREA.id).seq != seq:
            raise Violation(f"I5: {name} is at {tables.position(AREA.id).seq} of {seq}")
        wanted = {path: each.version for path, each in state.items()}
        if device.versions() != wanted:
            raise Violation(f"I5: {name} has {_difference(device.versions(), wanted)}")
        bases = {each.path: (each.version, each.present) for each in tables.bases(AREA.id)}
        if bases != {path: (version, True) for path, version in wanted.items()}:
            raise Violation(f"I5: {name} believes something else than the log says")
        if pending := tables.pending(AREA.id):
            raise Violation(f"I5: {pending[0].path} waits on {name}")

    def _check_nothing_lost(self, log: list[tuple[Commit, bytes]]) -> None:
        logged = {operation.version for commit, _ in log for operation in commit.operations}
        kept: set[str | None] = set()
        texts: set[bytes | None] = set()
        store = ConflictStore(self.members[0].syncing.device.agentfs)
        for entry in store.all():
            record = store.get(entry.id)
            for side in (record.local, record.remote, *record.others):
                if side.version is not None and side.content is None:
                    raise Violation(f"I6: the conflict over {record.path} has lost a version")
                kept.add(side.version)
                texts.add(side.content)
        for member in self.members:
            for text, version in member.written.items():
                if version not in logged and version not in kept and text.encode() not in texts:
                    raise Violation(f"I1: {text[:20]!r} of {member.syncing.device.name} is lost")

    def _check_merged(self) -> None:
        store = ConflictStore(self.members[0].syncing.device.agentfs)
        about = [store.get(each.id) for each in store.all() if each.path == TALLY]
        self.counts["merges"] = len(about)
        if self._somebody_joined() or not all(_is_merged(each) for each in about):
            # Where what both began with was not to be had, nothing is merged, and somebody may have taken a side.
            return
        text = self.members[0].syncing.read(TALLY)
        tallies = json.loads(text) if text is not None else {}
        for each in self.members:
            if each.tally and tallies.get(each.syncing.device.name) != each.tally:
                raise Violation(f"I11: {each.tally} of {each.syncing.device.name} is not in {tallies}")

    def _somebody_joined(self) -> bool:
        """A device that joins cannot tell a deletion from what never was."""
        return any(each.foreign for each in self.members) or len(self.members) > 3

    def _check_deleted_here(self, member: Member) -> None:
        if self._somebody_joined():
            return
        for path, text in member.syncing.texts().items():
            if (path, text) in member.deleted and path not in self._ruled:
                raise Violation(f"I7: {path} came back where it was deleted ({text[:20]})")

    def _check_deleted(self) -> None:
        if self._somebody_joined():
            return
        self.counts["deletions"] += len(self._deleted)
        for path, text in self.members[0].syncing.texts().items():
            if (path, text) in self._deleted and path not in self._ruled:
                raise Violation(f"I7: {path} came back ({text[:20]})")


def _is_merged(record: ConflictRecord) -> bool:
    return record.status is ConflictStatus.RESOLVED and all(
        each is not None and each.by is RuledBy.AUTOMATIC for each in (record.outcome, *record.overruled)
    )


def _difference(found: dict[str, str | None], wanted: dict[str, str | None]) -> str:
    paths = sorted(path for path in {*found, *wanted} if found.get(path) != wanted.get(path))
    return ", ".join(f"{'another' if path in found else 'no'} version of {path}" for path in paths)


def drive(fleet: Fleet, source: random.Random, steps: int, *, rate: float = 0.05, stays: bool = False) -> None:
    """Random edits, syncs amid faults, crashes, and what others do between two steps of a sync.

    ``stays``: nobody joins, so that what was deleted has to stay deleted (I7).
    """

    def edit(member: Member) -> None:
        path = source.choice(PATHS)
        match source.randrange(10):
            case 0 | 1:
                fleet.delete(member, path)
            case 2:
                fleet.rename(member, path, source.choice(PATHS))
            case 3:
                fleet.count(member)
            case 4:
                fleet.rule(member, source.choice((Took.LOCAL, Took.REMOTE)))
            case _:
                fleet.write(member, path, large=source.random() < 0.2)

    def meanwhile(member: Member) -> Callable[[], None]:
        plan = [(each, source.random()) for each in fleet.members]

        def happen() -> None:
            for each, chance in plan:
                if each is member and chance < 0.5:
                    edit(each)
                elif each is not member and chance < 0.4:
                    edit(each)
                    fleet.sync(each, rate=rate)

        return happen

    def policy() -> FetchPolicy:
        return FetchPolicy(at_most=LARGE // 2) if source.random() < 0.2 else EVERYTHING

    for _ in range(steps):
        member = source.choice(fleet.members)
        chance = source.random()
        if chance < 0.45:
            edit(member)
        elif chance < 0.92:
            crash = (source.choice(CRASHES), source.choice((1, 1, 2, 3))) if source.random() < 0.25 else None
            between = (source.choice(BETWEEN), meanwhile(member)) if source.random() < 0.5 else None
            fleet.sync(member, policy(), rate=rate, interference=Interference(crash, between))
            if member.running is None and source.random() < 0.5:
                # What its user does before the next sync is where half-done things would show.
                fleet.delete(member, source.choice(PATHS))
        elif chance < 0.93:
            fleet.ahead = timedelta(days=source.choice((-400, -1, 0, 1, 400)))
        elif chance < 0.94:
            with contextlib.suppress(BailiwickError):
                fleet.fetch(member)
        elif chance < 0.955:
            for _ in range(source.choice((1, 2))):
                fleet.days_pass()
                fleet.collect(source.choice(fleet.members), rate=rate)
        elif stays:
            edit(member)
        elif chance < 0.97 and len(fleet.members) < len(NAMES):
            edit(fleet.join())
        else:
            fleet.forget(member)


def run(root: Path, seed: int, steps: int = 40, *, rate: float = 0.05) -> dict[str, int]:
    """One run from ``seed``, every third without joiners; raises Violation. The answer counts what happened."""
    source = random.Random(seed)
    fleet = Fleet(root, source)
    right = [(module, name, getattr(module, name)) for module, name in CHANGED]
    try:
        area_sync.now = items.now = fleet.clock  # type: ignore[attr-defined]
        taking_in.TOGETHER = source.choice((1, taking_in.TOGETHER))
        pulling.WINDOW = source.choice((1, 3, pulling.WINDOW))
        drive(fleet, source, steps, rate=rate, stays=seed % 3 == 0)
        fleet.check()
        return fleet.counts
    except Violation as violation:
        violation.add_note(f"seed {seed}: " + "; ".join(fleet.said[-40:]))
        raise
    finally:
        for module, name, value in right:
            setattr(module, name, value)
        fleet.close()
