"""The agent registry: stable identities with their keys, and status from signs of life."""

from __future__ import annotations

import hmac
import json
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

from core.agent_model import (
    PERSON_TYPE,
    Actor,
    ActorKind,
    Admission,
    Agent,
    AgentOverview,
    AgentStatus,
    Registration,
)
from core.agentfs.agent_keys import AgentKeys
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.agentfs.elsewhere import name_elsewhere, require_here
from core.agentfs.journal import agent_touched
from core.agentfs.places import Places, next_ticket
from core.agentfs.policy import AgentPolicy
from core.agentfs.readable import check_readable, without_secrets
from core.agentfs.registration import check_registration
from core.errors import AccessDenied, InvalidInput, NotAdmitted, NotFound
from core.ids import new_id, sha256_hex, stable_id
from core.model import JSONObject

# The id of the agent that :agent names: by id, else by the name of one that is here, else of the last one retired.
NAMED_AGENT = """coalesce(
    (SELECT id FROM agents WHERE id = :agent),
    (SELECT id FROM agents WHERE name = :agent AND admission <> 'retired'),
    (SELECT id FROM agents WHERE name = :agent ORDER BY created_at DESC LIMIT 1))"""
_OVERVIEW = """
SELECT a.*,
    (SELECT count(*) FROM message_receipts r WHERE r.agent_id = a.id AND r.read_at IS NULL) AS unread,
    (SELECT count(*) FROM leases l WHERE l.agent_id = a.id AND l.ended_at IS NULL AND l.expires_at > :now) AS leases,
    (SELECT count(*) FROM agent_states s WHERE s.agent_id = a.id AND s.state_value IS NOT NULL
        AND (s.expires_at IS NULL OR s.expires_at > :now)) AS states,
    (SELECT id FROM sessions e WHERE e.agent_id = a.id AND e.ended_at IS NULL ORDER BY started_at DESC LIMIT 1)
        AS session_id
FROM agents a WHERE a.type <> :person AND (:retired OR a.admission <> 'retired')
ORDER BY a.admission = 'retired', a.created_at, a.id
"""


