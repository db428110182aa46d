"""Sessions on their way between the user's devices, with the calls that were made in them."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

from core.agent_model import Actor
from core.agentfs.database import Database, from_text, to_json, to_text, translated
from core.agentfs.items import Written
from core.agentfs.travelling_agents import TravellingAgents
from core.agentfs.travelling_items import ArrivingItem, TravellingItems
from core.errors import InvalidInput
from core.ids import looks_like_id
from core.model import JSONValue

MOST_CALLS = 5_000
"""Calls that travel with a session, the newest; what is older stays on the device that made it."""
_SESSION = ("id", "agent_id", "external_id", "title", "started_at", "ended_at", "door", "client")
_CALL = (
    "id",
    "tool",
    "started_at",
    "completed_at",
    "duration_ms",
    "error",
    "parameters_sha256",
    "result_sha256",
    "door",
    "client",
    "summary",
)
_SHA256 = re.compile("[0-9a-f]{64}")


class TravellingSessions:
    """Safe from any thread and process; what arrives belongs to the caller's transaction."""

    def __init__(self, database: Database, agents: TravellingAgents, travelling: TravellingItems) -> None:
        self._database = database
        self._agents = agents
        self._travelling = travelling

    def calls(self, session_id: str) -> list[JSONValue]:
        """The newest calls of a session as they travel, the oldest of them first."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                f"SELECT {', '.join(_CALL)} FROM tool_calls WHERE session_id = ?"  # noqa: S608 - names of ours
                " ORDER BY started_at DESC, id DESC LIMIT ?",
                (session_id, MOST_CALLS),
            )
            calls: list[JSONValue] = [list(row) for row in rows]
            return calls[::-1]

    def arrive(self, connection: sqlite3.Connection, arriving: ArrivingItem, calls: list[Any], *, by: Actor) -> Written:
        """Take in a session and its calls, those that are here already aside; raises InvalidInput for strange ones."""
        told = _session(arriving.write.data)
        if told["id"] != arriving.id or told["agent_id"] != arriving.write.agent_id:
            raise InvalidInput("What came of a session does not lie where sessions do.")
        written = self._travelling.arrive(connection, arriving, by=by, action="session.arrive")
        taken = connection.execute(
            "SELECT 1 FROM sessions WHERE agent_id = ? AND external_id = ? AND id <> ?",
            (told["agent_id"], told["external_id"], told["id"]),
        ).fetchone()
        if taken is not None:
            told["external_id"] = None
        connection.execute(
            f"INSERT INTO sessions ({', '.join(_SESSION)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - as above
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title, started_at = excluded.started_at,"
            " ended_at = excluded.ended_at",
            [told[name] for name in _SESSION],
        )
        for each in calls:
            self._call(connection, told["agent_id"], told["id"], each, by)
        self._agents.seen(connection, told["agent_id"], from_text(told["ended_at"] or told["started_at"]))
        return written

    def _call(self, connection: sqlite3.Connection, agent_id: str, session_id: str, told: Any, by: Actor) -> None:
        call = _checked_call(told)
        names = (*_CALL, "agent_id", "session_id")
        inserted = connection.execute(
            f"INSERT OR IGNORE INTO tool_calls ({', '.join(names)})"  # noqa: S608 - as above
            f" VALUES ({', '.join('?' * len(names))})",
            [*(call[name] for name in _CALL), agent_id, session_id],
        ).rowcount
        if inserted:
            details = {"agent": agent_id, "tool": call["tool"], "parameters": call["parameters_sha256"]}
            self._travelling.audit(connection, by, "call.arrive", call["id"], details)
            return
        connection.execute(
            "UPDATE tool_calls SET completed_at = ?, duration_ms = ?, error = ?, result_sha256 = ?, summary = ?"
            " WHERE id = ? AND session_id = ? AND completed_at IS NULL",
            (
                call["completed_at"],
                call["duration_ms"],
                call["error"],
                call["result_sha256"],
                call["summary"],
                call["id"],
                session_id,
            ),
        )


def packed(session: bytes, calls: list[JSONValue]) -> bytes:
    """A session as it travels: the item's content and its calls in one."""
    return to_json({"session": json.loads(session), "calls": calls}).encode()


def unpacked(data: bytes) -> tuple[bytes, list[Any]]:
    """What ``packed`` was given; raises InvalidInput for anything that no device of ours sends."""
    try:
        told = json.loads(data)
        session, calls = to_json(dict(told["session"])).encode(), list(told["calls"])
        if len(calls) > MOST_CALLS:
            raise ValueError("too many calls")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _strange(error) from None
    return session, calls


def _session(data: bytes) -> dict[str, Any]:
    try:
        told = json.loads(data)
        if set(told) != set(_SESSION):
            raise ValueError("no session")
        for name in ("started_at", "ended_at"):
            told[name] = _moment(told[name], optional=name == "ended_at")
        for name in ("id", "agent_id"):
            if not looks_like_id(told[name]):
                raise ValueError("no id")
        for name in ("title", "door", "client"):
            _text(told[name], 4096)
        if told["external_id"] is not None:
            _text(told["external_id"], 4096)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _strange(error) from None
    return dict(told)


def _checked_call(told: Any) -> dict[str, Any]:
    try:
        call = dict(zip(_CALL, told, strict=True))
        if not looks_like_id(call["id"]):
            raise ValueError("no id")
        call["started_at"] = _moment(call["started_at"])
        call["completed_at"] = _moment(call["completed_at"], optional=True)
        for name in ("tool", "error", "door", "client", "summary"):
            _text(call[name], 16 * 1024)
        for name in ("parameters_sha256", "result_sha256"):
            if call[name] is not None and not _SHA256.fullmatch(call[name]):
                raise ValueError("no hash")
        if call["duration_ms"] is not None and not 0 <= int(call["duration_ms"]) < 1 << 53:
            raise ValueError("no duration")
    except (ValueError, TypeError, AttributeError) as error:
        raise _strange(error) from None
    return call


def _moment(told: Any, *, optional: bool = False) -> str | None:
    if told is None and optional:
        return None
    read = from_text(told)
    if read.tzinfo is None:
        raise ValueError("no moment")
    return to_text(read)


def _text(told: Any, longest: int) -> None:
    if not isinstance(told, str) or len(told) > longest:
        raise ValueError("no text")


def _strange(error: Exception) -> InvalidInput:
    return InvalidInput(f"What came of a session is not what Bailiwick sends ({type(error).__name__}).")
