"""One area brought level with its log: pull, look what changed here, send it, commit, and read back what was committed.

A commit is one object put where none is. Whatever the answer to that, the log is read: it alone tells who won, so an
answer that is lost, or a request that arrives late, changes nothing. There is no lock, and no clock decides.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.errors import (
    InvalidInput,
    RemoteRefused,
    RemoteUnreachable,
    SealBroken,
)
from core.ids import new_id
from core.remote.store import ObjectStore, checked_key
from core.sync.areas import AreaLocks
from core.sync.audit_heads import record_now
from core.sync.commit import (
    LARGEST_COMMIT,
    MOST_CHANGES,
    AuditHead,
    Commit,
    Operation,
    Place,
)
from core.sync.devices import Devices
from core.sync.fetching import Fetcher
from core.sync.local_tree import LocalTree
from core.sync.log_reading import LogReader
from core.sync.moving import UNWATCHED, Watch
from core.sync.outbox import Draft, Outbox
from core.sync.published_files import PublishedDocuments
from core.sync.pulling import EVERYTHING, FetchPolicy, Foreseen, Pulled, Puller
from core.sync.readable import as_read, zipped
from core.sync.readable_view import require_deleted
from core.sync.releasing import Releasing, view_key
from core.sync.segments import LARGEST_SEGMENT, SEGMENT, write_segment
from core.sync.sending import Sender, publish
from core.sync.signing import Signer
from core.sync.tables import SyncTables
from core.sync_model import Area, AreaKind

_log = logging.getLogger(__name__)
_TRIES = 40
_NOTE_SECONDS = 30.0
_LACKING_SECONDS = 30.0
_LONGEST_LACKING_SECONDS = 3600.0
IDLE_LOOK_SECONDS = 3600.0
COMMIT_LOOK_SECONDS = 60.0
"""How long it holds that the end of the log was there as this device knows it: while idle, and before a commit."""


Build = Callable[[], Sequence[Draft]]
"""Makes the drafts anew from what both sides agree on now: called again whenever somebody else committed first."""


@dataclass(slots=True)
class AreaResult:
    """What a sync of one area did; ``problems`` are sentences about single items that were left out."""

    sent: int = 0
    received: int = 0
    conflicts: int = 0
    commits: int = 0
    problems: list[str] = field(default_factory=list)

    def took(self, pulled: Pulled) -> None:
        """Add what a pull did."""
        self.received += pulled.received
        self.conflicts += pulled.conflicts
        self.problems += pulled.problems


class AreaSync:
    """One area of one workspace. Not for several threads at once."""

    def __init__(
        self,
        agentfs: AgentFS,
        store: ObjectStore,
        area: Area,
        tree: LocalTree,
        devices: Devices,
        locks: AreaLocks,
        signer: Signer,
        *,
        user: str,
        watch: Watch = UNWATCHED,
        pause: Callable[[float], None] = time.sleep,
        after: Callable[[AreaSync], None] | None = None,
    ) -> None:
        """``pause`` waits between two tries to commit, where others commit at the same time; ``after`` ends a run."""
        self.area = area
        self.tables = SyncTables(agentfs.database)
        self._agentfs = agentfs
        self._store = store
        self._locks = locks
        self._signer = signer
        self._watch = watch
        self._pause = pause
        self._reader = LogReader(store, locks, devices, watch)
        self._fetcher = Fetcher(store, area.id, watch)
        self._puller = Puller(locks, self.tables, tree, self._reader, self._fetcher, user=user)
        self._head_seen_at = float("-inf")
        self._noted_at = float("-inf")
        self._cut = 0
        self._after = after
        self._lacked_under: FetchPolicy | None = None
        self._lacking_at = 0.0
        self._lacking_wait = _LACKING_SECONDS
        self._asked: set[tuple[str, str]] = set()
        published = PublishedDocuments(store, self.tables, user)
        self._releasing = Releasing(agentfs, tree, area, user, published) if area.kind is not AreaKind.USER else None
        self.outbox = Outbox(area, self.tables, tree, self._releasing)
        self.tables.open_area(area)

    # The whole

    def run(self, policy: FetchPolicy = EVERYTHING, *, approved: bool = False) -> AreaResult:
        """Bring the area level, both ways.

        ``approved``: the person has answered the brake's question with yes. Raises AsksFirst, SealBroken for a log that
        is not to be trusted, SyncCancelled, Locked, and what the store raises; what was done until then holds.
        """
        result = AreaResult()
        self.pull(result, policy)
        self.outbox.scan()
        self._fetch_lacking(result, policy)
        self._push(result, policy, approved=approved or self.area.kind is not AreaKind.USER)
        self._take_back(result)
        if self._after is not None:
            self._after(self)
        if result.sent or result.received or time.monotonic() - self._noted_at > _NOTE_SECONDS:
            self.tables.set_synced(self.area.id)
            self._noted_at = time.monotonic()
        return result

    def pull(self, result: AreaResult, policy: FetchPolicy = EVERYTHING) -> Pulled:
        """Take in what others committed. Raises as ``run``."""
        self._look_back(IDLE_LOOK_SECONDS)
        pulled = self._puller.pull(policy)
        if pulled.commits:
            self._head_seen_at = time.monotonic()
        result.took(pulled)
        return pulled

    def _look_back(self, seconds: float) -> None:
        """Look, unless that was seen within so many seconds, whether the end of the log is what this device took in."""
        if time.monotonic() - self._head_seen_at > seconds:
            self._reader.require_known(self.tables.position(self.area.id))
            self._head_seen_at = time.monotonic()

    def _fetch_lacking(self, result: AreaResult, policy: FetchPolicy) -> None:
        """Get what did not come when it was told of; what cannot be had still is asked for ever more rarely."""
        if policy != self._lacked_under:
            self._lacked_under, self._lacking_at, self._lacking_wait = policy, 0.0, _LACKING_SECONDS
            self._asked.clear()
        if time.monotonic() >= self._lacking_at:
            lacked = self._puller.fetch_lacking(policy)
            result.took(lacked)
            if lacked.problems:
                self._lacking_at = time.monotonic() + self._lacking_wait
                self._lacking_wait = min(2 * self._lacking_wait, _LONGEST_LACKING_SECONDS)
        if self.area.kind is AreaKind.USER:
            # What was changed here has to be compared with it before it goes up.
            overwritten = [(each.path, each.version) for each in self.tables.overwritten(self.area.id)]
            if asked := [each for each in overwritten if each not in self._asked]:
                result.took(self._puller.fetch_known([path for path, _ in asked]))
                self._asked.update(asked)

    def fetch(self, paths: Sequence[str]) -> AreaResult:
        """Get the content of what is known but not here. Raises NotFound for what is not known, and as ``run``."""
        result = AreaResult()
        result.took(self._puller.fetch_known(paths))
        return result

    # Looking

    def is_sound(self, seq: int) -> bool:
        """Whether this device would take in what lies as commit ``seq``, after what it took in. Raises as ``run``."""
        try:
            return any(each.commit.seq == seq for each in self._reader.read(self.tables.position(self.area.id)))
        except SealBroken:
            return False

    def foresee(self, policy: FetchPolicy = EVERYTHING) -> Foreseen:
        """What a pull would do. Raises as ``pull``; changes nothing."""
        return self._puller.foresee(policy)

    # Committing

    def commit(
        self,
        build: Build,
        result: AreaResult,
        policy: FetchPolicy = EVERYTHING,
        *,
        sent: dict[str, Place] | None = None,
    ) -> int:
        """Commit what ``build`` makes, made anew as often as others commit first; how many operations went up.

        They count once they were read back from the log. ``sent`` says where content lies that no commit names yet, and
        is added to. Raises RemoteUnreachable when it cannot be told whether they are there: ask again. Raises as
        ``run`` besides.
        """
        area, sent = self.area.id, {} if sent is None else sent
        sender = Sender(self._store, self._locks, self._watch, free=lambda key: self.tables.free_key(area, key))
        try:
            for attempt in range(_TRIES):
                self._watch.check()
                drafts = build()
                if not drafts:
                    return 0
                self._look_back(COMMIT_LOOK_SECONDS)
                commit = self._commit_of(self._placed(sender, drafts, sent))
                data = sender.encoded(commit, self._signer)
                while len(data) > LARGEST_COMMIT:
                    if len(commit.operations) == 1:
                        raise InvalidInput(f"{commit.operations[0].path} is too large to be synchronised.")
                    commit = replace(commit, operations=commit.operations[: len(commit.operations) // 2])
                    data = sender.encoded(commit, self._signer)
                self.tables.note_tried(area, commit.seq, commit.id)
                sender.try_commit(commit, data)
                pulled = self.pull(result, policy)
                if commit.id in pulled.own:
                    result.commits += 1
                    result.sent += len(commit.operations)
                    self._show(drafts[: len(commit.operations)])
                    self._cut_segments()
                    return len(commit.operations)
                if not pulled.commits:
                    # Nobody else was there: the request was lost, or is still on its way.
                    self._pause(random.uniform(0.05, 0.2) * (attempt + 1))
                    if attempt >= 4:
                        raise RemoteUnreachable(
                            f"The remote {self._store.name} does not take what is committed.", "Try again later."
                        )
                else:
                    self._pause(random.uniform(0.01, 0.05) * min(attempt + 1, 8))
        finally:
            sender.close()
        raise RemoteUnreachable("Others commit without pause.", "Try again.")

    def _push(self, result: AreaResult, policy: FetchPolicy, *, approved: bool) -> None:
        if not approved:
            self.outbox.brake()
        sent: dict[str, Place] = {}
        while True:
            tried: list[str] = []

            def build(tried: list[str] = tried) -> Sequence[Draft]:
                self.outbox.scan()
                return self.outbox.drafts(tried, result.problems, policy)

            if not self.commit(build, result, policy, sent=sent):
                return

    def _show(self, drafts: Sequence[Draft]) -> None:
        """Put what was shared with everybody where everybody can read it."""
        if self.area.kind is not AreaKind.SHARED or self._releasing is None:
            return
        for draft in drafts:
            if draft.cleared is not None:
                data, facts = as_read(draft.operation.kind, draft.cleared.data)
                try:
                    key = checked_key(view_key(self._releasing.user, draft.operation.path))
                except InvalidInput:
                    # Its path is longer than a readable key can be; those who sync have it all the same.
                    continue
                publish(self._store, key, zipped(data), facts, replace=True)

    def _take_back(self, result: AreaResult) -> None:
        """Delete the objects of what was unshared, and look that they are gone; what was interrupted is ended here."""
        if self._releasing is None:
            return
        area = self.area.id
        for path, key in self.tables.taken_back(area):
            base = self.tables.base(area, path)
            keys = {key} - self.tables.objects(area)
            if base is None and self.area.kind is AreaKind.SHARED:
                keys.add(view_key(self._releasing.user, path))
            try:
                require_deleted(self._store, keys)
            except RemoteRefused as refused:
                result.problems.append(f"{path}: {refused.message}")
            else:
                self.tables.forget_taken_back(area, path, key)

    def send_again(self, keys: set[str], result: AreaResult) -> int:
        """Send the content of the objects ``keys`` again, under new names, as far as it is here; how many paths."""
        wanted = {path for key in keys for path, _ in self.tables.places_in(self.area.id, key)}
        done: set[str] = set()

        def build() -> Sequence[Draft]:
            drafts = []
            for path in sorted(wanted - done)[:MOST_CHANGES]:
                base = self.tables.base(self.area.id, path)
                outgoing = self.outbox.outgoing(path) if base is not None and base.present else None
                if (
                    base is None
                    or outgoing is None
                    or outgoing.version != base.version
                    or base.place is None
                    or base.place.key not in keys
                ):
                    done.add(path)
                else:
                    drafts.append(self.outbox.draft(outgoing, base.version, anew=True))
            return drafts

        sent = 0
        while count := self.commit(build, result):
            sent += count
        return sent

    @staticmethod
    def _placed(sender: Sender, drafts: Sequence[Draft], sent: dict[str, Place]) -> list[Operation]:
        """The operations of ``drafts``, once the content of all of them is in the remote."""
        numbers: dict[str, int] = {}
        for draft in drafts:
            content = draft.operation.content
            if draft.cleared is not None and content not in sent and content not in numbers:
                numbers[content] = sender.add(draft.cleared, draft.encoding)
        places = sender.finish()
        sent |= {content: places[number] for content, number in numbers.items()}
        return [
            replace(draft.operation, place=sent[draft.operation.content])
            if draft.cleared is not None
            else draft.operation
            for draft in drafts
        ]

    def _commit_of(self, operations: Sequence[Operation]) -> Commit:
        position = self.tables.position(self.area.id)
        return Commit(
            self.area.id,
            position.seq + 1,
            position.hash,
            new_id(),
            self._agentfs.device,
            now(),
            tuple(operations),
            AuditHead(*self._agentfs.audit.head(), record_now(self._agentfs, self.tables, self.area.id)),
        )

    def _cut_segments(self) -> None:
        """Put the newest full segment where this device wrote its last commit."""
        position = self.tables.position(self.area.id)
        last = position.seq - position.seq % SEGMENT
        first = last - SEGMENT + 1
        if not last or position.seq - last > SEGMENT // 8 or self._cut == first:
            return
        if self.tables.device_of(self.area.id, last) != self._agentfs.device:
            return
        if self.tables.bytes_of_commits(self.area.id, first, last) > LARGEST_SEGMENT - 4 * SEGMENT:
            return
        commits = [raw for _, _, raw in self.tables.commits(self.area.id, first, last) if raw is not None]
        write_segment(self._store, self.area.id, first, commits)
        self._cut = first
