"""Reading the message log: pages, threads, searches and receipts, each as somebody may see it."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.agent_model import (
    Actor,
    ActorKind,
    Audience,
    Importance,
    Message,
    MessageFilters,
    MessageStatus,
    Receipt,
)
from core.agentfs.agents import AgentRegistry
from core.agentfs.database import Database, from_text, to_json, translated
from core.agentfs.guard import Guard
from core.agentfs.items import ItemStore
from core.agentfs.permissions import Permissions
from core.errors import BailiwickError, Locked, NotFound, SealBroken, WorkspaceUnusable, WrongKey
from core.model import JSONValue, Level, Sensitivity

EVERYONE = "everyone"
PERSON = "person"
SELECT = """
SELECT m.*, s.name AS sender, r.name AS recipient, i.owner AS owner FROM agent_communications m
JOIN items i ON i.id = m.id LEFT JOIN agents s ON s.id = m.from_agent LEFT JOIN agents r ON r.id = m.to_agent
"""
STEPS = (MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.ACKNOWLEDGED)
COLUMNS = {
    MessageStatus.DELIVERED: "delivered_at",
    MessageStatus.READ: "read_at",
    MessageStatus.ACKNOWLEDGED: "acknowledged_at",
}
_CONDITIONS = {
    "agent": """sequence IN (
        SELECT sequence FROM agent_communications WHERE from_agent = :agent
        UNION ALL SELECT sequence FROM message_receipts WHERE agent_id = :agent)""",
    "type": "message_type = :type",
    "thread": "thread_id = :thread",
    "text": "sealed_sha256 IS NULL AND instr(folded(message_content), :text) > 0",
}


class MessageLog:
    """The messages as they lie. Safe from any thread and process; a sequence number is a dense index."""

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
        self._permissions = permissions
        self._acting = acting

    def get(self, message_id: str, *, by: Actor | None = None) -> Message:
        """One message; raises NotFound, and AccessDenied when ``by`` is neither its owner, sender nor recipient."""
        rows = self._select("WHERE m.id = ?", (message_id,))
        if not rows:
            raise NotFound(f"There is no message {message_id}.", "`bailiwick messages list` shows them.")
        self._require_readable(message_id, by or self._acting)
        return rows[0]

    def receipts(self, message_id: str, *, by: Actor | None = None) -> list[Receipt]:
        """How far a message has come with each recipient; none for no message. Raises AccessDenied as ``get``."""
        self._require_readable(message_id, by or self._acting)
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT r.*, a.name FROM message_receipts r JOIN agents a ON a.id = r.agent_id"
                " JOIN agent_communications m ON m.sequence = r.sequence WHERE m.id = ? ORDER BY a.name",
                (message_id,),
            )
            return [_receipt(row) for row in rows]

    def thread(self, thread_id: str, *, by: Actor | None = None) -> list[Message]:
        """Every message of a thread, the oldest first; of an agent those that it sent or got."""
        return self._visible("WHERE m.thread_id = ? ORDER BY m.sequence", (thread_id,), by)

    def count(self) -> int:
        """How many messages there are: the sequence number of the newest."""
        with translated(self._database.path):
            row = self._database.connection().execute("SELECT max(sequence) AS n FROM agent_communications").fetchone()
        return int(row["n"] or 0)

    def page(self, first: int, last: int, *, by: Actor | None = None) -> list[Message]:
        """Messages with sequence numbers ``first`` to ``last``, the oldest first; as ``thread``."""
        return self._visible("WHERE m.sequence BETWEEN ? AND ? ORDER BY m.sequence", (first, last), by)

    def at(self, sequences: Sequence[int], *, by: Actor | None = None) -> list[Message]:
        """The messages with these sequence numbers, the oldest first; as ``thread``."""
        clause = "WHERE m.sequence IN (SELECT value FROM json_each(?)) ORDER BY m.sequence"
        return self._visible(clause, (json.dumps(list(sequences)),), by)

    def matching(self, filters: MessageFilters, *, by: Actor | None = None) -> array[int]:
        """The sequence numbers of all messages that match, ascending; reads the whole log where ``text`` is given.

        An agent searches in what it sent and got.
        """
        by = by or self._acting
        if by.kind is ActorKind.AGENT:
            filters = replace(filters, agent_id=by.id)
        parameters = {
            "agent": filters.agent_id,
            "type": filters.type,
            "thread": filters.thread_id,
            # The content is JSON, so what is looked for is written as JSON writes it, without the quotes around it.
            "text": to_json(filters.text)[1:-1].casefold(),
        }
        asked = " AND ".join(condition for name, condition in _CONDITIONS.items() if parameters[name])
        with translated(self._database.path):
            connection = self._database.connection()
            connection.create_function("folded", 1, str.casefold, deterministic=True)
            rows = connection.execute(
                f"SELECT sequence FROM agent_communications WHERE {asked or 'TRUE'} ORDER BY sequence",  # noqa: S608 - ours
                parameters,
            )
            found = array("q", (row[0] for row in rows))
        return self._with_sealed(found, filters, parameters["text"]) if filters.text else found

    def _with_sealed(self, found: array[int], filters: MessageFilters, text: str) -> array[int]:
        """``found`` with the sealed messages that hold ``text``, as far as they can be opened now."""
        parameters = {"agent": filters.agent_id, "type": filters.type, "thread": filters.thread_id}
        asked = "".join(f" AND {_CONDITIONS[name]}" for name, value in parameters.items() if value)
        with translated(self._database.path):
            rows = (
                self._database.connection()
                .execute(
                    "SELECT sequence, id, sealed_sha256 FROM agent_communications"  # noqa: S608 - ours
                    f" WHERE sealed_sha256 IS NOT NULL{asked}",
                    parameters,
                )
                .fetchall()
            )
        more = [row["sequence"] for row in rows if text in self._sealed_text(row).casefold()]
        return array("q", sorted((*found, *more))) if more else found

    def _sealed_text(self, row: sqlite3.Row) -> str:
        try:
            return self._items.opened(row["id"], row["sealed_sha256"], sealed=True).decode()
        except BailiwickError:
            return ""

    def types(self) -> list[str]:
        """The message types in use."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT DISTINCT message_type FROM agent_communications ORDER BY message_type LIMIT 100"
            )
            return [row["message_type"] for row in rows]

    def unread(self, agent: str, *, user_id: str = "") -> int:
        """How many messages wait to be read by an agent, or by ``person`` (the user ``user_id``)."""
        with translated(self._database.path):
            connection = self._database.connection()
            agent_id = self._agents.person_id(user_id) if agent == PERSON else self._agents.get(agent).id
            row = connection.execute(
                "SELECT count(*) AS n FROM message_receipts WHERE agent_id = ? AND read_at IS NULL", (agent_id,)
            ).fetchone()
        return int(row["n"])

    def _select(self, clause: str, parameters: tuple[object, ...]) -> list[Message]:
        with translated(self._database.path):
            rows = self._database.connection().execute(f"{SELECT} {clause}", parameters).fetchall()
        return [self._message(row) for row in rows]

    def _visible(self, clause: str, parameters: tuple[object, ...], by: Actor | None) -> list[Message]:
        by = by or self._acting
        with translated(self._database.path):
            rows = self._database.connection().execute(f"{SELECT} {clause}", parameters).fetchall()
        if by.kind is ActorKind.AGENT:
            rows = [row for row in rows if by.verified and self._is_party(row["id"], by.id)]
        elif by.kind is ActorKind.PERSON:
            rows = [row for row in rows if row["owner"] == by.id]
        return [self._message(row) for row in rows]

    def _reread(self, connection: sqlite3.Connection, sequences: Sequence[int]) -> list[Message]:
        rows = connection.execute(
            f"{SELECT} WHERE m.sequence IN (SELECT value FROM json_each(?)) ORDER BY m.sequence",  # noqa: S608 - our own constant
            (json.dumps(list(sequences)),),
        ).fetchall()
        return [self._message(row) for row in rows]

    def _message(self, row: sqlite3.Row) -> Message:
        sealed = row["sealed_sha256"]
        if sealed is None:
            return _message(row, json.loads(row["message_content"]))
        try:
            content: JSONValue = json.loads(self._items.opened(row["id"], sealed, sealed=True))
        except Locked:
            return _message(row, None, locked=True)
        except (WrongKey, SealBroken, WorkspaceUnusable) as error:
            return _message(row, None, locked=True, problem=error.message)
        return _message(row, content)

    def _require_readable(self, message_id: str, by: Actor) -> None:
        """Raise AccessDenied unless ``by`` is a party of the message, or may read it as an item."""
        item = self._items.get(message_id)
        verified_party = by.kind is ActorKind.AGENT and by.verified and self._is_party(message_id, by.id)
        if item is not None and not verified_party:
            self._permissions.require(by, item)

    def _require_known(self, message_id: str, by: Actor) -> None:
        """As ``_require_readable``, for who answers it: that needs no key, as no message does that is sent."""
        if by.kind is not ActorKind.AGENT or not self._is_party(message_id, by.id):
            self._require_readable(message_id, by)

    def _is_party(self, message_id: str, agent_id: str) -> bool:
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute(
                    "SELECT 1 FROM agent_communications m WHERE m.id = :message AND (m.from_agent = :agent OR EXISTS"
                    " (SELECT 1 FROM message_receipts r WHERE r.sequence = m.sequence AND r.agent_id = :agent))",
                    {"message": message_id, "agent": agent_id},
                )
                .fetchone()
            )
        return row is not None