class AgentRegistry:
    """Who works here. Safe from any thread and process."""

    def __init__(self, database: Database, audit: AuditTrail, keys: Path, policy: AgentPolicy) -> None:
        """``keys`` is the folder of the key files."""
        self._database = database
        self._audit = audit
        self._keys = AgentKeys(keys)
        self.engine = Actor(ActorKind.ENGINE, audit.device)
        self.places = Places(database, audit, policy, self.engine)

    @property
    def policy(self) -> AgentPolicy:
        """What agents are allowed."""
        return self.places.policy

    # Identity

    def register(
        self,
        name: str,
        type: str,  # noqa: A002 - the column's name in strategy.md
        capabilities: JSONObject | None = None,
        *,
        owner: str,
        by: Actor,
        client: str = "",
    ) -> Registration:
        """Make ``name`` an agent, or recognise it: its id and key stay, what is new about it is noted.

        Raises InvalidInput for an unusable name, type or capabilities, and when an agent registers another anew.
        """
        check_registration(name, type, capabilities, owner)
        check_readable(client, "The client's name")
        with self._database.transaction() as connection:
            agent_id, created = self.register_within(
                connection, name, type, capabilities, owner=owner, by=by, client=client
            )
        return Registration(self.get(agent_id), str(self.key_path(agent_id)), created=created)

    def register_within(
        self,
        connection: sqlite3.Connection,
        name: str,
        type: str,  # noqa: A002 - as above
        capabilities: JSONObject | None = None,
        *,
        owner: str,
        by: Actor,
        client: str = "",
    ) -> tuple[str, bool]:
        """As ``register``, in the caller's transaction, of what was checked: the agent's id, and whether it is new."""
        row = connection.execute("SELECT * FROM agents WHERE name = ? AND admission <> 'retired'", (name,)).fetchone()
        if row is not None and row["type"] == PERSON_TYPE:
            raise InvalidInput(f"{name} is the person's own name here.", "Choose another name for the agent.")
        if row is not None and row["device"]:
            # The name alone is that of the agent here; the other one is told by its device.
            connection.execute(
                "UPDATE agents SET name = ? WHERE id = ?", (name_elsewhere(connection, row, taken=True), row["id"])
            )
            row = None
        if row is not None:
            require_self(by, row["id"], name)
        moment = to_text(now())
        told = {"type": type, "capabilities_sha256": sha256_hex(to_json(dict(capabilities or {})).encode())}
        if row is None:
            agent_id = new_id()
            key = self._keys.write(agent_id)
            connection.execute(
                "INSERT INTO agents (id, name, type, capabilities, status, created_at, last_activity, owner,"
                " admission, waiting_since, door, client, key_sha256)"
                " VALUES (?, ?, ?, ?, 'active', ?, ?, ?, 'waiting', ?, ?, ?, ?)",
                (
                    agent_id,
                    name,
                    type,
                    to_json(dict(capabilities or {})),
                    moment,
                    moment,
                    owner,
                    next_ticket(connection),
                    by.door,
                    client,
                    sha256_hex(key.encode()),
                ),
            )
            position = agent_touched(connection, agent_id)
            self._audit.append(connection, by, "agent.register", agent_id, told, journal=position)
        else:
            agent_id = str(row["id"])
            held = row["capabilities"] if capabilities is None else to_json(dict(capabilities))
            connection.execute(
                "UPDATE agents SET type = ?, capabilities = ?, status = 'active', last_activity = ?, note = '',"
                " current_tool = '', door = ?, client = CASE WHEN ? = '' THEN client ELSE ? END WHERE id = ?",
                (type, held, moment, by.door, client, client, agent_id),
            )
            if not self._keys.holds(agent_id, row["key_sha256"]):
                key = self._keys.write(agent_id)
                connection.execute(
                    "UPDATE agents SET key_sha256 = ? WHERE id = ?", (sha256_hex(key.encode()), agent_id)
                )
                self._audit.append(connection, by, "agent.key", agent_id)
            changed = (row["type"], row["capabilities"]) != (type, held)
            journal = agent_touched(connection, agent_id) if changed else None
            self._audit.append(connection, by, "agent.register", agent_id, told, journal=journal)
        self.places.admit(connection, agent_id if row is None else "")
        return agent_id, row is None

    @staticmethod
    def person_id(user_id: str) -> str:
        """The id under which the person writes and is written to."""
        return stable_id("person", user_id)

    def person(self, connection: sqlite3.Connection, user_id: str) -> str:
        """The person's id as ``person_id``, with a row made within the caller's transaction if need be."""
        person_id = self.person_id(user_id)
        moment = to_text(now())
        connection.execute(
            "INSERT INTO agents (id, name, type, created_at, last_activity, owner, admission, key_sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, 'admitted', '') ON CONFLICT (id) DO NOTHING",
            (person_id, _person_name(connection, user_id), PERSON_TYPE, moment, moment, user_id),
        )
        return person_id

    def get(self, agent: str) -> Agent:
        """The agent with that id, else the one of that name that is not retired; raises NotFound naming the others."""
        with translated(self._database.path):
            connection = self._database.connection()
            row = _find(connection, agent)
            if row is None:
                names = [
                    each["name"]
                    for each in connection.execute(
                        "SELECT name FROM agents WHERE admission <> 'retired' AND type <> ? ORDER BY name LIMIT 8",
                        (PERSON_TYPE,),
                    )
                ]
                raise NotFound(
                    f"There is no agent {agent}.",
                    f"Here are: {', '.join(names)}."
                    if names
                    else "`bailiwick agents register NAME --type T` makes one.",
                )
            return self._agent(row, self.places.line(connection))

    def id_of(self, connection: sqlite3.Connection, agent: str) -> str:
        """The id of an agent named by id or name that is not retired; raises NotFound or InvalidInput."""
        return str(_living(connection, agent)["id"])

    def all(self, *, retired: bool = False) -> list[AgentOverview]:
        """Every agent with its counts, the retired ones last and only if asked for."""
        parameters = {"now": to_text(now()), "person": PERSON_TYPE, "retired": int(retired)}
        with translated(self._database.path):
            connection = self._database.connection()
            line = self.places.line(connection)
            return [
                AgentOverview(self._agent(row, line), row["unread"], row["leases"], row["states"], row["session_id"])
                for row in connection.execute(_OVERVIEW, parameters)
            ]

    def key_path(self, agent_id: str) -> Path:
        """The file that holds the agent's key, readable by its owner alone."""
        return self._keys.path(agent_id)

    def read_key(self, agent_id: str) -> str:
        """The key in the agent's file, empty when there is none; raises InvalidInput when others may read the file."""
        return self._keys.read(agent_id)

    def verify_key(self, agent_id: str, key: str) -> bool:
        """Whether ``key`` is the agent's; one that is retired has none."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT key_sha256 FROM agents WHERE id = ? AND admission <> 'retired'", (agent_id,))
                .fetchone()
            )
        return row is not None and bool(key) and hmac.compare_digest(row[0], sha256_hex(key.encode()))

    # Signs of life

    def last_activity(self) -> str:
        """A text that changes with every sign of life of any agent."""
        with translated(self._database.path):
            row = self._database.connection().execute("SELECT max(last_activity), count(*) FROM agents").fetchone()
        return f"{row[0]} {row[1]}"

    def heartbeat(
        self, agent: str, *, by: Actor, status: AgentStatus | None = None, tool: str = "", note: str = ""
    ) -> Agent:
        """A sign of life: notes what the agent is doing and renews its leases.

        Raises NotFound, and InvalidInput for a retired agent and for another agent's.
        """
        with self._database.transaction() as connection:
            row = _living_agent(connection, agent)
            agent_id, moment = str(row["id"]), now()
            require_self(by, agent_id, agent)
            require_here(row)
            told = status or (AgentStatus.BUSY if tool else AgentStatus.ACTIVE)
            connection.execute(
                "UPDATE agents SET last_activity = ?, status = ?, current_tool = ?, note = ?, door = ? WHERE id = ?",
                (to_text(moment), told, without_secrets(tool), without_secrets(note), by.door or row["door"], agent_id),
            )
            for lease in connection.execute(
                "SELECT id, seconds FROM leases WHERE agent_id = ? AND ended_at IS NULL AND expires_at > ?",
                (agent_id, to_text(moment)),
            ).fetchall():
                connection.execute(
                    "UPDATE leases SET expires_at = ? WHERE id = ?",
                    (to_text(moment + timedelta(seconds=lease["seconds"])), lease["id"]),
                )
            if row["admission"] == Admission.WAITING:
                self.places.admit(connection)
        return self.get(agent_id)

    def acting(self, connection: sqlite3.Connection, agent: str, by: Actor, *, changes: bool = True) -> str:
        """The id of the agent that ``agent`` names, for something done by ``by`` on its behalf.

        An agent acts for itself alone, and what ``changes`` something needs a place. Raises NotFound, InvalidInput for
        another's name, a retired agent or one that lives on another device, NotAdmitted.
        """
        row = _living(connection, agent)
        agent_id = str(row["id"])
        require_self(by, agent_id, agent)
        require_here(row)
        if by.kind is ActorKind.AGENT and changes:
            self.touch(connection, agent_id)
        return agent_id

    def touch(self, connection: sqlite3.Connection, agent_id: str) -> str:
        """A call of the agent that changes something, within the caller's transaction; returns its owner.

        Raises NotFound when there is no such agent, InvalidInput when it is retired, NotAdmitted while it waits.
        """
        moment = to_text(now())
        row = connection.execute(
            "UPDATE agents SET last_activity = ?, status = CASE status WHEN 'busy' THEN 'busy' ELSE 'active' END"
            " WHERE id = ? RETURNING admission, name, owner, device, device_name",
            (moment, agent_id),
        ).fetchone()
        if row is None:
            raise NotFound(f"There is no agent {agent_id}.", "Register it first.")
        require_here(row)
        if row["admission"] == Admission.WAITING:
            self.places.admit(connection)
            place = self.places.line(connection).get(agent_id)
            if place is not None:
                raise NotAdmitted(
                    f"{row['name']} waits for a place, {place} in line: {self.places.reason()}",
                    "Wait (heartbeats keep the place in line), or retire another agent.",
                    {"place": place},
                )
        elif row["admission"] == Admission.RETIRED:
            raise InvalidInput(f"{row['name']} is retired.", "Register it again.")
        return str(row["owner"])

    def working(self, connection: sqlite3.Connection, agent_id: str, tool: str, by: Actor) -> None:
        """A tool of the agent begins, within the caller's transaction."""
        connection.execute(
            "UPDATE agents SET last_activity = ?, status = 'busy', current_tool = ?, door = ? WHERE id = ?",
            (to_text(now()), tool, by.door, agent_id),
        )

    def rested(self, connection: sqlite3.Connection, agent_id: str, status: AgentStatus, note: str) -> None:
        """The agent's tool has ended, within the caller's transaction; one retired meanwhile stays as it is."""
        connection.execute(
            "UPDATE agents SET last_activity = ?, status = ?, current_tool = '', note = ?"
            " WHERE id = ? AND admission <> 'retired'",
            (to_text(now()), status, note, agent_id),
        )

    def retire(self, agent: str, *, by: Actor, reason: str = "") -> Agent:
        """End an agent for good: its leases and sessions end, its history stays, its name is free again.

        An agent ends itself alone, and shows its key for it. Raises NotFound, InvalidInput and AccessDenied.
        """
        with self._database.transaction() as connection:
            row = _living_agent(connection, agent)
            agent_id, moment = str(row["id"]), to_text(now())
            require_self(by, agent_id, agent)
            if by.kind is ActorKind.AGENT and not by.verified:
                raise AccessDenied("The agent showed no key: it is not retired.", "Show it, or let the person do it.")
            self.retire_within(connection, agent_id, moment, without_secrets(reason))
            told = {"reason_sha256": sha256_hex(reason.encode())}
            position = agent_touched(connection, agent_id)
            self._audit.append(connection, by, "agent.retire", agent_id, told, journal=position)
            self.places.admit(connection)
        self.key_path(agent_id).unlink(missing_ok=True)
        return self.get(agent_id)

    @staticmethod
    def retire_within(connection: sqlite3.Connection, agent_id: str, moment: str, note: str) -> None:
        """As ``retire``, in the caller's transaction, which keeps the record of it, and takes the key file away."""
        connection.execute(
            "UPDATE agents SET admission = 'retired', status = 'inactive', current_tool = '', retired_at = ?,"
            " note = ?, key_sha256 = '' WHERE id = ?",
            (moment, note, agent_id),
        )
        connection.execute(
            "UPDATE leases SET ended_at = ?, ended_because = 'its agent was retired'"
            " WHERE agent_id = ? AND ended_at IS NULL",
            (moment, agent_id),
        )
        connection.execute(
            "UPDATE sessions SET ended_at = ? WHERE agent_id = ? AND ended_at IS NULL", (moment, agent_id)
        )

    # Reading rows

    def _agent(self, row: sqlite3.Row, line: dict[str, int]) -> Agent:
        last = from_text(row["last_activity"])
        silent = (now() - last).total_seconds() > self.policy.idle_seconds
        place = line.get(row["id"])
        return Agent(
            id=row["id"],
            name=row["name"],
            type=row["type"],
            capabilities=json.loads(row["capabilities"]),
            status=AgentStatus.INACTIVE if silent else AgentStatus(row["status"]),
            admission=Admission(row["admission"]),
            created_at=from_text(row["created_at"]),
            last_activity=last,
            owner=row["owner"],
            current_tool="" if silent else row["current_tool"],
            note=row["note"],
            door=row["door"],
            client=row["client"],
            place=place,
            reason=self.places.reason() if place is not None else "",
            retired_at=_moment(row["retired_at"]),
            device=row["device"],
            device_name=row["device_name"],
        )


