"""Reading states: values, lists, history and differences, each as somebody may see it."""

from __future__ import annotations

import sqlite3

from core.agent_model import Actor, State, StateEntry, StateOperation, StateVersion
from core.agentfs.agents import NAMED_AGENT, AgentRegistry
from core.agentfs.database import Database, from_text, now, to_text, translated
from core.agentfs.guard import Guard
from core.agentfs.items import ItemStore
from core.agentfs.permissions import Permissions
from core.agentfs.state_reading import StateReading
from core.errors import NotFound
from core.json_diff import JSONChange, differences
from core.model import JSONValue, Kind, Level, Sensitivity

_ALIVE = "state_value IS NOT NULL AND (expires_at IS NULL OR expires_at > :now)"
_GET = f"SELECT * FROM agent_states WHERE state_key = :key AND agent_id = {NAMED_AGENT}"  # noqa: S608 - our own constant


class StateLog:
    """The states as they lie. Safe from any thread and process."""

    def __init__(
        self,
        database: Database,
        items: ItemStore,
        agents: AgentRegistry,
        guard: Guard,
        permissions: Permissions,
        acting: Actor,
    ) -> None:
        """``acting`` is who asks where nobody is named."""
        self._database = database
        self._items = items
        self._agents = agents
        self._guard = guard
        self._reading = StateReading(items, guard, permissions)
        self._permissions = permissions
        self._acting = acting

    def get(self, agent: str, key: str, *, by: Actor | None = None) -> State:
        """The value now, as ``by`` may have it.

        Raises NotFound when there is none, or it has expired, AccessDenied, and Locked when it is sealed and the keys
        are locked.
        """
        with translated(self._database.path):
            row = self._database.connection().execute(_GET, {"agent": agent, "key": key}).fetchone()
        if row is None or not is_alive(row):
            self._agents.get(agent)  # where it is the agent that is not there, this says so
            raise NotFound(f"{agent} has no state {key}.", f"`bailiwick state list {agent}` shows what there is.")
        return self._reading.state(row, by or self._acting)

    def all(
        self, agent: str, prefix: str = "", *, after: str = "", limit: int = 1000, by: Actor | None = None
    ) -> list[State]:
        """The living states whose keys begin with ``prefix``, by key, those after the key ``after``.

        Those that ``by`` may not read are left out; of one that is locked the value is.
        """
        agent_id = self._agents.get(agent).id
        found: list[State] = []
        while len(found) < limit:
            rows = self._rows(agent_id, prefix, after, limit - len(found))
            found += self._reading.states(rows, by or self._acting)
            if not rows:
                break
            after = rows[-1]["state_key"]
        return found

    def _rows(self, agent_id: str, prefix: str, after: str, limit: int) -> list[sqlite3.Row]:
        parameters = {
            "agent": agent_id,
            "after": after,
            "prefix": prefix,
            "length": len(prefix),
            "limit": limit,
            "now": to_text(now()),
        }
        with translated(self._database.path):
            connection = self._database.connection()
            return connection.execute(
                f"SELECT * FROM agent_states WHERE agent_id = :agent AND {_ALIVE}"  # noqa: S608 - our own constant
                " AND state_key > :after AND substr(state_key, 1, :length) = :prefix ORDER BY state_key LIMIT :limit",
                parameters,
            ).fetchall()

    def entries(self, agent: str, *, limit: int = 1000) -> list[StateEntry]:
        """The living states by key, without reading their values."""
        agent_id = self._agents.get(agent).id
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT state_key, version, kind, critical, size, updated_at, expires_at, level, sensitive,"  # noqa: S608 - as above
                " sealed_sha256 FROM agent_states"
                f" WHERE agent_id = :agent AND {_ALIVE} ORDER BY state_key LIMIT :limit",
                {"agent": agent_id, "limit": limit, "now": to_text(now())},
            )
            return [_entry(row) for row in rows]

    def history(self, agent: str, key: str, *, limit: int | None = None, by: Actor | None = None) -> list[StateVersion]:
        """The versions of a key, the newest first, all or at most ``limit``.

        Raises NotFound for a key that never was, and AccessDenied: what a state was before is its owner's.
        """
        row = self._known(agent, key)
        self._reading.require_own(row, by or self._acting)
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT * FROM state_history WHERE state_id = ? ORDER BY version DESC LIMIT ?",
                (row["id"], -1 if limit is None else limit),
            )
            return [_version(row) for row in rows]

    def value_at(self, agent: str, key: str, version: int, *, by: Actor | None = None) -> JSONValue:
        """The value a key had at ``version``.

        Raises NotFound when there is no such version or it holds no value, Locked, and AccessDenied as ``history``.
        """
        return self._version(agent, key, version, by or self._acting)[0]

    def _version(self, agent: str, key: str, version: int, by: Actor) -> tuple[JSONValue, Kind]:
        row = self._known(agent, key)
        with translated(self._database.path):
            found = (
                self._database.connection()
                .execute(
                    "SELECT sha256, operation, sealed, kind FROM state_history WHERE state_id = ? AND version = ?",
                    (row["id"], version),
                )
                .fetchone()
            )
        if found is None:
            raise NotFound(f"{key} has no version {version}.", f"Versions 1 to {row['version']} are there.")
        if found["sha256"] is None:
            raise NotFound(f"Version {version} of {key} holds no value ({found['operation']}).")
        return self._reading.version(row, found, by), Kind(found["kind"])

    def diff(self, agent: str, key: str, before: int, after: int, *, by: Actor | None = None) -> list[JSONChange]:
        """Where version ``after`` differs from version ``before``."""
        return differences(self.value_at(agent, key, before, by=by), self.value_at(agent, key, after, by=by))

    def _known(self, agent: str, key: str) -> sqlite3.Row:
        agent_id = self._agents.get(agent).id
        with translated(self._database.path):
            row = self._row(self._database.connection(), agent_id, key)
        if row is None:
            raise NotFound(f"{agent} never had a state {key}.", f"`bailiwick state list {agent}` shows what there is.")
        return row

    @staticmethod
    def _row(connection: sqlite3.Connection, agent_id: str, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = connection.execute(
            "SELECT * FROM agent_states WHERE agent_id = ? AND state_key = ?", (agent_id, key)
        ).fetchone()
        return row


def state_path(agent_id: str, key: str) -> str:
    """Where the state of an agent lies among the items."""
    return f"agents/{agent_id}/state/{key}"


def is_alive(row: sqlite3.Row) -> bool:
    return row["state_value"] is not None and (row["expires_at"] is None or row["expires_at"] > to_text(now()))


def _entry(row: sqlite3.Row) -> StateEntry:
    return StateEntry(
        key=row["state_key"],
        version=row["version"],
        kind=Kind(row["kind"]),
        critical=bool(row["critical"]),
        size=row["size"],
        updated_at=from_text(row["updated_at"]),
        expires_at=from_text(row["expires_at"]) if row["expires_at"] else None,
        level=Level(row["level"]),
        sensitive=Sensitivity(row["sensitive"]),
        sealed=row["sealed_sha256"] is not None,
    )


def _version(row: sqlite3.Row) -> StateVersion:
    return StateVersion(
        state_id=row["state_id"],
        version=row["version"],
        operation=StateOperation(row["operation"]),
        sha256=row["sha256"],
        actor=row["actor"],
        session_id=row["session_id"],
        at=from_text(row["at"]),
        restored_from=row["restored_from"],
        sealed=bool(row["sealed"]),
    )