def _message(row: sqlite3.Row, content: JSONValue, *, locked: bool = False, problem: str = "") -> Message:
    to_type = row["to_type"]
    if to_type is None:
        audience, recipient = Audience.AGENT, row["recipient"]
    elif to_type:
        audience, recipient = Audience.TYPE, to_type
    else:
        audience, recipient = Audience.EVERYONE, EVERYONE
    return Message(
        id=row["id"],
        sequence=row["sequence"],
        sender_id=row["from_agent"],
        sender=row["sender"] or "bailiwick",
        audience=audience,
        recipient_id=row["to_agent"],
        recipient=recipient,
        type=row["message_type"],
        content=content,
        importance=Importance(row["importance"]),
        thread_id=row["thread_id"],
        reply_to=row["reply_to"],
        sent_at=from_text(row["timestamp"]),
        status=MessageStatus(row["status"]),
        verified=bool(row["verified"]),
        session_id=row["session_id"],
        level=Level(row["level"]),
        sensitive=Sensitivity(row["sensitive"]),
        sealed=row["sealed_sha256"] is not None,
        locked=locked,
        problem=problem,
    )


def _receipt(row: sqlite3.Row) -> Receipt:
    moments: dict[MessageStatus, datetime | None] = {
        step: from_text(row[column]) if row[column] else None for step, column in COLUMNS.items()
    }
    reached = [step for step in STEPS if moments[step] is not None]
    return Receipt(
        agent_id=row["agent_id"],
        agent=row["name"],
        status=reached[-1] if reached else MessageStatus.QUEUED,
        queued_at=from_text(row["queued_at"]),
        delivered_at=moments[MessageStatus.DELIVERED],
        read_at=moments[MessageStatus.READ],
        acknowledged_at=moments[MessageStatus.ACKNOWLEDGED],
    )
