"""Sessions and tool calls: what an agent did in one stretch of work."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from core.agent_model import Actor, AgentStatus, Session, ToolCall
from core.agentfs.agents import AgentRegistry, require_self
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.agentfs.items import ItemStore, ItemWrite
from core.agentfs.readable import check_readable, without_secrets
from core.errors import InvalidInput, NotFound
from core.ids import new_id
from core.model import JSONObject, Kind, Sensitivity

_SHA256 = re.compile("[0-9a-f]{64}")
IMPORTED = "agentfs"
"""The client of sessions whose calls were imported."""
_SELECT = """
SELECT s.*, a.name AS agent,
    (SELECT count(*) FROM tool_calls c WHERE c.session_id = s.id) AS calls,
    (SELECT count(*) FROM state_history h WHERE h.session_id = s.id) AS states,
    (SELECT count(*) FROM agent_communications m WHERE m.session_id = s.id) AS messages
FROM sessions s JOIN agents a ON a.id = s.agent_id
"""


class SessionStore:
    """Safe from any thread and process."""

    def __init__(self, database: Database, items: ItemStore, agents: AgentRegistry) -> None:
        self._database = database
        self._items = items
        self._agents = agents

    def start(self, agent: str, *, by: Actor, title: str = "", client: str = "", external_id: str = "") -> Session:
        """Begin a session, or find again the one that a client calls ``external_id``, open once more."""
        check_readable(title, "The title")
        check_readable(client, "The client's name")
        check_readable(external_id, "What the client calls the session")
        with self._database.transaction() as connection:
            agent_id = self._agents.acting(connection, agent, by)
            moment = to_text(now())
            row = connection.execute(
                "SELECT id FROM sessions WHERE agent_id = ? AND external_id = ?", (agent_id, external_id or None)
            ).fetchone()
            session_id = str(row["id"]) if row is not None else new_id()
            if row is None:
                connection.execute(
                    "INSERT INTO sessions (id, agent_id, external_id, title, started_at, door, client)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (session_id, agent_id, external_id or None, title, moment, by.door, client),
                )
            else:
                connection.execute("UPDATE sessions SET ended_at = NULL WHERE id = ?", (session_id,))
            self.keep(connection, session_id, by, "session.start")
        return self.get(session_id)

    def end(self, session_id: str, *, by: Actor) -> Session:
        """End a session; ending it again changes nothing. Raises NotFound, and InvalidInput for another agent's."""
        session = self.get(session_id)
        require_self(by, session.agent_id, session.agent)
        if session.ended_at is None:
            with self._database.transaction() as connection:
                connection.execute("UPDATE sessions SET ended_at = ? WHERE id = ?", (to_text(now()), session_id))
                self.keep(connection, session_id, by, "session.end")
        return self.get(session_id)

    def get(self, session_id: str) -> Session:
        """One session, counted; raises NotFound."""
        with translated(self._database.path):
            row = self._database.connection().execute(f"{_SELECT} WHERE s.id = ?", (session_id,)).fetchone()
        if row is None:
            raise NotFound(f"There is no session {session_id}.", "`bailiwick sessions list` shows them.")
        return _session(row)

    def all(self, agent: str = "", *, limit: int = 200) -> list[Session]:
        """Sessions of one agent or of all, the newest first."""
        agent_id = self._agents.get(agent).id if agent else ""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                f"{_SELECT} WHERE ? = '' OR s.agent_id = ? ORDER BY s.started_at DESC LIMIT ?",
                (agent_id, agent_id, limit),
            )
            return [_session(row) for row in rows]

    # Tool calls

    def begin_call(self, agent: str, tool: str, *, by: Actor, parameters_sha256: str | None = None) -> str:
        """Note that a tool runs now: the agent is busy with it; returns the call's id.

        Raises InvalidInput for what is no tool's name or no hash, NotFound and NotAdmitted.
        """
        check_tool(tool)
        _check_hash(parameters_sha256)
        tool = without_secrets(tool)
        with self._database.transaction() as connection:
            agent_id = self._agents.acting(connection, agent, by)
            self._agents.working(connection, agent_id, tool, by)
            call_id = new_id()
            connection.execute(
                "INSERT INTO tool_calls (id, agent_id, session_id, tool, started_at, parameters_sha256, door)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (call_id, agent_id, by.session_id, tool, to_text(now()), parameters_sha256, by.door),
            )
            self._items.audit.append(
                connection,
                by,
                "call.begin",
                call_id,
                {"agent": agent_id, "tool": tool, "parameters": parameters_sha256},
            )
        return call_id

    def finish_call(self, call_id: str, *, by: Actor, result_sha256: str | None = None, error: str = "") -> ToolCall:
        """Note how a call ended; the agent is active again, or in error with the sentence ``error``.

        Raises NotFound, and InvalidInput for another agent's call and for what is no hash.
        """
        _check_hash(result_sha256)
        error = without_secrets(error)
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM tool_calls WHERE id = ?", (call_id,)).fetchone()
            if row is None:
                raise NotFound(f"There is no call {call_id}.")
            require_self(by, row["agent_id"], row["agent_id"])
            moment = now()
            duration = round((moment - from_text(row["started_at"])).total_seconds() * 1000)
            connection.execute(
                "UPDATE tool_calls SET completed_at = ?, duration_ms = ?, error = ?, result_sha256 = ? WHERE id = ?",
                (to_text(moment), duration, error, result_sha256, call_id),
            )
            status = AgentStatus.ERROR if error else AgentStatus.ACTIVE
            self._agents.rested(connection, row["agent_id"], status, error)
            self._items.audit.append(
                connection, by, "call.finish", call_id, {"failed": bool(error), "result": result_sha256}
            )
            finished = connection.execute("SELECT * FROM tool_calls WHERE id = ?", (call_id,)).fetchone()
        return _call(finished)

    def calls(self, *, agent: str = "", session_id: str = "", limit: int = 200) -> list[ToolCall]:
        """Calls of an agent or a session, the newest first."""
        agent_id = self._agents.get(agent).id if agent else ""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT * FROM tool_calls WHERE (:agent = '' OR agent_id = :agent)"
                " AND (:session = '' OR session_id = :session) ORDER BY started_at DESC LIMIT :limit",
                {"agent": agent_id, "session": session_id, "limit": limit},
            )
            return [_call(row) for row in rows]

    def import_within(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        title: str,
        made: Sequence[ToolCall],
        ended: Sequence[ToolCall],
        *,
        by: Actor,
    ) -> str | None:
        """Keep calls that were ``made`` elsewhere as a session that is over, in the caller's transaction.

        Those ``ended`` are here already and had not ended. Answers the session's id, ``None`` where none was made.
        """
        for each in ended:
            connection.execute(
                "UPDATE tool_calls SET completed_at = ?, duration_ms = ?, error = ?, result_sha256 = ? WHERE id = ?",
                (_text(each.completed_at), each.duration_ms, each.error, each.result_sha256, each.id),
            )
            told: JSONObject = {"failed": bool(each.error), "result": each.result_sha256}
            self._items.audit.append(connection, by, "call.finish", each.id, told)
        if not made:
            return None
        session_id = new_id()
        moments = [moment for each in made for moment in (each.started_at, each.completed_at) if moment is not None]
        connection.execute(
            "INSERT INTO sessions (id, agent_id, title, started_at, ended_at, door, client)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (session_id, agent_id, title, _text(min(moments)), _text(max(moments)), by.door, IMPORTED),
        )
        for each in made:
            connection.execute(
                "INSERT INTO tool_calls (id, agent_id, session_id, tool, started_at, completed_at, duration_ms, error,"
                " parameters_sha256, result_sha256, door) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    each.id,
                    agent_id,
                    session_id,
                    each.tool,
                    _text(each.started_at),
                    _text(each.completed_at),
                    each.duration_ms,
                    each.error,
                    each.parameters_sha256,
                    each.result_sha256,
                    each.door,
                ),
            )
            told = {"agent": agent_id, "tool": each.tool, "parameters": each.parameters_sha256}
            self._items.audit.append(connection, by, "call.import", each.id, {**told, "result": each.result_sha256})
        self.keep(connection, session_id, by, "session.import")
        return session_id

    def keep(self, connection: sqlite3.Connection, session_id: str, by: Actor, action: str) -> None:
        """The session as an item, so that it travels like everything else; in the caller's transaction."""
        row = connection.execute(
            "SELECT s.*, a.owner FROM sessions s JOIN agents a ON a.id = s.agent_id WHERE s.id = ?", (session_id,)
        ).fetchone()
        names = ("id", "agent_id", "external_id", "title", "started_at", "ended_at", "door", "client")
        data = to_json({name: row[name] for name in names}).encode()
        metadata = {"agent": row["agent_id"], "moment": to_text(now())}
        write = ItemWrite(
            f"sessions/{session_id}",
            Kind.SESSION,
            row["owner"],
            data,
            metadata=metadata,
            agent_id=row["agent_id"],
            found=Sensitivity.NONE,
        )
        self._items.put(connection, write, by=by, action=action, new_item_id=session_id)