def require_self(by: Actor, agent_id: str, agent: str) -> None:
    """Raise InvalidInput when ``by`` is an agent, but not the one ``agent_id``, which was named as ``agent``."""
    if by.kind is ActorKind.AGENT and by.id != agent_id:
        raise InvalidInput(f"An agent cannot act as another, here as {agent}.", "Act under your own name.")


def _living(connection: sqlite3.Connection, agent: str) -> sqlite3.Row:
    row = _find(connection, agent)
    if row is None:
        raise NotFound(f"There is no agent {agent}.", "`bailiwick agents list` shows who is here.")
    if row["admission"] == Admission.RETIRED:
        raise InvalidInput(
            f"{row['name']} was retired{_because(row['note'])}.", "`bailiwick agents list` shows who is here."
        )
    return row


def _living_agent(connection: sqlite3.Connection, agent: str) -> sqlite3.Row:
    row = _living(connection, agent)
    if row["type"] == PERSON_TYPE:
        raise InvalidInput(f"{row['name']} is the person here, not an agent.", "`bailiwick agents list` shows them.")
    return row


def _because(note: str) -> str:
    return f" ({note})" if note else ""


def _find(connection: sqlite3.Connection, agent: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        f"SELECT * FROM agents WHERE id = {NAMED_AGENT}",  # noqa: S608 - our own constant
        {"agent": agent},
    ).fetchone()
    return row


def _person_name(connection: sqlite3.Connection, user_id: str) -> str:
    taken = connection.execute(
        "SELECT 1 FROM agents WHERE name = ? AND admission <> 'retired' AND type <> ?", (user_id, PERSON_TYPE)
    ).fetchone()
    return user_id if taken is None else f"{user_id} (person)"


def _moment(text: str | None) -> datetime | None:
    return from_text(text) if text is not None else None
