"""Takes the spool into AgentFS: agents, sessions, calls, signs of life, and which messages were handed over.

How far it was taken in is written in the same transaction as what came of it, so everything is taken in once and in its
order, whoever is killed when. Several processes may try at once.
"""

from __future__ import annotations

import json
import logging
import re
import sqlite3
import time
from typing import TYPE_CHECKING

from core.agent_model import PERSON_TYPE, Actor, ActorKind, AgentStatus
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, translated
from core.agentfs.identification import is_verified
from core.agentfs.readable import without_secrets
from core.agentfs.registration import check_registration
from core.agentfs.settings import remember_within
from core.config import ConflictSettings
from core.errors import InvalidInput, NotFound
from core.intake.payloads import HANDED
from core.intake.records import HookRecord, parse
from core.intake.spool_reading import Chunk, Place, read, signature, take_away

if TYPE_CHECKING:
    from core.intake.boundaries import Boundaries

DOOR = "hook"
AGENT_TYPE = "coding"
_CURSOR = "intake.cursor"
_LONGEST_PROJECT = 40
_NO_NAME = re.compile(r"[^\w.+-]+")
_ITS_OWN_FAULT = (
    InvalidInput,
    sqlite3.IntegrityError,
    ArithmeticError,
    AssertionError,
    LookupError,
    TypeError,
    ValueError,
)
_log = logging.getLogger(__name__)


