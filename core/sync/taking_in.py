"""Brings the local side to what the log tells, path by path: compared, fetched, applied, and then agreed on.

What cannot be had or not be understood is known from then on, and what is here in its place stays: it is neither sent
as an edit nor as a deletion until the content came.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from enum import Enum
from itertools import groupby, islice

from core.conflicts.records import ConflictStatus
from core.errors import InvalidInput, NotFound, QuotaExceeded, SealBroken, WorkspaceUnusable
from core.sync.areas import AreaLocks
from core.sync.commit import Operation, Place
from core.sync.failpoints import reached
from core.sync.fetching import Fetcher, batches
from core.sync.incoming import PUBLISHED, FetchPolicy, Incoming, Pulled
from core.sync.local_tree import LocalTree
from core.sync.origin import FormerVersion
from core.sync.packing import Encoding, decompress
from core.sync.planner import Step, step_for
from core.sync.tables import Base, SyncTables
from core.sync_model import AreaKind, Change

_log = logging.getLogger(__name__)
_TRIES = 5
AT_ONCE = 100
"""How many are one transaction at most: whoever else writes meanwhile waits for its end."""
TOGETHER = 8
"""From how many on it is worth while."""
_OF_ONE_ITEM = (InvalidInput, SealBroken, WorkspaceUnusable)
_FETCHES = (Step.TAKE, Step.REVIVE, Step.CONFLICT)
Piece = tuple[Incoming, bytes | None]
"""What comes, with the stored bytes of its content where it needs them."""


class _Outcome(Enum):
    DONE = "done"
    CHANGED = "changed meanwhile"
    NEEDS_CONTENT = "needs content"


class Intake:
    """Takes in what one area's log tells. Not for several threads at once."""

    def __init__(self, locks: AreaLocks, tables: SyncTables, tree: LocalTree, fetcher: Fetcher, *, user: str) -> None:
        self._locks = locks
        self._area = locks.area
        self._tables = tables
        self._tree = tree
        self._fetcher = fetcher
        self._user = user
        self._met: dict[str, str] = {}
        """Of which paths two rulings met."""

    def take_in(self, incoming: Sequence[Incoming], policy: FetchPolicy, pulled: Pulled) -> None:
        """Bring every path to what it says; what is not wanted now, or cannot be had, is known from now on.

        Raises SyncCancelled, Locked and what the store raises; what was done until then holds.
        """
        ordered = sorted(incoming, key=self._order)
        # Never two orders at once, for agents have to be there before what is theirs.
        for _, group in groupby(ordered, key=lambda each: self._order(each)[0]):
            self._met = self._tree.upholding.met() if self._area.kind is AreaKind.USER else {}
            known: list[Incoming] = []
            ready: list[Piece] = []
            wanting: dict[Place, list[Incoming]] = {}
            for each in group:
                if self.is_passed_by(each):
                    known.append(each)
                elif (place := self._wanted(each, policy, pulled)) is None:
                    ready.append((each, None))
                elif isinstance(place, Place):
                    wanting.setdefault(place, []).append(each)
                else:
                    known.append(each)
            self._agree([(each, self._is_own_publication(each)) for each in known])
            self._bring(ready, pulled)
            for batch in batches(list(wanting)):
                self._fetch_and_bring(batch, wanting, pulled)
        self._uphold(pulled)

    def _uphold(self, pulled: Pulled) -> None:
        """Of conflicts that were ruled on here and elsewhere at once, have what holds stand at their objects."""
        if self._area.kind is not AreaKind.USER or not (met := self._tree.upholding.met()):
            return
        for path, conflict in met.items():
            try:
                pulled.received += self._tree.upholding.uphold(path, conflict)
            except (*_OF_ONE_ITEM, NotFound, QuotaExceeded) as refused:
                _log.warning("a ruling on %s is not upheld: %s", path, refused.message)
        self._tree.upholding.done()

    def step(self, incoming: Incoming) -> tuple[Step, str | None]:
        """What becomes of the path, and which version is here now."""
        here = self._tree.version(incoming.operation.path)
        return step_for(here, incoming.base, incoming.operation.version), here

    def is_passed_by(self, incoming: Incoming) -> bool:
        """Whether nothing is to be done here for it: what the user himself released is here anyway, in another form,
        and files of published libraries are read when they are pulled.
        """
        if self._is_own_publication(incoming) or incoming.operation.kind == PUBLISHED:
            return True
        known = self._tables.base(self._area.id, incoming.operation.path)
        return known is not None and known.kind == PUBLISHED

    def _is_own_publication(self, incoming: Incoming) -> bool:
        return self._area.kind is not AreaKind.USER and incoming.origin.user == self._user

    def _order(self, incoming: Incoming) -> tuple[int, str]:
        return self._tree.order(incoming.operation.path), incoming.operation.path

    def _wanted(self, incoming: Incoming, policy: FetchPolicy, pulled: Pulled) -> Place | bool | None:
        """Where the content lies that it needs, ``None`` when it needs none, ``False`` when it is not to be had now."""
        operation = incoming.operation
        try:
            step, here = self.step(incoming)
        except _OF_ONE_ITEM as error:
            return self._lacks(incoming, error.message, pulled)
        if step not in _FETCHES or operation.version is None:
            return None
        if step is Step.TAKE and here is None and not policy.takes(incoming):
            return False
        if operation.place is None:
            return self._lacks(incoming, "it came without content.", pulled)
        return operation.place

    @staticmethod
    def _lacks(incoming: Incoming, why: str, pulled: Pulled) -> bool:
        pulled.lacking[incoming.operation.path] = why
        return False

    def _fetch_and_bring(self, batch: list[Place], wanting: dict[Place, list[Incoming]], pulled: Pulled) -> None:
        had, lacking = self._fetcher.fetch(batch)
        for place, why in lacking.items():
            for each in wanting[place]:
                self._lacks(each, why, pulled)
            self._agree([(each, False) for each in wanting[place]])
        self._bring([(each, stored) for place, stored in had.items() for each in wanting[place]], pulled)

    def _bring(self, pieces: Sequence[Piece], pulled: Pulled) -> None:
        rest = iter(pieces)
        while chunk := list(islice(rest, AT_ONCE)):
            if len(chunk) >= TOGETHER:
                chunk = self._brought_together(chunk, pulled)
            for each, stored in chunk:
                if not self._apply(each, stored, pulled):
                    self._agree([(each, False)])

    # Many at once

    def _brought_together(self, pieces: Sequence[Piece], pulled: Pulled) -> list[Piece]:
        """Apply and agree on what is plain, in one transaction; the answer is what is left to be done by itself."""
        plain: list[tuple[Incoming, bytes | None, bytes | None, Step, str | None]] = []
        left: list[Piece] = []
        for each, stored in pieces:
            reached("before-apply")
            try:
                content = self._open(each.operation, stored) if stored is not None else None
                step, here = self.step(each)
            except _OF_ONE_ITEM:
                left.append((each, stored))
                continue
            reached("after-look")
            is_plain = step in (Step.NOTHING, Step.DROP) or (step is Step.TAKE and content is not None)
            if is_plain or (step is Step.KEEP and each.operation.version is not None):
                plain.append((each, stored, content, step, here))
            else:
                left.append((each, stored))
        received = 0
        with self._tree.together():
            connection = self._tables.database.connection()
            for each, stored, content, step, here in plain:
                try:
                    is_done = self._do_plainly(each, content, step, here)
                except _OF_ONE_ITEM:
                    is_done = False
                if is_done:
                    received += step in (Step.TAKE, Step.DROP)
                    self._note_agreed(connection, each, present=True)
                else:
                    left.append((each, stored))
        pulled.received += received
        for each, *_ in plain:
            pulled.lacking.pop(each.operation.path, None)
        reached("after-apply")
        reached("after-base")
        return left

    def _do_plainly(self, incoming: Incoming, content: bytes | None, step: Step, here: str | None) -> bool:
        operation, origin = incoming.operation, incoming.origin
        is_met = step in (Step.TAKE, Step.DROP) and operation.path in self._met
        if is_met and self._tree.upholding.stays(operation, content, origin):
            return self._tree.version(operation.path) == here
        if step is Step.TAKE and content is not None:
            return self._tree.apply(operation, content, expected=here, origin=origin)
        if step is Step.DROP and here is not None:
            return self._tree.delete(operation.path, expected=here, origin=origin)
        return self._tree.version(operation.path) == here

    # One by itself

    def _apply(self, incoming: Incoming, stored: bytes | None, pulled: Pulled) -> bool:
        """Bring the path to what the operation says, as often as the user changes it meanwhile; whether it is.

        Both sides agree on it in the same transaction: who dies in between neither takes it for new again, nor a later
        deletion of it for something that was never here.
        """
        try:
            content = self._open(incoming.operation, stored) if stored is not None else None
            for _ in range(_TRIES):
                reached("before-apply")
                match self._try(incoming, content, pulled):
                    case _Outcome.DONE:
                        reached("after-apply")
                        reached("after-base")
                        pulled.lacking.pop(incoming.operation.path, None)
                        return True
                    case _Outcome.NEEDS_CONTENT:
                        break
        except _OF_ONE_ITEM as refused:
            _log.warning("an operation of %s is not taken in: %s", self._area.id, refused.message)
            return self._lacks(incoming, refused.message, pulled)
        return self._lacks(incoming, "it was changed here while it came, and is fetched again.", pulled)

    def _try(self, incoming: Incoming, content: bytes | None, pulled: Pulled) -> _Outcome:
        operation, origin = incoming.operation, incoming.origin
        step, here = self.step(incoming)
        reached("after-look")
        if step in _FETCHES and content is None and operation.version is not None:
            # It became this since it was looked at.
            return _Outcome.NEEDS_CONTENT
        is_kept = step is Step.KEEP and here is not None and operation.version is None
        differ = step in (Step.REVIVE, Step.CONFLICT) or is_kept
        former = self._former(incoming) if differ else None
        with self._tree.together():
            if differ:
                became = self._tree.conflict(operation, content, expected=here, base=former, origin=origin)
                done, is_open = became is not None, became is ConflictStatus.OPEN
            else:
                done, is_open = self._do_plainly(incoming, content, step, here), False
            if done:
                self._note_agreed(self._tables.database.connection(), incoming, present=True)
        if not done:
            return _Outcome.CHANGED
        if differ or step in (Step.TAKE, Step.DROP):
            pulled.received += 1
        pulled.conflicts += is_open
        return _Outcome.DONE

    def _former(self, incoming: Incoming) -> FormerVersion | None:
        if incoming.base is None:
            return None
        known = self._tables.base(self._area.id, incoming.operation.path)
        if known is None or known.version != incoming.base or known.place is None:
            return FormerVersion(incoming.base)
        return FormerVersion(incoming.base, known.header, self._former_content(known, known.place))

    def _former_content(self, known: Base, place: Place) -> bytes | None:
        had, _ = self._fetcher.fetch([place])
        stored = had.get(place)
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

    # What both sides agree on

    def _agree(self, level: Sequence[tuple[Incoming, bool]]) -> None:
        """Both sides agree on all of these now; the flag says whether the content is here too."""
        for first in range(0, len(level), AT_ONCE):
            with self._tables.database.transaction() as connection:
                for each, present in level[first : first + AT_ONCE]:
                    self._note_agreed(connection, each, present=present)
            reached("after-base")

    def _note_agreed(self, connection: sqlite3.Connection, incoming: Incoming, *, present: bool) -> None:
        operation, area = incoming.operation, self._area.id
        self._tables.move_base(connection, area, operation, incoming.seq, present=present, here=incoming.base)
        if self._area.kind is not AreaKind.USER:
            return
        try:
            here = self._tree.version(operation.path)
        except _OF_ONE_ITEM:
            return
        if here == (operation.version if present else incoming.base):
            self._tables.not_pending(connection, area, operation.path)
        else:
            self._tables.add_pending(connection, area, operation.path, operation.size)
