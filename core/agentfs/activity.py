"""What agents did, as it is told afterwards: sessions, calls and signs of life with the time at which they happened.

Whoever tells it is not asked for a place: what was done is noted, not allowed. Everything belongs to the caller's
transaction and may come twice, late, or in another order than it happened.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agent_model import Actor, AgentStatus
from core.agentfs.database import to_text
from core.agentfs.items import ItemStore
from core.agentfs.sessions import SessionStore
from core.ids import new_id
from core.model import JSONObject

NO_END = "no end was told"
_LONGEST_CALL = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReportedCall:
    """A call as far as it was told. ``external_id`` is what the client calls it, empty where it has no name."""

    tool: str
    external_id: str = ""
    parameters_sha256: str | None = None
    result_sha256: str | None = None
    error: str = ""
    duration_ms: int | None = None


class ActivityStore:
    """Safe from any thread and process; ``by`` is the agent itself, through the door that told it."""

    def __init__(self, items: ItemStore, sessions: SessionStore) -> None:
        self._audit = items.audit
        self._sessions = sessions

    def agent_of(self, connection: sqlite3.Connection, client: str, project_sha256: str) -> str | None:
        """The living agent that a client's hooks speak for in a project."""
        row = connection.execute(
            "SELECT agent_id FROM hook_agents h JOIN agents a ON a.id = h.agent_id"
            " WHERE h.client = ? AND h.project_sha256 = ? AND a.admission <> 'retired'",
            (client, project_sha256),
        ).fetchone()
        return str(row["agent_id"]) if row is not None else None

    def is_of_another_project(self, connection: sqlite3.Connection, agent_id: str, project_sha256: str) -> bool:
        """Whether hooks in another project speak for that agent, and none in this one."""
        rows = connection.execute("SELECT project_sha256 FROM hook_agents WHERE agent_id = ?", (agent_id,)).fetchall()
        return bool(rows) and project_sha256 not in {row["project_sha256"] for row in rows}

    def first_seen(self, connection: sqlite3.Connection, agent_id: str, at: datetime) -> None:
        """The agent, made only now, was there at ``at``."""
        connection.execute(
            "UPDATE agents SET created_at = min(created_at, :at), last_activity = min(last_activity, :at)"
            " WHERE id = :agent",
            {"at": to_text(at), "agent": agent_id},
        )

    def speak_for(self, connection: sqlite3.Connection, client: str, project_sha256: str, agent_id: str) -> None:
        """From now on a client's hooks in a project speak for that agent."""
        connection.execute(
            "INSERT INTO hook_agents (client, project_sha256, agent_id) VALUES (?, ?, ?)"
            " ON CONFLICT (client, project_sha256) DO UPDATE SET agent_id = excluded.agent_id",
            (client, project_sha256, agent_id),
        )

    def session(
        self, connection: sqlite3.Connection, external_id: str, title: str, client: str, *, by: Actor, at: datetime
    ) -> str:
        """The id of the session that the client calls so, begun at ``at`` when it is new."""
        row = connection.execute(
            "SELECT id FROM sessions WHERE agent_id = ? AND external_id = ?", (by.id, external_id)
        ).fetchone()
        if row is not None:
            return str(row["id"])
        session_id = new_id()
        connection.execute(
            "INSERT INTO sessions (id, agent_id, external_id, title, started_at, door, client)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (session_id, by.id, external_id, title, to_text(at), by.door, client),
        )
        self._sessions.keep(connection, session_id, by, "session.start")
        return session_id

    def reopen(self, connection: sqlite3.Connection, session_id: str, *, by: Actor) -> None:
        """The session goes on, where it had ended."""
        changed = connection.execute(
            "UPDATE sessions SET ended_at = NULL WHERE id = ? AND ended_at IS NOT NULL", (session_id,)
        )
        if changed.rowcount:
            self._sessions.keep(connection, session_id, by, "session.start")

    def end_session(self, connection: sqlite3.Connection, session_id: str, *, by: Actor, at: datetime) -> None:
        """The session ended at ``at``; ending it again changes nothing."""
        changed = connection.execute(
            "UPDATE sessions SET ended_at = max(started_at, ?) WHERE id = ? AND ended_at IS NULL",
            (to_text(at), session_id),
        )
        if changed.rowcount:
            self._sessions.keep(connection, session_id, by, "session.end")

    def seen(
        self,
        connection: sqlite3.Connection,
        client: str,
        *,
        by: Actor,
        at: datetime,
        status: AgentStatus | None = None,
        tool: str = "",
        note: str = "",
    ) -> None:
        """A sign of life at ``at``, with what the agent was doing then; renews its leases as a heartbeat does."""
        moment = to_text(at)
        connection.execute(
            "UPDATE agents SET door = :door, client = :client, status = coalesce(:status, status), note = :note,"
            " current_tool = CASE WHEN :status IS NULL THEN current_tool ELSE :tool END, last_activity = :at"
            " WHERE id = :agent AND admission <> 'retired' AND last_activity <= :at",
            {
                "door": by.door,
                "client": client,
                "status": status.value if status is not None else None,
                "tool": tool,
                "note": note,
                "at": moment,
                "agent": by.id,
            },
        )
        for lease in connection.execute(
            "SELECT id, seconds FROM leases WHERE agent_id = ? AND ended_at IS NULL AND expires_at > ?", (by.id, moment)
        ).fetchall():
            connection.execute(
                "UPDATE leases SET expires_at = max(expires_at, ?) WHERE id = ?",
                (to_text(at + timedelta(seconds=lease["seconds"])), lease["id"]),
            )

    # Calls

    def begin(
        self,
        connection: sqlite3.Connection,
        call: ReportedCall,
        session_id: str | None,
        client: str,
        *,
        by: Actor,
        at: datetime,
    ) -> bool:
        """A call began at ``at``; the answer is whether it still runs, as far as is known."""
        known = self._find(connection, call, session_id, by) if call.external_id else None
        if known is not None:
            return known["completed_at"] is None
        call_id = self._insert(connection, call, session_id, client, by=by, at=at)
        told: JSONObject = {"agent": by.id, "tool": call.tool, "parameters": call.parameters_sha256}
        self._audit.append(connection, by, "call.begin", call_id, {**told, "at": to_text(at)})
        return True

    def finish(
        self,
        connection: sqlite3.Connection,
        call: ReportedCall,
        session_id: str | None,
        client: str,
        *,
        by: Actor,
        at: datetime,
    ) -> str | None:
        """A call ended at ``at``; answers its id, or ``None`` where that was known already."""
        known = self._find(connection, call, session_id, by)
        if known is not None and known["completed_at"] is not None and known["error"] != NO_END:
            return None
        duration = call.duration_ms
        if known is None:
            began = at - min(timedelta(milliseconds=duration or 0), _LONGEST_CALL)
            call_id = self._insert(connection, call, session_id, client, by=by, at=began)
        else:
            call_id = str(known["id"])
            if duration is None:
                lasted = at - datetime.fromisoformat(known["started_at"])
                duration = max(0, round(lasted.total_seconds() * 1000))
        connection.execute(
            "UPDATE tool_calls SET completed_at = ?, duration_ms = ?, error = ?, result_sha256 = ? WHERE id = ?",
            (to_text(at), duration, call.error, call.result_sha256, call_id),
        )
        told: JSONObject = {"failed": bool(call.error), "result": call.result_sha256, "at": to_text(at)}
        if known is None:
            told = {**told, "agent": by.id, "tool": call.tool, "parameters": call.parameters_sha256}
        self._audit.append(connection, by, "call.finish", call_id, told)
        return call_id

    def running(self, connection: sqlite3.Connection, *, by: Actor) -> str:
        """The tool that the agent began last of those that still run; empty when none does."""
        row = connection.execute(
            "SELECT c.tool FROM tool_calls c LEFT JOIN sessions s ON s.id = c.session_id"
            " WHERE c.agent_id = ? AND c.completed_at IS NULL AND c.door = ? AND s.ended_at IS NULL"
            " ORDER BY c.started_at DESC LIMIT 1",
            (by.id, by.door),
        ).fetchone()
        return str(row["tool"]) if row is not None else ""

    def has_open_session(self, connection: sqlite3.Connection, *, by: Actor) -> bool:
        """Whether some session that came through the same door goes on."""
        row = connection.execute(
            "SELECT 1 FROM sessions WHERE agent_id = ? AND ended_at IS NULL AND door = ? LIMIT 1", (by.id, by.door)
        )
        return row.fetchone() is not None

    def give_up(self, connection: sqlite3.Connection, session_id: str, *, by: Actor, at: datetime) -> None:
        """Calls of the session whose end nobody told are over: the agent went on to something else."""
        for row in connection.execute(
            "SELECT id FROM tool_calls WHERE agent_id = ? AND session_id = ? AND completed_at IS NULL AND door = ?",
            (by.id, session_id, by.door),
        ).fetchall():
            connection.execute(
                "UPDATE tool_calls SET completed_at = max(started_at, ?), error = ? WHERE id = ?",
                (to_text(at), NO_END, row["id"]),
            )
            told: JSONObject = {"failed": True, "result": None, "at": to_text(at)}
            self._audit.append(connection, by, "call.finish", row["id"], told)

    def _insert(
        self,
        connection: sqlite3.Connection,
        call: ReportedCall,
        session_id: str | None,
        client: str,
        *,
        by: Actor,
        at: datetime,
    ) -> str:
        call_id = new_id()
        connection.execute(
            "INSERT INTO tool_calls (id, agent_id, session_id, tool, started_at, parameters_sha256, door, client,"
            " external_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                call_id,
                by.id,
                session_id,
                call.tool,
                to_text(at),
                call.parameters_sha256,
                by.door,
                client,
                call.external_id or None,
            ),
        )
        return call_id

    @staticmethod
    def _find(
        connection: sqlite3.Connection, call: ReportedCall, session_id: str | None, by: Actor
    ) -> sqlite3.Row | None:
        """The call by its name, else the oldest of the session that runs and looks like it."""
        same = "SELECT * FROM tool_calls WHERE agent_id = ? AND session_id IS ? AND "
        row: sqlite3.Row | None
        if call.external_id:
            row = connection.execute(f"{same} external_id = ?", (by.id, session_id, call.external_id)).fetchone()
        else:
            row = connection.execute(
                f"{same} completed_at IS NULL AND tool = ? AND parameters_sha256 IS ? AND external_id IS NULL"
                " ORDER BY started_at LIMIT 1",
                (by.id, session_id, call.tool, call.parameters_sha256),
            ).fetchone()
        return row

    # Summaries

    def want_summary(self, connection: sqlite3.Connection, call_id: str, transcript: str) -> None:
        """The call's summary is to be read from the file ``transcript``."""
        connection.execute(
            "INSERT OR IGNORE INTO summaries_due (call_id, transcript) VALUES (?, ?)", (call_id, transcript)
        )
