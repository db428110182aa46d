"""Conflicts as every door has them: listed, opened, drafted, ruled on, taken back, and opened again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.agentfs.device_names import device_names
from core.agentfs.readable import without_secrets
from core.conflicts.arbitration import Arbitration, SideLabel, arbitrate, digest, effective, with_draft
from core.conflicts.claims import Claims
from core.conflicts.drafts import DraftStore
from core.conflicts.listing import ConflictListing
from core.conflicts.many import Progress, preview_many, resolve_many
from core.conflicts.merging.forms import CLAIM, mergeable
from core.conflicts.objects import Objects, Present
from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import (
    FOLDER,
    ConflictRecord,
    ConflictStatus,
    ConflictStore,
    Side,
    more_private,
    read_record,
    ruled,
)
from core.conflicts.settled import as_settled
from core.conflicts.summaries import Applied, ConflictSummary, Moved, Preview, Refused
from core.disclosure.finding import readable_path
from core.errors import InvalidInput, NotFound
from core.model import Item

SHORTEST_PREFIX = 4


class ConflictService:
    """Safe from any thread and process: whoever rules first holds, and the other is told what moved."""

    def __init__(self, agentfs: AgentFS, user: str) -> None:
        """``user`` owns what rulings write."""
        self._agentfs = agentfs
        self._store = ConflictStore(agentfs)
        self._objects = Objects(agentfs, user)
        self._drafts = DraftStore(agentfs)
        self._listing = ConflictListing(agentfs, self._objects, self._drafts)

    # Looking

    def all(self, status: ConflictStatus | None = None) -> list[ConflictSummary]:
        """Every conflict, or those of one status, the oldest first. What is sealed is listed, too."""
        return self._listing.all(status)

    def count_open(self) -> int:
        """How many wait for a ruling."""
        return self._store.count_open()

    def about(self, agent_id: str) -> list[ConflictSummary]:
        """The open conflicts about what is that agent's own, or what it claims."""
        return [each for each in self.all(ConflictStatus.OPEN) if agent_id in each.agents]

    def open(self, identifier: str) -> Arbitration:
        """A conflict by its id, or a part of it that no other begins with, with what was chosen before.

        A settled one is as it was settled, see ``core.conflicts.settled``.

        Raises NotFound, InvalidInput for a part that several begin with, and Locked.
        """
        record = self.record(identifier)
        fresh = self._arbitration(record, self._objects.present(record.path))
        drafted = with_draft(fresh, self._drafts.get(record.id))
        return drafted if record.status is ConflictStatus.OPEN else as_settled(fresh, drafted)

    def record(self, identifier: str) -> ConflictRecord:
        """The record as it lies, with every version and ruling; raises as ``open``."""
        return self._read(identifier)[1]

    # Choosing

    def save_draft(self, arbitration: Arbitration) -> None:
        """Keep what is chosen so far on this device, over restarts. Raises Locked where it has to be sealed."""
        item = self._item(arbitration.id)
        self._drafts.put(arbitration.id, arbitration.drafted(), seals=item.sealed)

    # Ruling

    def apply(self, arbitration: Arbitration, *, by: Actor, why: str = "") -> Applied | Moved:
        """Have the result hold, in one transaction with its record and the audit; committed when this returns.

        Where a side is another than the one that was ruled on, nothing is done, and the answer is the conflict as it
        is now, with what was chosen at each place that is as it was. Raises InvalidInput while there is a ``problem``
        or for a result that cannot be kept, QuotaExceeded, Locked.
        """
        if problem := arbitration.problem():
            raise InvalidInput(problem, f"`bailiwick conflicts show {arbitration.id}` shows every place.")
        why = without_secrets(why.strip())
        freed: list[str] = []
        with self._agentfs.database.transaction() as connection:
            item, record = self._read(arbitration.id)
            present = self._objects.present(record.path)
            fresh = self._arbitration(record, present)
            is_same = (fresh.status, fresh.versions, fresh.exchanged) == (
                ConflictStatus.OPEN,
                arbitration.versions,
                arbitration.exchanged,
            )
            if is_same:
                applied = self._rule(connection, item, effective(record, present), present, arbitration, by, why, freed)
                if by.kind is ActorKind.PERSON:
                    # Should the ruling be taken back, what was chosen is there again; a person's draft is no agent's.
                    self._drafts.put_within(connection, record.id, arbitration.drafted(), seals=item.sealed)
        if not is_same:
            return self._moved(fresh, arbitration)
        self._agentfs.contents.discard_unused(freed)
        return applied

    def _rule(
        self,
        connection: sqlite3.Connection,
        item: Item,
        record: ConflictRecord,
        present: Present,
        arbitration: Arbitration,
        by: Actor,
        why: str,
        freed: list[str],
    ) -> Applied:
        result = arbitration.result()
        changed = result != present.content
        if record.kind == CLAIM:
            Claims(self._agentfs).rule_within(connection, record, result, by=by, why=why)
        elif changed:
            freed += self._objects.write_within(connection, record.path, result, by=by, like=_telling(record))
        base, local, remote = _contents(record)
        outcome = Outcome(
            RuledBy.AGENT if by.kind is ActorKind.AGENT else RuledBy.PERSON,
            _took(result, base, local, remote, arbitration),
            why or _counted(arbitration),
            by.id,
            self._agentfs.device,
            now(),
            digest(base),
            digest(local),
            digest(remote),
            digest(result),
            digest(present.content),
        )
        self._put(connection, item, ruled(record, outcome), by, "conflict.rule")
        told = outcome.exchanged if arbitration.exchanged else outcome
        return Applied(record.id, record.path, told, changed, readable_path(self._agentfs, record.path))

    def undo_applied(self, identifier: str, *, by: Actor) -> Applied:
        """Bring back what stood before the ruling, and open the conflict again with what was chosen.

        Raises InvalidInput where nothing was ruled, the object was changed since, or what stood is not at hand.
        """
        freed: list[str] = []
        with self._agentfs.database.transaction() as connection:
            item, record = self._read(identifier)
            outcome = self._outcome(record)
            present = self._objects.present(record.path)
            if digest(present.content) != outcome.result:
                raise InvalidInput(
                    f"{record.path} was changed since: the ruling cannot simply be taken back.",
                    f"`bailiwick conflicts reopen {record.id}` opens it over what is there now.",
                )
            before = _content_with(record, outcome.before)
            changed = before != present.content
            if record.kind == CLAIM:
                Claims(self._agentfs).rule_within(connection, record, before, by=by)
            elif changed:
                freed += self._objects.write_within(connection, record.path, before, by=by, like=_telling(record))
            self._put(connection, item, reopened(replace(record, outcome=None), outcome), by, "conflict.undo")
        self._agentfs.contents.discard_unused(freed)
        return Applied(record.id, record.path, outcome, changed, readable_path(self._agentfs, record.path))

    def reopen(self, identifier: str, *, by: Actor) -> Arbitration:
        """Open what was settled, whoever settled it; what stands at the object stands until there is a new ruling.

        Raises InvalidInput where it is open.
        """
        with self._agentfs.database.transaction() as connection:
            item, record = self._read(identifier)
            self._outcome(record)
            self._put(connection, item, reopened(record), by, "conflict.reopen")
        return self.open(record.id)

    # Many at once

    def preview_many(self, identifiers: Iterable[str], take: Took) -> list[Preview]:
        """What ``resolve_many`` would make of each; nothing is done."""
        return preview_many(identifiers, take, self.open, lambda path: self._objects.present(path).content)

    def resolve_many(
        self, identifiers: Sequence[str], take: Took, *, by: Actor, why: str = "", progress: Progress | None = None
    ) -> list[Applied | Refused]:
        """Take one side wherever something is open, in each conflict by itself; see ``core.conflicts.many``."""
        return resolve_many(identifiers, take, self.open, lambda each: self.apply(each, by=by, why=why), progress)

    # How it lies

    def _arbitration(self, record: ConflictRecord, present: Present) -> Arbitration:
        made = arbitrate(record, present, device=self._agentfs.device, names=device_names(self._agentfs.database))
        return replace(made, about=readable_path(self._agentfs, record.path))

    def _moved(self, fresh: Arbitration, arbitration: Arbitration) -> Moved:
        if fresh.status is not ConflictStatus.OPEN:
            return Moved(fresh, 0)
        carried = with_draft(fresh, arbitration.drafted())
        self.save_draft(carried)
        return Moved(carried, len(carried.open))

    def _put(self, connection: sqlite3.Connection, item: Item, record: ConflictRecord, by: Actor, action: str) -> None:
        about = self._agentfs.items.at_path(record.path)
        found = more_private(item.sensitive, about.sensitive) if about is not None else item.sensitive
        self._store.put_within(connection, record, owner=item.owner, found=found, by=by, action=action)

    @staticmethod
    def _outcome(record: ConflictRecord) -> Outcome:
        if record.status is ConflictStatus.OPEN or record.outcome is None:
            raise InvalidInput("This conflict is open: nothing was ruled on it.", "Rule on it first.")
        return record.outcome

    def _read(self, identifier: str) -> tuple[Item, ConflictRecord]:
        item = self._item(identifier)
        return item, read_record(self._agentfs.items.content(item))

    def _item(self, identifier: str) -> Item:
        name = identifier.removeprefix(f"{FOLDER}/")
        item = self._agentfs.items.at_path(f"{FOLDER}/{name}")
        if item is None and len(name) >= SHORTEST_PREFIX:
            found = [each.id for each in self._store.all() if each.id.startswith(name)]
            if len(found) > 1:
                raise InvalidInput(f"{len(found)} conflicts begin with {name}.", "Write more of the id.")
            item = self._agentfs.items.at_path(f"{FOLDER}/{found[0]}") if found else None
        if item is None:
            raise NotFound(f"There is no conflict {identifier}.", "`bailiwick conflicts list --all` shows them.")
        return item


