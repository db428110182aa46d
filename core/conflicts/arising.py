"""A conflict arises: it is settled by rule at once, or kept open with both versions, and goes on where it was known."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.config import ConflictSettings
from core.conflicts.arbitration import digest
from core.conflicts.asking import Asking
from core.conflicts.merging.forms import mergeable
from core.conflicts.outcomes import Outcome, RuledBy
from core.conflicts.records import (
    Begun,
    ConflictRecord,
    ConflictStatus,
    ConflictStore,
    Side,
    joined,
    more_private,
    ruled,
)
from core.conflicts.responsibilities import Claimant
from core.conflicts.settling import Matter, Settlement, settle
from core.conflicts.supervisor import claimant_of, names_of
from core.model import Sensitivity


@dataclass(frozen=True, slots=True)
class Arisen:
    """The record of a conflict, and whether ``content`` has to be written over what stands at the object.

    ``content`` is what is to be there, in the form in which the object is merged; ``None`` is nothing. ``outcome`` is
    what was settled about the two sides now; the record is open all the same while other versions are at odds.
    """

    record: ConflictRecord
    writes: bool
    content: bytes | None
    outcome: Outcome | None = None


_UNWRITTEN = Settlement("What the rules made of it could not be written.", may_ask=True)


class Arising:
    """Safe from any thread and process."""

    def __init__(self, agentfs: AgentFS, settings: ConflictSettings, *, who: str = "") -> None:
        """``who`` is in whose name rules settle, the user of the workspace by itself."""
        self._agentfs = agentfs
        self._settings = settings
        self._who = who or agentfs.guard.settings.user or agentfs.acting.id
        self._store = ConflictStore(agentfs)
        self._asking = Asking(agentfs, settings)

    def arise_within(
        self,
        connection: sqlite3.Connection,
        path: str,
        kind: str,
        base: Side | None,
        local: Side,
        remote: Side,
        *,
        owner: str,
        found: Sensitivity,
        critical: bool,
        by: Actor,
        agents: tuple[str, str] = ("", ""),
        settles: bool = True,
    ) -> Arisen:
        """Keep both versions in a record, settled as far as rules settle it, in the caller's transaction.

        ``remote`` is what stands at the object; the caller writes the ``content`` of the answer over it where it
        ``writes``. One conflict of the same object and base goes on: it is open while any two of its versions are at
        odds. ``found`` is why any of the versions is sensitive; ``agents`` are the ids of those that made the sides,
        where that is known and the sides do not say it. Without ``settles`` it stays open, for what was settled could
        not be written. Raises Locked.
        """
        began, one, other = (
            mergeable(kind, side.content) if side is not None else None for side in (base, local, remote)
        )
        claimants = (
            claimant_of(connection, kind, local, agents[0]),
            claimant_of(connection, kind, remote, agents[1]),
        )
        matter = Matter(
            path,
            kind,
            began,
            one,
            other,
            has_base=base is None or base.version is None or base.content is not None,
            critical=critical,
            names=names_of(connection, path, kind, local, remote),
            local_agent=claimants[0],
            remote_agent=claimants[1],
        )
        settlement = settle(matter, self._settings) if settles else _UNWRITTEN
        begun = self._store.begin(path, kind, base, local, remote)
        found = more_private(found, begun.found)
        if not settlement.is_settled:
            record = self._left_open(connection, begun.record, settlement, claimants)
            self._store.put_within(connection, record, owner=owner, found=found, by=by, action="conflict.open")
            return Arisen(record, writes=False, content=None)
        outcome = self._outcome(settlement, began, one, other)
        record = _resolved(begun, (local, remote), outcome)
        action = "conflict.rule" if outcome.by is RuledBy.SUPERVISOR else "conflict.merge"
        self._store.put_within(connection, record, owner=owner, found=found, by=by, action=action, outcome=outcome)
        return Arisen(record, settlement.content != other, settlement.content, outcome)

    def _left_open(
        self,
        connection: sqlite3.Connection,
        record: ConflictRecord,
        settlement: Settlement,
        claimants: tuple[Claimant | None, Claimant | None],
    ) -> ConflictRecord:
        record = replace(record, reserved=settlement.reserved)
        if not settlement.may_ask:
            return record
        besides = [each.id for each in claimants if each is not None]
        return replace(record, asked=self._asking.ask_within(connection, record, besides=besides))

    def _outcome(
        self, settlement: Settlement, base: bytes | None, local: bytes | None, remote: bytes | None
    ) -> Outcome:
        assert settlement.by is not None
        assert settlement.took is not None
        return Outcome(
            settlement.by,
            settlement.took,
            settlement.why,
            self._who,
            self._agentfs.device,
            now(),
            digest(base),
            digest(local),
            digest(remote),
            digest(settlement.content),
            digest(remote),
        )


def _resolved(begun: Begun, sides: tuple[Side, Side], outcome: Outcome) -> ConflictRecord:
    """The record with the outcome; it stays open where it was over versions that the outcome is not about."""
    before = begun.before
    if before is not None and before.status is ConflictStatus.OPEN:
        about = {each.version for each in sides}
        if any(each.version not in about for each in before.sides):
            return joined(before, sides)
    return ruled(begun.record, outcome)


def arising_of(agentfs: AgentFS, settings: ConflictSettings, user: str = "") -> Arising:
    """What has conflicts arise in a workspace."""
    return Arising(agentfs, settings, who=user)