class Intake:
    """For one thread at a time."""

    def __init__(self, agentfs: AgentFS, conflicts: ConflictSettings | None = None) -> None:
        """``conflicts`` says who rules where two agents work on the same thing."""
        self._agentfs = agentfs
        self._activity = agentfs.activity
        self._conflicts = conflicts or ConflictSettings()
        self._boundaries: Boundaries | None = None
        self._done: tuple[int, int] | None = None
        self._verified: dict[str, bool] = {}

    def waits(self) -> bool:
        """Whether something may wait to be taken in: one look at the spool's size."""
        return signature(self._agentfs.root) not in (None, self._done)

    def take_in(self, seconds: float = 60.0) -> int:
        """Take in what waits, for about so long at most; returns how many lines of the spool were dealt with.

        Raises what the database raises, Locked and ConfigurationError; what waits then goes on waiting.
        """
        end, count = time.monotonic() + seconds, 0
        self._verified.clear()
        while time.monotonic() < end:
            present = signature(self._agentfs.root)
            place = self._place()
            chunk = read(self._agentfs.root, place)
            if chunk is None:
                self._done = present
                break
            if self._took(chunk, place):
                count += len(chunk.lines)
                if chunk.is_last:
                    take_away(self._agentfs.root, chunk.end)
        return count

    def _place(self) -> Place | None:
        with translated(self._agentfs.database.path):
            return _place(self._agentfs.database.connection())

    def _took(self, chunk: Chunk, place: Place | None) -> bool:
        """Take in one chunk; false when another process did so meanwhile."""
        latest = now()
        records = [parse(line, latest) for line in chunk.lines]
        if bad := records.count(None):
            _log.warning("%d lines that a hook left hold no record and are passed over", bad)
        with self._agentfs.database.transaction() as connection:
            if _place(connection) != place:
                return False
            for record in records:
                if record is not None:
                    self._take(connection, record)
            remember_within(connection, _CURSOR, {"spool": chunk.end.spool, "offset": chunk.end.offset})
        return True

    def _take(self, connection: sqlite3.Connection, record: HookRecord) -> None:
        """One record, or nothing of it: one that cannot be taken in must not keep the others waiting."""
        connection.execute("SAVEPOINT record")
        try:
            self._apply(connection, record)
        except _ITS_OWN_FAULT as error:
            # Locked keys, broken boundaries and the like are no fault of this record, though they are bad input too.
            if isinstance(error, InvalidInput) and type(error) not in (InvalidInput, NotFound):
                raise
            connection.execute("ROLLBACK TO record")
            _log.warning("what a hook of %s left could not be taken in", record.client, exc_info=True)
        connection.execute("RELEASE record")

    def _apply(self, connection: sqlite3.Connection, record: HookRecord) -> None:
        if record.event == HANDED:
            self._note_handed(connection, record)
            return
        agent_id = self._agent(connection, record)
        by = self._actor(agent_id)
        session_id = None
        if record.session:
            title = record.project if without_secrets(record.project) == record.project else ""
            activity = self._activity
            session_id = activity.session(connection, record.session, title, record.client, by=by, at=record.at)
            by = self._actor(agent_id, session_id)
            if record.event in ("start", "prompt"):
                activity.reopen(connection, session_id, by=by)
            if record.event in ("prompt", "rest", "fail", "end"):
                activity.give_up(connection, session_id, by=by, at=record.at)
            if record.event == "end":
                activity.end_session(connection, session_id, by=by, at=record.at)
        status, tool = self._doing(connection, record, session_id, by)
        note = f"its turn failed{f': {record.failure}' if record.failure else ''}" if record.event == "fail" else ""
        self._activity.seen(connection, record.client, by=by, at=record.at, status=status, tool=tool, note=note)

    def _doing(
        self, connection: sqlite3.Connection, record: HookRecord, session_id: str | None, by: Actor
    ) -> tuple[AgentStatus | None, str]:
        """Note a call's begin or end; the answer is what the agent does from then on, as far as that is told."""
        activity, call, at = self._activity, record.call, record.at
        if call is not None and record.event == "begin":
            if record.files:
                self._cross(connection, record, by)
            if activity.begin(connection, call, session_id, record.client, by=by, at=at):
                return AgentStatus.BUSY, call.tool
            return None, ""
        if call is not None:
            call_id = activity.finish(connection, call, session_id, record.client, by=by, at=at)
            if call_id is not None and record.transcript and call.external_id:
                self._want_summary(connection, call_id, record.transcript)
            tool = activity.running(connection, by=by)
            return (AgentStatus.BUSY if tool else AgentStatus.ACTIVE), tool
        if record.event == "end":
            goes_on = activity.has_open_session(connection, by=by)
            return (None if goes_on else AgentStatus.INACTIVE), ""
        if record.event == "fail":
            return AgentStatus.ERROR, ""
        return (AgentStatus.ACTIVE if record.event in ("start", "prompt", "rest") else None), ""

    def _cross(self, connection: sqlite3.Connection, record: HookRecord, by: Actor) -> None:
        if self._boundaries is None:
            # Imported here: most hooks tell of no file that is changed.
            from core.intake.boundaries import Boundaries

            self._boundaries = Boundaries(self._agentfs, self._conflicts)
        self._boundaries.crossed(connection, record, by)

    def _want_summary(self, connection: sqlite3.Connection, call_id: str, transcript: str) -> None:
        # Where all that is private is sealed, nothing of it is said in a table either.
        if not self._agentfs.guard.settings.seal_all:
            self._activity.want_summary(connection, call_id, transcript)

    def _note_handed(self, connection: sqlite3.Connection, record: HookRecord) -> None:
        self._agentfs.agents.id_of(connection, record.handed_to)
        by = self._actor(record.handed_to)
        self._agentfs.messages.delivered_within(connection, record.handed_to, record.messages, by=by)

    # Whose hook it is

    def _actor(self, agent_id: str, session_id: str | None = None) -> Actor:
        if agent_id not in self._verified:
            try:
                self._verified[agent_id] = is_verified(self._agentfs.agents, self._agentfs.agents.get(agent_id))
            except InvalidInput:
                self._verified[agent_id] = False
        return Actor(ActorKind.AGENT, agent_id, DOOR, self._verified[agent_id], session_id)

    def _agent(self, connection: sqlite3.Connection, record: HookRecord) -> str:
        """The agent that the hook speaks for: the one that was named, else the client's own in this project."""
        if record.agent and (named := self._named(connection, record.agent, record)) is not None:
            return named
        known = self._activity.agent_of(connection, record.client, record.project_sha256)
        if known is not None:
            return known
        for name in _names(record):
            agent_id = self._named(connection, name, record, own=True)
            if agent_id is not None:
                self._activity.speak_for(connection, record.client, record.project_sha256, agent_id)
                return agent_id
        raise InvalidInput("No agent can be called after its project.")

    def _named(self, connection: sqlite3.Connection, name: str, record: HookRecord, *, own: bool = False) -> str | None:
        """The agent of that name, registered if need be; ``None`` where it cannot be that one.

        With ``own`` it must not be the one of another project whose folder has the same name.
        """
        row = connection.execute(
            "SELECT id, type FROM agents WHERE admission <> 'retired' AND (id = :name OR name = :name)"
            " ORDER BY id = :name DESC LIMIT 1",
            {"name": name},
        ).fetchone()
        if row is not None:
            if row["type"] == PERSON_TYPE:
                return None
            elsewhere = own and self._activity.is_of_another_project(connection, row["id"], record.project_sha256)
            return None if elsewhere else str(row["id"])
        owner = self._agentfs.guard.settings.user or self._agentfs.acting.id
        try:
            check_registration(name, AGENT_TYPE, None, owner)
        except InvalidInput:
            return None
        by = Actor(ActorKind.PERSON, owner, DOOR)
        agent_id, _ = self._agentfs.agents.register_within(
            connection, name, AGENT_TYPE, owner=owner, by=by, client=record.client
        )
        self._activity.first_seen(connection, agent_id, record.at)
        return agent_id


def _place(connection: sqlite3.Connection) -> Place | None:
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (_CURSOR,)).fetchone()
    if row is None:
        return None
    told = json.loads(row["value"])
    return Place(told["spool"], told["offset"])


def _names(record: HookRecord) -> tuple[str, ...]:
    """What the agent of a client in a project may be called, the plainest first."""
    project = _NO_NAME.sub("-", record.project).strip("-.")[:_LONGEST_PROJECT].rstrip("-.")
    digits = record.project_sha256
    plain = (f"{record.client}.{project}", f"{record.client}.{project}-{digits[:4]}") if project else ()
    return (*plain, f"{record.client}.{digits[:8]}")
