"""Takes in what the log tells: every path once, in its newest version; each step can be interrupted and repeated."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from core.errors import NotFound
from core.sync.areas import AreaLocks
from core.sync.commit import Operation, Place
from core.sync.failpoints import reached
from core.sync.fetching import Fetcher, Span, batches, spans
from core.sync.incoming import EVERYTHING, PUBLISHED, FetchPolicy, Incoming, Pulled
from core.sync.local_tree import LocalTree
from core.sync.log_reading import LogReader, ReadCommit
from core.sync.origin import Origin
from core.sync.planner import Step, step_for
from core.sync.tables import Base, SyncTables
from core.sync.taking_in import Intake
from core.sync_model import AreaKind, Change

__all__ = ["EVERYTHING", "PUBLISHED", "FetchPolicy", "Pulled", "Puller"]
_log = logging.getLogger(__name__)
WINDOW = 4000
"""From how many operations on what was read is taken in before more is read: a long log need not fit into memory."""


@dataclass(slots=True)
class Foreseen:
    """What a pull would do: of each path the last step, what it would fetch, and how many commits it would read.

    ``differing`` is how often both sides differ, so that something new may have to go up then, too.
    """

    steps: dict[str, tuple[Incoming, Step]] = field(default_factory=dict)
    differing: int = 0
    commits: int = 0
    _fetches: dict[tuple[int, int], dict[Place, None]] = field(default_factory=dict)

    def fetch(self, place: Place | None, order: int) -> None:
        """Note that what lies there is fetched, with what is read at once and is of the same order."""
        if place is not None:
            self._fetches.setdefault((self.commits, order), {})[place] = None

    def reads(self) -> list[Span]:
        """The requests that fetch it."""
        return [span for places in self._fetches.values() for batch in batches(list(places)) for span in spans(batch)]


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
        user: str,
    ) -> None:
        self._area = locks.area
        self._tables = tables
        self._tree = tree
        self._reader = reader
        self._intake = Intake(locks, tables, tree, fetcher, user=user)

    def pull(self, policy: FetchPolicy = EVERYTHING) -> Pulled:
        """Take in everything up to the end of the log.

        Raises SealBroken when the log is not to be trusted, SyncCancelled, Locked and what the store raises; what was
        taken in until then holds, and the next pull goes on.
        """
        pulled = Pulled()
        tried = self._tables.tried(self._area.id)
        for read in self._windows():
            pulled.commits += len(read)
            pulled.own |= {each.commit.id for each in read if each.commit.id in tried}
            self._intake.take_in(self._collapsed(read, tried), policy, pulled)
            self._advance(read)
        return pulled.ended()

    def _windows(self) -> Iterator[list[ReadCommit]]:
        window: list[ReadCommit] = []
        operations = 0
        for each in self._reader.read(self._tables.position(self._area.id)):
            window.append(each)
            operations += len(each.commit.operations)
            if operations >= WINDOW:
                yield window
                window, operations = [], 0
        if window:
            yield window

    def foresee(self, policy: FetchPolicy = EVERYTHING) -> Foreseen:
        """What ``pull`` would do now, and what lacks besides; changes nothing. Raises as ``pull``."""
        foreseen = Foreseen()
        tried = self._tables.tried(self._area.id)
        known: dict[str, tuple[str | None, str | None]] = {}
        for read in self._windows():
            foreseen.commits += len(read)
            for each in self._collapsed(read, tried, known):
                if not self._intake.is_passed_by(each):
                    self._foresee(each, known, policy, foreseen)
        for lacking in self._lacking(policy):
            if lacking.path not in known:
                foreseen.steps[lacking.path] = (self._again(lacking), Step.TAKE)
                foreseen.differing += lacking.here is not None
                foreseen.fetch(lacking.place, -1 - self._tree.order(lacking.path))
        return foreseen

    def _foresee(
        self,
        incoming: Incoming,
        known: dict[str, tuple[str | None, str | None]],
        policy: FetchPolicy,
        foreseen: Foreseen,
    ) -> None:
        operation, path = incoming.operation, incoming.operation.path
        here = known[path][0] if path in known else self._tree.version(path)
        step = step_for(here, incoming.base, operation.version)
        puts = step in (Step.TAKE, Step.REVIVE, Step.CONFLICT)
        fetched = puts and (here is not None or step is not Step.TAKE or policy.takes(incoming))
        agreed = operation.version if fetched or not puts else incoming.base
        known[path] = (operation.version if fetched or step is Step.DROP else here, agreed)
        if step is Step.NOTHING or (step is Step.KEEP and operation.version is not None):
            return
        foreseen.steps[path] = (incoming, step)
        merges = step is Step.TAKE and here is not None and self._tree.merges(path)
        foreseen.differing += merges or step in (Step.REVIVE, Step.CONFLICT, Step.KEEP)
        if fetched:
            foreseen.fetch(operation.place, self._tree.order(path))

    def fetch_known(self, paths: Sequence[str]) -> Pulled:
        """Get the content of what is known but not here; raises NotFound for what is not known, and as ``pull``."""
        incoming = []
        for path in paths:
            known = self._tables.base(self._area.id, path)
            if known is None:
                raise NotFound(f"Nothing is known of {path} in the remote.", "`bailiwick sync` looks what is there.")
            if not known.present:
                incoming.append(self._again(known))
        return self._fetched(incoming)

    def fetch_lacking(self, policy: FetchPolicy) -> Pulled:
        """Get what is known but not here, for it was not wanted then or could not be had, and is wanted now."""
        return self._fetched([self._again(known) for known in self._lacking(policy)])

    def _fetched(self, incoming: Sequence[Incoming]) -> Pulled:
        pulled = Pulled()
        self._intake.take_in(incoming, EVERYTHING, pulled)
        return pulled.ended()

    def _lacking(self, policy: FetchPolicy) -> list[Base]:
        lacking = self._tables.not_fetched(self._area.id, besides=PUBLISHED)
        return [each for each in lacking if policy.at_most is None or each.size <= policy.at_most or each.here]

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
        return Incoming(operation, Origin(owner, device, name), known.seq, False, known.here)

    def _collapsed(
        self,
        read: Sequence[ReadCommit],
        tried: set[str],
        known: Mapping[str, tuple[str | None, str | None]] = MappingProxyType({}),
    ) -> list[Incoming]:
        """Each path once; what this device put there itself, by one of the commits that it ``tried``, it knew.

        ``known`` tells by its path what is here and what is agreed on, where that is not what the workspace says.
        """
        found: dict[str, Incoming] = {}
        publishers: dict[str, str] = {}
        for each in read:
            commit = each.commit
            own = commit.id in tried
            origin = self._origin(each)
            for operation in commit.operations:
                if operation.change is Change.COLLECT or not self._counts(operation, origin.user, publishers):
                    continue
                before = found.get(operation.path)
                if before is not None:
                    base = before.base
                elif operation.path in known:
                    base = known[operation.path][1]
                else:
                    held = self._tables.base(self._area.id, operation.path)
                    base = held.agreed if held is not None else None
                found[operation.path] = Incoming(operation, origin, commit.seq, own, operation.version if own else base)
        return list(found.values())

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
