"""The outbox of an area: what changed here, and the operations that tell of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.errors import BailiwickError, InvalidInput, SealBroken, WorkspaceUnusable
from core.privacy import Cleared
from core.sync.commit import Operation, checked_path, told_size
from core.sync.failpoints import reached
from core.sync.local_tree import LocalTree, Outgoing
from core.sync.packing import Encoding
from core.sync.pulling import FetchPolicy
from core.sync.releasing import Releasing
from core.sync.tables import Base, SyncTables
from core.sync_model import Area, Change, Direction, PlannedChange

_SCAN = 2000
_MOST_AT_ONCE = 2000
_MOST_BYTES = 64 * 1024 * 1024
_MOST_TOLD = 8 * 1024 * 1024
MANY_DELETED = 10


class _Waits(Exception):
    """What changed here is compared with what is not here yet before it goes up."""


class AsksFirst(BailiwickError):
    """A safety brake: the sync goes on only when the person says so."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One operation to be committed, and the content that goes with it, if it is not in the area yet."""

    operation: Operation
    cleared: Cleared | None = None
    encoding: Encoding = Encoding.NONE


class Outbox:
    """Looks what changed here, and makes of it what a commit says. Not for several threads at once."""

    def __init__(self, area: Area, tables: SyncTables, tree: LocalTree, releasing: Releasing | None) -> None:
        """``releasing`` is there for what others get: a team, or everybody."""
        self._area = area
        self._tables = tables
        self._tree = tree
        self._releasing = releasing

    def scan(self) -> None:
        """Note in the outbox what changed here since it was last looked; looks at what changed alone."""
        area = self._area.id
        position = self._tables.position(area).scanned
        while True:
            found, reached_position = self._tree.changed_since(position, _SCAN)
            changed: list[tuple[str, int]] = []
            level: list[str] = []
            for each in found:
                base = self._tables.base(area, each.path)
                if each.version == (base.agreed if base is not None else None):
                    level.append(each.path)
                else:
                    changed.append((each.path, each.size))
            if found or reached_position != position:
                self._tables.note_scanned(area, reached_position, changed, level)
                reached("after-scan")
            if not found:
                return
            position = reached_position

    def changes(self) -> Iterator[PlannedChange]:
        """What would go up now; looks what changed here."""
        self.scan()
        for each in self._tables.pending(self._area.id):
            if self._releasing is not None and self._releasing.outgoing(each.path) is None:
                continue
            gone = self._tree.version(each.path) is None
            change = Change.DELETE if gone else Change.PUT
            yield PlannedChange(self._area.id, Direction.UP, change, each.path, 0 if gone else each.size)

    def brake(self) -> None:
        """Raise AsksFirst when more than half of what both sides agreed on would be deleted."""
        area = self._area.id
        waiting, _ = self._tables.pending_counts(area)
        if waiting <= MANY_DELETED or waiting * 2 <= (count := self._tables.count(area)):
            return
        deleted = sum(1 for each in self._tables.pending(area) if self._tree.version(each.path) is None)
        if deleted > MANY_DELETED and deleted * 2 > count:
            raise AsksFirst(
                f"{deleted:,} of {count:,} items were deleted here, and would be deleted on your other devices.",
                "`bailiwick sync --yes` deletes them there; restore a snapshot or a backup if that was not meant.",
            )

    def drafts(self, left_out: list[str], problems: list[str], policy: FetchPolicy) -> list[Draft]:
        """The next operations from the outbox; what is level already leaves it."""
        # What is shared was shared on purpose, and does not wait for a quiet time.
        at_most = policy.sends_at_most if self._releasing is None else None
        while True:
            waiting = self._tables.pending(self._area.id, _MOST_AT_ONCE + len(left_out), at_most=at_most)
            before = len(left_out)
            drafts, level = self._drafted([each.path for each in waiting], left_out, problems)
            with self._tables.database.transaction() as connection:
                for path in level:
                    self._tables.not_pending(connection, self._area.id, path)
            if drafts or not (level or len(left_out) > before):
                return drafts

    def _drafted(self, paths: Sequence[str], left_out: list[str], problems: list[str]) -> tuple[list[Draft], list[str]]:
        """The operations for as many of ``paths`` as one commit holds, and those of them that are level already."""
        area = self._area.id
        drafts: list[Draft] = []
        level: list[str] = []
        size = told = 0
        for path in paths:
            if len(drafts) >= _MOST_AT_ONCE or size > _MOST_BYTES or told > _MOST_TOLD:
                break
            if path in left_out:
                continue
            base = self._tables.base(area, path)
            if base is not None and not self._is_own(base):
                level.append(path)
                continue
            try:
                draft = self._next(path, base)
                told += told_size(draft.operation) if draft is not None else 0
            except _Waits:
                left_out.append(path)
            except (InvalidInput, WorkspaceUnusable, SealBroken) as refused:
                left_out.append(path)
                problems.append(f"{path}: {refused.message}")
            else:
                if draft is None:
                    level.append(path)
                else:
                    drafts.append(draft)
                    size += draft.operation.size
        return drafts, level

    def _next(self, path: str, base: Base | None) -> Draft | None:
        """What is to be told of the path, ``None`` where both sides are level. Raises _Waits."""
        if base is not None and not base.present and self._releasing is None:
            if self._tree.version(path) == base.here:
                return None
            raise _Waits
        outgoing = self.outgoing(checked_path(path))
        before = base.version if base is not None else None
        if (outgoing.version if outgoing is not None else None) == before:
            return None
        if outgoing is not None:
            return self.draft(outgoing, before)
        if base is None or not base.present:
            return None
        if base.place is not None and self._releasing is not None:
            self._tables.note_taken_back(self._area.id, path, base.place.key)
        return Draft(Operation(path, Change.DELETE, before, None))

    def outgoing(self, path: str) -> Outgoing | None:
        """What is at ``path`` as it leaves for the area."""
        return self._tree.outgoing(path) if self._releasing is None else self._releasing.outgoing(path)

    def _is_own(self, base: Base) -> bool:
        """Whether what both sides agreed on is this user's to change: in the user's own area everything is."""
        return self._releasing is None or base.header.get("owner") == self._releasing.user

    def draft(self, outgoing: Outgoing, before: str | None, *, anew: bool = False) -> Draft:
        """What tells of ``outgoing``, made of the version ``before``; ``anew`` its content is sent in any case."""
        place = None if anew else self._tables.place_of_content(self._area.id, outgoing.content)
        operation = Operation(
            outgoing.path,
            Change.PUT,
            before,
            outgoing.version,
            outgoing.kind,
            outgoing.item_id,
            outgoing.header,
            outgoing.content,
            outgoing.size,
            place,
        )
        return Draft(operation, outgoing.cleared if place is None else None, outgoing.encoding)
