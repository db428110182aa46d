"""Two rulings on one conflict, made on two devices at once, that meet: one holds, and no conflict is made of the two.

The record says which (``records.merged``). It is taken in before the objects, so it is known when their contents meet.
"""

from __future__ import annotations

import sqlite3

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.agentfs.settings import recall_within, remember_within
from core.conflicts.arbitration import digest
from core.conflicts.merging.forms import mergeable
from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import IS_CONFLICT, ConflictRecord, ConflictStatus, read_record
from core.model import JSONValue

NOTICE = "conflict.notice"
"""The type of the message by which a person hears of a ruling that does not hold."""
_MET = "conflicts.met"
_ABOUT = (
    f"SELECT id FROM items WHERE {IS_CONFLICT}"  # noqa: S608 - our own constant
    " AND json_extract(metadata, '$.object') = ? AND json_extract(metadata, '$.contested')"
)


class Meetings:
    """Safe from any thread."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def about(self, path: str) -> list[ConflictRecord]:
        """The conflicts of an object on which more than one ruling was made. Raises Locked."""
        with translated(self._agentfs.database.path):
            rows = self._agentfs.database.connection().execute(_ABOUT, (path,)).fetchall()
        items = [item for row in rows if (item := self._agentfs.items.get(row["id"])) is not None]
        return [read_record(self._agentfs.items.content(item)) for item in items]

    def note_within(self, connection: sqlite3.Connection, record: ConflictRecord) -> None:
        """Note that two rulings on that conflict met just now, until ``forget_within``."""
        remember_within(connection, _MET, {**self.noted_within(connection), record.path: record.id})

    @staticmethod
    def noted_within(connection: sqlite3.Connection) -> dict[str, str]:
        """The conflicts that were noted, by the paths of their objects."""
        told = recall_within(connection, _MET)
        return {path: str(conflict) for path, conflict in told.items()} if isinstance(told, dict) else {}

    @staticmethod
    def forget_within(connection: sqlite3.Connection) -> None:
        """What holds stands at the objects of all of them."""
        connection.execute("DELETE FROM settings WHERE key = ?", (_MET,))

    def side_kept(self, path: str, local: bytes | None, remote: bytes | None) -> Took | None:
        """Which of two contents, as they are merged, is the ruling that holds; ``None`` where they are not two rulings.

        Raises Locked.
        """
        for record in self.about(path):
            if (took := side_kept(record, digest(local), digest(remote))) is not None:
                return took
        return None


def side_kept(record: ConflictRecord, local: str | None, remote: str | None) -> Took | None:
    """As ``Meetings.side_kept``, of one conflict and the hashes of both contents. Pure."""
    if local == remote:
        return None
    rulings = _rulings(record)
    for here in (each for each in rulings if each.result == local):
        for there in (each for each in rulings if each.result == remote):
            if _about(here) == _about(there):
                return Took.LOCAL if rulings.index(here) < rulings.index(there) else Took.REMOTE
    return None


def have_met(before: ConflictRecord, came: ConflictRecord) -> bool:
    """Whether these are two rulings on the same versions, neither made in knowledge of the other. Pure."""
    one, other = before.outcome, came.outcome
    if ConflictStatus.OPEN in (before.status, came.status) or one is None or other is None:
        return False
    return before.round == came.round and one.result != other.result and _about(one) == _about(other)


def due(record: ConflictRecord, present: bytes | None, device: str) -> tuple[bytes | None] | None:
    """What has to stand at the object, where a ruling of ``device`` stands there that does not hold.

    ``present`` is what stands there, as it is merged.

    ``None`` where nothing is to be done, or the content of the ruling that holds is still to come. Pure.
    """
    outcome, stands = record.outcome, digest(present)
    if record.status is ConflictStatus.OPEN or outcome is None or stands == outcome.result:
        return None
    lost = (each for each in record.overruled if each.device == device and each.result == stands)
    if not any(_about(each) == _about(outcome) for each in lost):
        return None
    if outcome.result is None:
        return (None,)
    versions = [*record.sides, *([record.base] if record.base is not None else [])]
    contents = (mergeable(record.kind, each.content) for each in versions)
    return next(((each,) for each in contents if digest(each) == outcome.result), None)


def lost_ruling(
    before: ConflictRecord, came: ConflictRecord, became: ConflictRecord, device: str
) -> tuple[Outcome, Outcome] | None:
    """The ruling of this device that holds no more, and the one that does, as ``before`` and what ``came`` became one.

    ``None`` where nobody here has to hear of it: whoever ruled there knew it, both ruled alike, or a rule had. Pure.
    """
    mine, holds = before.outcome, became.outcome
    if before.status is ConflictStatus.OPEN or mine is None or holds is None or mine == holds:
        return None
    if mine.device != device or mine.by is not RuledBy.PERSON:
        return None
    if came.round > before.round and mine in came.overruled:
        # It was opened again and ruled on by somebody who knew.
        return None
    return None if mine.result == holds.result or became.status is ConflictStatus.OPEN else (mine, holds)


def _rulings(record: ConflictRecord) -> list[Outcome]:
    """Every ruling, the one that holds first, then the earlier before the later."""
    held = [record.outcome] if record.outcome is not None else []
    return [*held, *record.overruled]


def _about(outcome: Outcome) -> tuple[str | None, frozenset[str | None]]:
    """The versions that it ruled on, whichever of them is local there."""
    return outcome.base, frozenset((outcome.local, outcome.remote))


def note_lost(agentfs: AgentFS, connection: sqlite3.Connection, user: str, record: ConflictRecord, text: str) -> None:
    """Tell the person, in the caller's transaction, that a ruling made here does not hold."""
    person = agentfs.agents.person(connection, user)
    content: JSONValue = {"conflict": record.id, "object": record.path, "text": text}
    if not agentfs.messages.tell(connection, person, content, type=NOTICE):
        agentfs.audit.append(connection, agentfs.agents.engine, "message.skip", person, {"type": NOTICE})