def check_tool(tool: str) -> None:
    """Raise InvalidInput when no tool can be called so."""
    if not tool or len(tool) > 200 or not tool.isprintable():
        raise InvalidInput(f"{tool[:40]!r} cannot be a tool's name.", "Use up to 200 printable characters.")


def _check_hash(sha256: str | None) -> None:
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise InvalidInput("A hash of a call is no SHA-256.", "Give it as 64 hexadecimal digits in lower case.")


def _text(moment: datetime | None) -> str | None:
    return to_text(moment) if moment is not None else None


def _session(row: sqlite3.Row) -> Session:
    return Session(
        id=row["id"],
        agent_id=row["agent_id"],
        agent=row["agent"],
        title=row["title"],
        started_at=from_text(row["started_at"]),
        ended_at=from_text(row["ended_at"]) if row["ended_at"] else None,
        door=row["door"],
        client=row["client"],
        calls=row["calls"],
        states=row["states"],
        messages=row["messages"],
    )


def _call(row: sqlite3.Row) -> ToolCall:
    return ToolCall(
        id=row["id"],
        agent_id=row["agent_id"],
        session_id=row["session_id"],
        tool=row["tool"],
        started_at=from_text(row["started_at"]),
        completed_at=from_text(row["completed_at"]) if row["completed_at"] else None,
        duration_ms=row["duration_ms"],
        error=row["error"],
        parameters_sha256=row["parameters_sha256"],
        result_sha256=row["result_sha256"],
        door=row["door"],
        client=row["client"],
        summary=row["summary"],
    )