def reopened(record: ConflictRecord, overruled: Outcome | None = None) -> ConflictRecord:
    """The record as it is open again, in another round; ``overruled`` is a ruling that holds no more. Pure."""
    past = (overruled, *record.overruled) if overruled is not None else record.overruled
    return replace(
        record,
        status=ConflictStatus.OPEN,
        round=record.round + 1,
        updated_at=now(),
        asked=None,
        overruled=tuple(dict.fromkeys(past)),
    )


def _contents(record: ConflictRecord) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Base, local and remote as the record has them, in the form in which they are merged."""
    base = mergeable(record.kind, record.base.content) if record.base is not None else None
    return base, mergeable(record.kind, record.local.content), mergeable(record.kind, record.remote.content)


def _content_with(record: ConflictRecord, wanted: str | None) -> bytes | None:
    if wanted is None:
        return None
    sides: Sequence[Side] = [*([record.base] if record.base is not None else []), *record.sides]
    for side in sides:
        content = mergeable(record.kind, side.content)
        if digest(content) == wanted:
            return content
    raise InvalidInput(
        f"What stood at {record.path} before is not at hand.",
        f"`bailiwick conflicts reopen {record.id}` opens it over what is there now.",
    )


def _telling(record: ConflictRecord) -> Side | None:
    """A version that tells what the object is, should nothing be there."""
    sides = (record.remote, record.local, *record.others, *([record.base] if record.base is not None else []))
    return next((each for each in sides if each.header is not None), None)


def _took(
    result: bytes | None, base: bytes | None, local: bytes | None, remote: bytes | None, arbitration: Arbitration
) -> Took:
    for content, took in ((local, Took.LOCAL), (remote, Took.REMOTE), (base, Took.BASE)):
        if result == content:
            return took
    by_hand = arbitration.is_written or any(not each.auto for each in arbitration.decisions)
    return Took.CHOSEN if by_hand else Took.MERGED


def _counted(arbitration: Arbitration) -> str:
    """What was chosen, in words that say the same on every device."""
    if arbitration.is_written:
        return "Written by hand."
    counts = arbitration.counts
    local, remote = _called(arbitration.local, arbitration.remote)
    told = [
        f"{number} {word}"
        for number, word in (
            (counts.local, local),
            (counts.remote, remote),
            (counts.both, "both"),
            (counts.base, "base"),
            (counts.custom, "edited"),
            (counts.auto, "by themselves"),
        )
        if number
    ]
    return f"{', '.join(told)}." if told else "Nothing differed any more."


def _called(local: SideLabel, remote: SideLabel) -> tuple[str, str]:
    """How two sides are called: by their devices, else by who made them, as far as that tells them apart."""
    names = (local.device_name, remote.device_name), (local.who, remote.who)
    found = next(((one, other) for one, other in names if one and other and one != other), None)
    return (f"of {found[0]}", f"of {found[1]}") if found is not None else ("local", "remote")
