"""Agents as the user's other devices see them: what goes out of those here, what is kept of those that live there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.agent_model import PERSON_TYPE, Actor, Admission, AgentStatus
from core.agentfs.agents import AgentRegistry
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.agentfs.elsewhere import name_elsewhere
from core.agentfs.journal import agent_touched
from core.agentfs.places import next_ticket
from core.agentfs.registration import check_form
from core.errors import InvalidInput
from core.ids import looks_like_id
from core.model import JSONObject


@dataclass(frozen=True, slots=True)
class Party:
    """An agent, or the person, that an item names, so that the item can arrive before the agent itself does.

    ``device`` is where it lives and ``device_name`` what that is called.
    """

    id: str
    name: str
    type: str
    owner: str
    device: str
    device_name: str = ""


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as it is at home. ``party`` and what follows it is what its other devices show; the rest is how it was
    when this was told.
    """

    party: Party
    capabilities: JSONObject
    created_at: datetime
    retired_at: datetime | None
    note: str
    last_activity: datetime
    status: AgentStatus
    tool: str
    door: str
    client: str

    def counted(self) -> JSONObject:
        """What makes a version of it."""
        return {
            "name": self.party.name,
            "type": self.party.type,
            "owner": self.party.owner,
            "device": self.party.device,
            "capabilities": dict(self.capabilities),
            "created_at": to_text(self.created_at),
            "retired_at": to_text(self.retired_at) if self.retired_at is not None else None,
        }

    def to_bytes(self) -> bytes:
        """All of it as canonical JSON."""
        seen = {
            "at": to_text(self.last_activity),
            "status": self.status.value,
            "tool": self.tool,
            "door": self.door,
            "client": self.client,
        }
        told = {**self.counted(), "note": self.note, "device_name": self.party.device_name, "seen": seen}
        return to_json(told).encode()


def read_agent(agent_id: str, data: bytes) -> AgentRecord:
    """What ``to_bytes`` gave; raises InvalidInput for anything that no device of ours sends."""
    try:
        told = json.loads(data)
        seen, retired = told["seen"], told["retired_at"]
        texts = [told[name] for name in ("name", "type", "owner", "device", "device_name", "note")]
        texts += [seen[name] for name in ("tool", "door", "client")]
        if not all(isinstance(each, str) and len(each) <= 4096 for each in texts) or not looks_like_id(told["device"]):
            raise ValueError("no text")
        return AgentRecord(
            Party(agent_id, told["name"], told["type"], told["owner"], told["device"], told["device_name"]),
            dict(told["capabilities"]),
            _moment(told["created_at"]),
            _moment(retired) if retired is not None else None,
            told["note"],
            _moment(seen["at"]),
            AgentStatus(seen["status"]),
            seen["tool"],
            seen["door"],
            seen["client"],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"What came about an agent is not what Bailiwick sends ({type(error).__name__}).") from None


