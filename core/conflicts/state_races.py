"""A write of a state that lost its compare-and-set, kept: merged at once where that is safe, else a conflict."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import dataclass

from core.agent_model import Actor, ActorKind, State, StateVersion
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_json
from core.agentfs.json_text import checked_json
from core.agentfs.kinds import is_critical, kind_of
from core.agentfs.state_log import is_alive, state_path
from core.conflicts.arising import Arising
from core.conflicts.objects import Objects
from core.conflicts.records import ConflictRecord, Side, more_private
from core.errors import NotFound, StateConflict
from core.ids import sha256_hex
from core.model import Item, JSONValue, Kind


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a write: the ``state`` as it stands now, and the ``conflict`` where the race was lost.

    ``is_written``: what stands has it, alone or merged with what was there. Else the conflict waits for a ruling.
    """

    state: State | None
    conflict: ConflictRecord | None
    is_written: bool


class StateRaces:
    """Safe from any thread and process."""

    def __init__(self, agentfs: AgentFS, arising: Arising) -> None:
        self._agentfs = agentfs
        self._arising = arising

    def put(
        self,
        agent: str,
        key: str,
        value: JSONValue,
        *,
        by: Actor,
        expect: int,
        kind: Kind | None = None,
        critical: bool | None = None,
        expires_in: float | None = None,
    ) -> Kept:
        """As ``StateStore.put``; a value that comes too late is kept beside the one that stands.

        Both began with version ``expect``. There is one conflict for each state and version. Raises StateConflict where
        there never was that version, and as ``StateStore.put`` and Locked besides.
        """
        states = self._agentfs.states
        try:
            state = states.put(
                agent, key, value, by=by, expect=expect, kind=kind, critical=critical, expires_in=expires_in
            )
            return Kept(state, None, is_written=True)
        except StateConflict as refusal:
            lost = refusal
        text = checked_json(value, "The value")
        with self._agentfs.database.transaction() as connection:
            agent_id = self._agentfs.agents.id_of(connection, agent)
            began = self._began(agent_id, key, expect)
            if expect and began is None:
                raise lost
            return self._keep(connection, agent_id, key, text, began, by, critical=bool(critical))

    def _keep(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        key: str,
        text: str,
        began: StateVersion | None,
        by: Actor,
        *,
        critical: bool,
    ) -> Kept:
        agentfs, path = self._agentfs, state_path(agent_id, key)
        agent = agentfs.agents.get(agent_id)
        objects = Objects(agentfs, agent.owner)
        item, stands = self._standing(connection, objects, agent_id, key)
        content = text.encode()
        if stands.content == content:
            # Somebody wrote the very same.
            return Kept(self._state(agent_id, key), None, is_written=True)
        kind = item.kind if item is not None else kind_of(key, agent.type)
        base = self._base(agent_id, key, began)
        found = item.sensitive if item is not None else agentfs.guard.judge(path, kind, None).sensitive
        for each in (content, base.content if base is not None else None):
            if each is not None:
                found = more_private(found, agentfs.guard.scan(json.loads(each)))
        arisen = self._arising.arise_within(
            connection,
            path,
            kind.value,
            base,
            Side(sha256_hex(content), content, None, self._name(by), agentfs.device, now()),
            stands,
            owner=agent.owner,
            found=found,
            critical=critical or (item.critical if item is not None else is_critical(key)),
            by=by,
            agents=(by.id if by.kind is ActorKind.AGENT else "", self._last_agent(connection, path)),
        )
        if arisen.writes:
            objects.write_within(connection, path, arisen.content, by=by)
        return Kept(self._state(agent_id, key), arisen.record, is_written=arisen.writes)

    def _standing(
        self, connection: sqlite3.Connection, objects: Objects, agent_id: str, key: str
    ) -> tuple[Item | None, Side]:
        """What stands at the state now, as a side; without a version where nothing does, or it has expired."""
        row = connection.execute(
            "SELECT * FROM agent_states WHERE agent_id = ? AND state_key = ?", (agent_id, key)
        ).fetchone()
        path = state_path(agent_id, key)
        if row is None or not is_alive(row):
            return None, Side(None, device=self._agentfs.device)
        present = objects.present(path)
        assert present.content is not None
        version = sha256_hex(present.content)
        side = Side(version, present.content, None, present.who, self._agentfs.device, from_text(row["updated_at"]))
        return self._agentfs.items.at_path(path), side

    def _began(self, agent_id: str, key: str, expect: int) -> StateVersion | None:
        """The version that was expected, ``None`` where there was to be none or never was that one."""
        if not expect:
            return None
        versions = self._agentfs.states.history(agent_id, key, by=self._agentfs.agents.engine)
        return next((each for each in versions if each.version == expect), None)

    def _base(self, agent_id: str, key: str, began: StateVersion | None) -> Side | None:
        if began is None or began.sha256 is None:
            return None
        value = self._agentfs.states.value_at(agent_id, key, began.version, by=self._agentfs.agents.engine)
        content = to_json(value).encode()
        return Side(sha256_hex(content), content, None, self._who(began.actor), self._agentfs.device, began.at)

    def _state(self, agent_id: str, key: str) -> State | None:
        with suppress(NotFound):
            return self._agentfs.states.get(agent_id, key, by=self._agentfs.agents.engine)
        return None

    @staticmethod
    def _last_agent(connection: sqlite3.Connection, path: str) -> str:
        """The id of the agent that wrote what stands, empty where it was none."""
        row = connection.execute(
            "SELECT a.id FROM items i JOIN state_history h ON h.state_id = i.id LEFT JOIN agents a ON a.id = h.actor"
            " WHERE i.path = ? ORDER BY h.version DESC LIMIT 1",
            (path,),
        ).fetchone()
        return str(row["id"]) if row is not None and row["id"] is not None else ""

    def _name(self, by: Actor) -> str:
        return self._who(by.id) if by.kind is ActorKind.AGENT else by.id

    def _who(self, actor: str) -> str:
        row = self._agentfs.database.connection().execute("SELECT name FROM agents WHERE id = ?", (actor,)).fetchone()
        return str(row["name"]) if row is not None else actor
