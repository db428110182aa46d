"""Takes in what the log tells: every path once, in its newest version; each step can be interrupted and repeated."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from core.errors import InvalidInput, NotFound, SealBroken
from core.sync.areas import AreaLocks
from core.sync.commit import Operation, Place
from core.sync.failpoints import reached
from core.sync.fetching import Fetcher, batches
from core.sync.local_tree import LocalTree
from core.sync.log_reading import LogReader, ReadCommit
from core.sync.origin import FormerVersion, Origin
from core.sync.packing import Encoding, decompress
from core.sync.planner import Step, step_for
from core.sync.tables import Base, SyncTables
from core.sync_model import AreaKind, Change

_log = logging.getLogger(__name__)
_TRIES = 5
_BATCH = 200


@dataclass(slots=True)
class Pulled:
    """What pulling did. ``own`` are this device's commits that were read back; ``problems`` sentences."""

    commits: int = 0
    own: set[str] = field(default_factory=set)
    received: int = 0
    conflicts: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Incoming:
    """The newest operation of one path, where it came from, and what this device itself had put there last."""

    operation: Operation
    origin: Origin
    seq: int
    own: bool
    base: str | None
    step: Step = Step.NOTHING


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What content moves by itself: all of it, or only what is at most so many bytes.

    ``at_most`` bounds what comes, of what is not here yet; ``sends_at_most`` what goes.
    """

    at_most: int | None = None
    sends_at_most: int | None = None

    def sends(self, size: int) -> bool:
        """Whether content of ``size`` bytes is sent now."""
        return self.sends_at_most is None or size <= self.sends_at_most

    def takes(self, incoming: Incoming) -> bool:
        """Whether content that is not here yet is fetched now."""
        return self.at_most is None or incoming.operation.size <= self.at_most


EVERYTHING = FetchPolicy()
PUBLISHED = "library"
"""The kind of the operations that tell of files of published libraries."""


class Puller:
    """Pulls one area. Not for several threads at once."""

    def __init__(
        self,
        locks: AreaLocks,
        tables: SyncTables,
        tree: LocalTree,
        reader: LogReader,
        fetcher: Fetcher,
        *,
        device: str,
        user: str,
    ) -> None:
        self._locks = locks
        self._area = locks.area
        self._tables = tables
        self._tree = tree
        self._reader = reader
        self._fetcher = fetcher
        self._device = device
        self._user = user
        self.unread = 0

    def pull(self, policy: FetchPolicy = EVERYTHING) -> Pulled:
        """Take in everything up to the end of the log.

        Raises SealBroken when the log is not to be trusted, or content that replaces something here cannot be had;
        then what was taken in holds, and the next pull goes on.
        """
        pulled = Pulled()
        position = self._tables.position(self._area.id)
        read = list(self._reader.read(position))
        if not read:
            return pulled
        pulled.commits = len(read)
        pulled.own = {each.commit.id for each in read if each.commit.device == self._device}
        incoming = self._collapsed(read, joining=position.seq == 0)
        held = self._take_in(incoming, policy, pulled)
        if held:
            raise SealBroken(
                held[0], "`bailiwick repair`, on a device that has it, puts it back; then this device goes on."
            )
        self._advance(read)
        return pulled

    def foreseen(self, policy: FetchPolicy = EVERYTHING) -> Iterator[tuple[Incoming, Step, bool]]:
        """What ``pull`` would do now: each path, what would become of it, and whether its content would be fetched."""
        position = self._tables.position(self._area.id)
        read = list(self._reader.read(position))
        self.unread = len(read)
        for each in self._collapsed(read, joining=position.seq == 0):
            if self._is_own_publication(each) or each.operation.kind == PUBLISHED:
                continue
            step, here = self._step(each)
            if step is Step.NOTHING or (step is Step.KEEP and each.operation.version is not None):
                continue
            puts = step in (Step.TAKE, Step.REVIVE, Step.CONFLICT)
            yield each, step, puts and (here is not None or step is not Step.TAKE or policy.takes(each))
        told = {operation.path for each in read for operation in each.commit.operations}
        for known in self._lacking(policy):
            if known.path not in told:
                yield self._again(known), Step.TAKE, True

    def fetch_known(self, paths: Sequence[str]) -> Pulled:
        """Get the content of what is known but was not fetched; raises NotFound for what is not known."""
        pulled = Pulled()
        incoming = []
        for path in paths:
            known = self._tables.base(self._area.id, path)
            if known is None:
                raise NotFound(f"Nothing is known of {path} in the remote.", "`bailiwick sync` looks what is there.")
            if not known.present:
                incoming.append(self._again(known))
        held = self._take_in(incoming, EVERYTHING, pulled)
        if held:
            raise SealBroken(held[0], "`bailiwick repair`, on a device that has it, puts it back.")
        return pulled

    def fetch_lacking(self, policy: FetchPolicy) -> Pulled:
        """Get what is known but was not fetched, for it was not wanted then or could not be had, and is wanted now."""
        pulled = Pulled()
        pulled.problems += self._take_in([self._again(known) for known in self._lacking(policy)], EVERYTHING, pulled)
        return pulled

    def _lacking(self, policy: FetchPolicy) -> list[Base]:
        lacking = self._tables.not_fetched(self._area.id, besides=PUBLISHED)
        return [each for each in lacking if policy.at_most is None or each.size <= policy.at_most]

    def _again(self, known: Base) -> Incoming:
        """What told of ``known``, as if it came now."""
        operation = Operation(
            known.path,
            Change.PUT,
            None,
            known.version,
            known.kind,
            known.item_id,
            known.header,
            known.content,
            known.size,
            known.place,
        )
        device = self._tables.device_of(self._area.id, known.seq)
        name, user = self._tables.device(device)
        owner = self._area.name if self._area.kind is AreaKind.USER else user
        return Incoming(operation, Origin(owner, device, name), known.seq, False, None)

    def _collapsed(self, read: Sequence[ReadCommit], *, joining: bool) -> list[Incoming]:
        """Each path once. On joining nothing is known of before, so that this device's own commits count as others'."""
        found: dict[str, Incoming] = {}
        publishers: dict[str, str] = {}
        for each in read:
            commit = each.commit
            own = commit.device == self._device and not joining
            origin = self._origin(each)
            for operation in commit.operations:
                if operation.change is Change.COLLECT or not self._counts(operation, origin.user, publishers):
                    continue
                before = found.get(operation.path)
                if before is None:
                    known = self._tables.base(self._area.id, operation.path)
                    base = known.version if known is not None else None
                else:
                    base = before.base
                found[operation.path] = Incoming(operation, origin, commit.seq, own, operation.version if own else base)
        return sorted(found.values(), key=lambda each: (self._tree.order(each.operation.path), each.operation.path))

    def _counts(self, operation: Operation, user: str, publishers: dict[str, str]) -> bool:
        """Whether what is told of a file of a published library is told by who published it; ``publishers`` is kept.

        Told of in the order of the log, so that every device comes to the same answer.
        """
        path = operation.path
        if self._area.kind is not AreaKind.SHARED or not path.startswith("libraries/"):
            return operation.kind != PUBLISHED
        if path not in publishers:
            known = self._tables.base(self._area.id, path)
            is_file = known is not None and known.kind == PUBLISHED
            publishers[path] = str(known.header.get("owner", "")) if known is not None and is_file else ""
        publisher = publishers[path]
        if not publisher and operation.kind != PUBLISHED:
            return True
        if publisher not in ("", user) or not _is_file_of_library(operation, user, self._area.id):
            _log.warning("what %s told of the library file %s is passed over", user, path)
            return False
        publishers[path] = user if operation.version is not None else ""
        return True

    def _origin(self, read: ReadCommit) -> Origin:
        name, user = self._tables.device(read.commit.device)
        if self._area.kind is AreaKind.USER:
            user = self._area.name
        return Origin(user, read.commit.device, name, read.commit.at)

    def _take_in(self, incoming: Sequence[Incoming], policy: FetchPolicy, pulled: Pulled) -> list[str]:
        """Apply everything; the answer is why what could not be applied was held back."""
        held: list[str] = []
        level: list[tuple[Incoming, bool]] = []
        for group in self._groups(incoming):
            wanting: list[Incoming] = []
            for each in group:
                if self._is_own_publication(each):
                    level.append((each, True))
                    continue
                if each.operation.kind == PUBLISHED or self._is_published(each):
                    # A file of a published library: known, and read when it is pulled.
                    level.append((each, False))
                    continue
                step, here = self._step(each)
                if step in (Step.TAKE, Step.REVIVE, Step.CONFLICT) and each.operation.version is not None:
                    if step is Step.TAKE and here is None and not policy.takes(each):
                        level.append((each, False))
                    else:
                        wanting.append(each)
                else:
                    self._apply(each, None, pulled)
                    level.append((each, True))
                if len(level) >= _BATCH:
                    self._level(level)
            self._level(level)
            self._fetch_and_apply(wanting, pulled, held, level)
        self._level(level)
        return held

    def _groups(self, incoming: Sequence[Incoming]) -> Iterator[list[Incoming]]:
        """What is applied together: never two orders at once, for agents have to be there before what is theirs."""
        group: list[Incoming] = []
        for each in incoming:
            if group and self._tree.order(group[0].operation.path) != self._tree.order(each.operation.path):
                yield group
                group = []
            group.append(each)
        if group:
            yield group

    def _fetch_and_apply(
        self, wanting: Sequence[Incoming], pulled: Pulled, held: list[str], level: list[tuple[Incoming, bool]]
    ) -> None:
        by_place: dict[Place, list[Incoming]] = {}
        for each in wanting:
            if each.operation.place is None:
                pulled.problems.append(f"{each.operation.path} came without content and was passed over.")
                level.append((each, False))
                continue
            by_place.setdefault(each.operation.place, []).append(each)
        for batch in batches(list(by_place)):
            had, lacking = self._fetcher.fetch(batch)
            for place, stored in had.items():
                for each in by_place[place]:
                    self._apply(each, stored, pulled)
                    level.append((each, True))
                    if len(level) >= _BATCH:
                        self._level(level)
            for place, why in lacking.items():
                for each in by_place[place]:
                    if self._tree.version(each.operation.path) is None:
                        pulled.problems.append(f"{each.operation.path}: {why}")
                        level.append((each, False))
                    else:
                        held.append(f"{each.operation.path}: {why}")

    def _is_published(self, incoming: Incoming) -> bool:
        known = self._tables.base(self._area.id, incoming.operation.path)
        return known is not None and known.kind == PUBLISHED

    def _step(self, incoming: Incoming) -> tuple[Step, str | None]:
        path = incoming.operation.path
        here = self._tree.version(path)
        base: str | None = incoming.base
        if here is None and base is not None and not incoming.own and not self._is_present(path):
            # It was known here, but never fetched: nobody has deleted it.
            base = None
        return step_for(here, base, incoming.operation.version), here

    def _is_present(self, path: str) -> bool:
        known = self._tables.base(self._area.id, path)
        return known is None or known.present

    def _is_own_publication(self, incoming: Incoming) -> bool:
        """What the user himself released to others is here anyway, in another form."""
        return self._area.kind is not AreaKind.USER and incoming.origin.user == self._user

    def _apply(self, incoming: Incoming, stored: bytes | None, pulled: Pulled) -> None:
        """Bring the local side to what the operation says, as often as the user changes it meanwhile."""
        operation, origin = incoming.operation, incoming.origin
        content = None
        try:
            if stored is not None:
                content = self._open(operation, stored)
            for _ in range(_TRIES):
                reached("before-apply")
                if self._try(incoming, content, origin, pulled):
                    reached("after-apply")
                    return
        except InvalidInput as refused:
            _log.warning("an operation of %s is passed over: %s", self._area.id, refused.message)
            pulled.problems.append(refused.message)
            return
        raise SealBroken(f"{operation.path} changes faster than it can be synchronised.", "Try again.")

    def _try(self, incoming: Incoming, content: bytes | None, origin: Origin, pulled: Pulled) -> bool:
        operation = incoming.operation
        step, here = self._step(incoming)
        reached("after-look")
        if step in (Step.TAKE, Step.REVIVE, Step.CONFLICT) and content is None and operation.version is not None:
            # It became this since it was looked at; the next look fetches it.
            raise SealBroken(f"{operation.path} was changed meanwhile.", "Try again.")
        match step:
            case Step.NOTHING:
                return True
            case Step.TAKE:
                done = self._tree.apply(operation, content or b"", expected=here, origin=origin)
            case Step.DROP:
                done = here is None or self._tree.delete(operation.path, expected=here, origin=origin)
            case Step.KEEP:
                if operation.version is None and here is not None:
                    done = self._tree.conflict(
                        operation, None, expected=here, base=self._former(incoming), origin=origin
                    )
                else:
                    return True
            case Step.REVIVE | Step.CONFLICT:
                done = self._tree.conflict(
                    operation, content, expected=here, base=self._former(incoming), origin=origin
                )
                if done and step is Step.CONFLICT and not self._tree.merges(operation.path):
                    pulled.conflicts += 1
        if done:
            pulled.received += 1
        return done

    def _former(self, incoming: Incoming) -> FormerVersion | None:
        if incoming.base is None:
            return None
        known = self._tables.base(self._area.id, incoming.operation.path)
        if known is None or known.version != incoming.base or known.place is None:
            return FormerVersion(incoming.base)
        return FormerVersion(incoming.base, known.header, self._former_content(known))

    def _former_content(self, known: Base) -> bytes | None:
        assert known.place is not None
        had, _ = self._fetcher.fetch([known.place])
        stored = had.get(known.place)
        if stored is None:
            return None
        told = Operation(
            known.path, Change.PUT, None, known.version, known.kind, known.item_id, known.header, known.content
        )
        try:
            return self._open(told, stored)
        except (SealBroken, InvalidInput):
            return None

    def _open(self, operation: Operation, stored: bytes) -> bytes:
        if self._area.kind is AreaKind.USER:
            return self._tree.opened(operation, stored)
        encoding = operation.place.encoding if operation.place is not None else Encoding.NONE
        if encoding in (Encoding.AGE, Encoding.ZSTD_AGE):
            stored = self._locks.open(stored, f"What was sent of {operation.path}")
        return decompress(stored) if encoding in (Encoding.ZSTD, Encoding.ZSTD_AGE) else stored

    def _level(self, level: list[tuple[Incoming, bool]]) -> None:
        """Both sides agree on all of these now."""
        if not level:
            return
        area = self._area.id
        versions = [(each, present, self._tree.version(each.operation.path)) for each, present in level]
        with self._tables.database.transaction() as connection:
            for each, present, here in versions:
                operation = each.operation
                self._tables.move_base(connection, area, operation, each.seq, present=present)
                if self._area.kind is not AreaKind.USER or not present:
                    continue
                if here == operation.version:
                    self._tables.not_pending(connection, area, operation.path)
                else:
                    self._tables.add_pending(connection, area, operation.path, operation.size)
        level.clear()
        reached("after-base")

    def _advance(self, read: Iterable[ReadCommit]) -> None:
        with self._tables.database.transaction() as connection:
            for each in read:
                if problem := self._tables.note_audit_head(connection, each.commit):
                    _log.warning("device %s: %s", each.commit.device, problem)
                self._tables.advance(connection, each.commit, each.hash, each.data)
                self._tables.note_collected(connection, self._area.id, self._collected(each))
        reached("after-advance")

    def _collected(self, read: ReadCommit) -> Iterator[str]:
        """The objects of this area that a commit announces for deletion."""
        for operation in read.commit.operations:
            keys = (operation.header or {}).get("keys") if operation.change is Change.COLLECT else None
            if isinstance(keys, list):
                prefix = f".bailiwick/blobs/{self._area.id}/"
                yield from (key for key in keys if isinstance(key, str) and key.startswith(prefix))


def _is_file_of_library(operation: Operation, user: str, area: str) -> bool:
    """Whether ``user`` may tell this of a published file: in his own name, of content where such content lies."""
    if operation.version is None:
        return True
    place, owner = operation.place, (operation.header or {}).get("owner")
    if operation.kind != PUBLISHED or owner != user or place is None:
        return False
    return place.key == operation.path or place.key.startswith(f".bailiwick/blobs/{area}/")