class TravellingAgents:
    """Safe from any thread and process; what arrives belongs to the caller's transaction."""

    def __init__(self, database: Database, audit: AuditTrail, agents: AgentRegistry, device_name: str = "") -> None:
        """``device_name`` is how the other devices call this one."""
        self._database = database
        self._audit = audit
        self._agents = agents
        self._device_name = device_name

    def changed_since(self, owner: str, position: int, limit: int) -> list[tuple[str, int]]:
        """Ids and journal positions of the owner's agents that changed after ``position``, oldest change first."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT id, position FROM agents WHERE position > ? AND owner = ? AND type <> ?"
                " ORDER BY position LIMIT ?",
                (position, owner, PERSON_TYPE, limit),
            )
            return [(row["id"], row["position"]) for row in rows]

    def position(self, agent_id: str) -> int | None:
        """The journal position of the agent's last change that travels; ``None`` where there is no such agent."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT position FROM agents WHERE id = ? AND type <> ?", (agent_id, PERSON_TYPE))
                .fetchone()
            )
        return int(row["position"]) if row is not None else None

    def record(self, agent_id: str) -> AgentRecord | None:
        """The agent as it is known here."""
        row = self._row(agent_id)
        if row is None or row["type"] == PERSON_TYPE:
            return None
        retired = row["retired_at"]
        return AgentRecord(
            self._party(row),
            json.loads(row["capabilities"]),
            from_text(row["created_at"]),
            from_text(retired) if retired is not None else None,
            row["note"],
            from_text(row["last_activity"]),
            AgentStatus(row["status"]),
            row["current_tool"],
            row["door"],
            row["client"],
        )

    def parties(self, agent_ids: Iterable[str]) -> tuple[Party, ...]:
        """Those of ``agent_ids`` that are known here, the person among them, by id."""
        rows = [self._row(agent_id) for agent_id in sorted(set(agent_ids))]
        return tuple(self._party(row) for row in rows if row is not None)

    def local(self, connection: sqlite3.Connection, type: str, at: datetime) -> list[str]:  # noqa: A002 - the column
        """Ids of the living agents of a type, of all with an empty one, that live here and did so at ``at``."""
        rows = connection.execute(
            "SELECT id FROM agents WHERE device = '' AND admission <> 'retired' AND type <> ? AND created_at <= ?"
            " AND (? = '' OR type = ?)",
            (PERSON_TYPE, to_text(at), type, type),
        )
        return [row["id"] for row in rows]

    def ensure(self, connection: sqlite3.Connection, parties: Iterable[Party], *, by: Actor) -> None:
        """See to it that there is a row for each."""
        for party in parties:
            if party.type == PERSON_TYPE:
                if party.id != self._agents.person(connection, party.owner):
                    raise InvalidInput("What came names a person by the id of an agent.")
            elif self._within(connection, party.id) is None:
                self._insert(connection, party, now(), by)

    def arrive(self, connection: sqlite3.Connection, record: AgentRecord, *, by: Actor) -> None:
        """Take in what is told of an agent. One that lives here is told nothing new, but that it was retired."""
        party = record.party
        if party.type == PERSON_TYPE:
            raise InvalidInput("What came of an agent is a person's.")
        row = self._within(connection, party.id)
        if row is None:
            self._insert(connection, party, record.created_at, by)
            row = self._within(connection, party.id)
        assert row is not None
        if row["owner"] != party.owner:
            raise InvalidInput("What came gives an agent to somebody else.")
        if row["device"] and party.device == row["device"]:
            self._follow(connection, row, record)
        self._retire(connection, row, record)
        position = agent_touched(connection, party.id)
        self._audit.append(connection, by, "agent.arrive", party.id, {"device": party.device}, journal=position)
        self._agents.places.admit(connection)

    def seen(self, connection: sqlite3.Connection, agent_id: str, at: datetime) -> None:
        """A sign of life of an agent that lives elsewhere."""
        connection.execute(
            "UPDATE agents SET last_activity = max(last_activity, ?), status = CASE status WHEN 'inactive' THEN"
            " 'active' ELSE status END WHERE id = ? AND device <> '' AND admission <> 'retired'",
            (to_text(min(at, now())), agent_id),
        )

    def _follow(self, connection: sqlite3.Connection, row: sqlite3.Row, record: AgentRecord) -> None:
        party = record.party
        check_form(party.name, party.type, record.capabilities)
        named = {"id": party.id, "home_name": party.name, "device_name": party.device_name}
        same = (row["home_name"], row["device_name"]) == (party.name, party.device_name)
        name = row["name"] if same else name_elsewhere(connection, named)
        connection.execute(
            "UPDATE agents SET name = ?, home_name = ?, device_name = ?, type = ?, capabilities = ?, created_at = ?"
            " WHERE id = ?",
            (
                name,
                party.name,
                party.device_name,
                party.type,
                to_json(dict(record.capabilities)),
                to_text(record.created_at),
                party.id,
            ),
        )
        if to_text(record.last_activity) >= row["last_activity"]:
            connection.execute(
                "UPDATE agents SET last_activity = ?, status = ?, current_tool = ?, door = ?, client = ?, note = ?"
                " WHERE id = ? AND admission <> 'retired'",
                (
                    to_text(min(record.last_activity, now())),
                    record.status.value,
                    record.tool,
                    record.door,
                    record.client,
                    record.note,
                    party.id,
                ),
            )

    def _retire(self, connection: sqlite3.Connection, row: sqlite3.Row, record: AgentRecord) -> None:
        if record.retired_at is None:
            return
        retired_at = to_text(record.retired_at)
        if row["admission"] == Admission.RETIRED:
            # Both did: the earlier moment is the one that all devices come to.
            connection.execute(
                "UPDATE agents SET retired_at = min(retired_at, ?) WHERE id = ?", (retired_at, record.party.id)
            )
            return
        self._agents.retire_within(connection, record.party.id, retired_at, record.note)
        self._agents.key_path(record.party.id).unlink(missing_ok=True)

    def _insert(self, connection: sqlite3.Connection, party: Party, created_at: datetime, by: Actor) -> None:
        if not looks_like_id(party.id) or not looks_like_id(party.device):
            raise InvalidInput("What came names an agent or a device by no id.")
        check_form(party.name, party.type, None)
        elsewhere = party.device != self._audit.device
        named = {"id": party.id, "home_name": party.name, "device_name": party.device_name}
        moment = to_text(created_at)
        connection.execute(
            "INSERT INTO agents (id, name, type, status, created_at, last_activity, owner, admission, waiting_since,"
            " key_sha256, device, device_name, home_name) VALUES (?, ?, ?, 'inactive', ?, ?, ?, ?, ?, '', ?, ?, ?)",
            (
                party.id,
                name_elsewhere(connection, named),
                party.type,
                moment,
                moment,
                party.owner,
                "admitted" if elsewhere else "waiting",
                None if elsewhere else next_ticket(connection),
                party.device if elsewhere else "",
                party.device_name if elsewhere else "",
                party.name if elsewhere else "",
            ),
        )
        self._audit.append(connection, by, "agent.arrive", party.id, {"device": party.device})

    def _party(self, row: sqlite3.Row) -> Party:
        if not row["device"]:
            return Party(row["id"], row["name"], row["type"], row["owner"], self._audit.device, self._device_name)
        return Party(row["id"], row["home_name"], row["type"], row["owner"], row["device"], row["device_name"])

    def _row(self, agent_id: str) -> sqlite3.Row | None:
        with translated(self._database.path):
            return self._within(self._database.connection(), agent_id)

    @staticmethod
    def _within(connection: sqlite3.Connection, agent_id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = connection.execute("SELECT * FROM agents WHERE id = ?", (agent_id,)).fetchone()
        return row


def _moment(text: str) -> datetime:
    read = from_text(text)
    if read.tzinfo is None:
        raise ValueError("no moment")
    return read
