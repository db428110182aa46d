"""Messages between agents and the person: sent once, followed per recipient from queued to acknowledged."""

from __future__ import annotations

import json
import logging
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from core.agent_model import (
    PERSON_TYPE,
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
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.agentfs.guard import Guard
from core.agentfs.items import ItemStore, ItemWrite
from core.agentfs.json_text import checked_json
from core.agentfs.permissions import Permissions
from core.agentfs.readable import check_readable
from core.errors import (
    AccessDenied,
    BailiwickError,
    InvalidInput,
    Locked,
    NotFound,
    QuotaExceeded,
    SealBroken,
    WorkspaceUnusable,
    WrongKey,
)
from core.ids import new_id
from core.model import JSONValue, Kind, Level, Sensitivity

EVERYONE = "everyone"
TYPE_PREFIX = "type:"
PERSON = "person"
LARGEST_MESSAGE = 256 * 1024
_UNVERIFIED = "The agent showed no key"
_ADMITTED = "agent.admitted"
_log = logging.getLogger(__name__)
_SELECT = """
SELECT m.*, s.name AS sender, r.name AS recipient, i.owner AS owner FROM agent_communications m
JOIN items i ON i.id = m.id LEFT JOIN agents s ON s.id = m.from_agent LEFT JOIN agents r ON r.id = m.to_agent
"""
_STEPS = (MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.ACKNOWLEDGED)
_COLUMNS = {
    MessageStatus.DELIVERED: "delivered_at",
    MessageStatus.READ: "read_at",
    MessageStatus.ACKNOWLEDGED: "acknowledged_at",
}
_SLOWEST = """
UPDATE agent_communications SET status = (
    SELECT CASE
        WHEN count(*) = count(acknowledged_at) THEN 'acknowledged'
        WHEN count(*) = count(read_at) THEN 'read'
        WHEN count(*) = count(delivered_at) THEN 'delivered'
        ELSE 'queued' END
    FROM message_receipts WHERE sequence = :sequence)
WHERE sequence = :sequence
"""
_CONDITIONS = {
    "agent": """sequence IN (
        SELECT sequence FROM agent_communications WHERE from_agent = :agent
        UNION ALL SELECT sequence FROM message_receipts WHERE agent_id = :agent)""",
    "type": "message_type = :type",
    "thread": "thread_id = :thread",
    "text": "sealed_sha256 IS NULL AND instr(folded(message_content), :text) > 0",
}


class MessageStore:
    """The message log. Safe from any thread and process; the log only grows, so a sequence number is a dense index."""

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

    def send(
        self,
        sender: str,
        to: str,
        content: JSONValue,
        *,
        by: Actor,
        type: str = "note",  # noqa: A002 - the column's name in strategy.md
        importance: Importance = Importance.NORMAL,
        reply_to: str | None = None,
    ) -> Message:
        """Send ``content`` from an agent (or ``person``) to an agent, ``type:TYPE``, ``everyone`` or ``person``.

        Committed when this returns. A reply joins the thread of what it answers. Raises NotFound for a recipient that
        is not here, InvalidInput for a retired one, with the reason, AccessDenied for a reply to what ``by`` neither
        sent nor got and may not read.
        """
        text = _checked_content(content, type)
        check_readable(type, "The type")
        if reply_to is not None:
            self._require_known(reply_to, by)
        found = self._guard.scan(content)
        with self._database.transaction() as connection:
            sender_id = self._party(connection, sender, by, changes=True)
            return self._send(connection, sender_id, to, text, found, by, type, importance, reply_to)

    def tell(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        content: JSONValue,
        *,
        type: str,  # noqa: A002 - as above
        importance: Importance = Importance.NORMAL,
    ) -> bool:
        """Bailiwick itself tells an agent something, in the caller's transaction, of names that stay readable anyway.

        False, and nothing is written, where it would have to be sealed and the keys are locked.
        """
        text, engine = _checked_content(content, type), self._agents.engine
        try:
            self._send(connection, None, agent_id, text, Sensitivity.NONE, engine, type, importance, None)
        except Locked:
            return False
        return True

    def _send(
        self,
        connection: sqlite3.Connection,
        sender_id: str | None,
        to: str,
        text: str,
        found: Sensitivity,
        by: Actor,
        type: str,  # noqa: A002 - as above
        importance: Importance,
        reply_to: str | None,
    ) -> Message:
        recipient_id, to_type, receivers = self._receivers(connection, sender_id, to, by)
        message_id = new_id()
        thread = self._thread(connection, reply_to) if reply_to else message_id
        moment = to_text(now())
        owner = connection.execute("SELECT owner FROM agents WHERE id = ?", (sender_id or receivers[0],)).fetchone()[
            "owner"
        ]
        metadata = {"from": sender_id, "to": recipient_id, "to_type": to_type, "type": type, "thread": thread}
        written = self._items.put(
            connection,
            ItemWrite(
                f"messages/{message_id}",
                Kind.MESSAGE,
                owner,
                text.encode(),
                metadata=metadata,
                agent_id=sender_id or "",
                found=found,
            ),
            by=by,
            action="message.send",
            details={"recipients": len(receivers)},
            new_item_id=message_id,
        )
        sequence = connection.execute(
            "INSERT INTO agent_communications (id, from_agent, to_agent, message_type, message_content, timestamp,"
            " to_type, importance, thread_id, reply_to, verified, session_id, level, sensitive, sealed_sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message_id,
                sender_id,
                recipient_id,
                type,
                "" if written.sealed else text,
                moment,
                to_type,
                importance.value,
                thread,
                reply_to,
                int(by.verified),
                by.session_id,
                written.level.value,
                written.sensitive.value,
                written.sha256 if written.sealed else None,
            ),
        ).lastrowid
        connection.executemany(
            "INSERT INTO message_receipts (agent_id, sequence, queued_at) VALUES (?, ?, ?)",
            [(receiver, sequence, moment) for receiver in receivers],
        )
        return self._message(connection.execute(f"{_SELECT} WHERE m.sequence = ?", (sequence,)).fetchone())

    def tell_admitted(self, connection: sqlite3.Connection, agent_id: str) -> None:
        """Tell an agent that waited that it has its place, in the caller's transaction.

        Where the keys are locked and it would have to be sealed, it finds out by what it does next.
        """
        content: JSONValue = {"text": "You have a place now and may work."}
        if not self.tell(connection, agent_id, content, type=_ADMITTED):
            _log.warning("agent %s is not told that it has a place: the keys are locked", agent_id)
            self._items.audit.append(connection, self._agents.engine, "message.skip", agent_id, {"type": _ADMITTED})

    # What a recipient does

    def inbox(self, agent: str, *, by: Actor, limit: int = 50, unread_only: bool = True) -> list[Message]:
        """An agent's messages, the oldest first; those it is given count as delivered from now on."""
        with self._database.transaction() as connection:
            agent_id = self._party(connection, agent, by, changes=False)
            rows = connection.execute(
                f"{_SELECT} JOIN message_receipts x ON x.sequence = m.sequence"
                " WHERE x.agent_id = ? AND (x.read_at IS NULL OR ?) ORDER BY m.sequence LIMIT ?",
                (agent_id, int(not unread_only), limit),
            ).fetchall()
            fresh = [row["sequence"] for row in rows]
            self._advance(connection, agent_id, fresh, MessageStatus.DELIVERED, by)
            return self._reread(connection, fresh)

    def mark(self, agent: str, message_ids: Sequence[str], status: MessageStatus, *, by: Actor) -> list[Message]:
        """Note that a recipient has got, read or acknowledged messages; a later step includes the earlier ones.

        ``person`` names the person. Raises NotFound for a message that was not sent to that recipient.
        """
        if status not in _STEPS:
            raise InvalidInput("A message is marked delivered, read or acknowledged.")
        with self._database.transaction() as connection:
            agent_id = self._party(connection, agent, by, changes=False)
            sequences = []
            for message_id in message_ids:
                row = connection.execute(
                    "SELECT r.sequence FROM message_receipts r JOIN agent_communications m ON m.sequence = r.sequence"
                    " WHERE r.agent_id = ? AND m.id = ?",
                    (agent_id, message_id),
                ).fetchone()
                if row is None:
                    raise NotFound(
                        f"{agent} was sent no message {message_id}.", "`bailiwick messages list` shows them."
                    )
                sequences.append(row["sequence"])
            self._advance(connection, agent_id, sequences, status, by)
            return self._reread(connection, sequences)

    def delivered_within(
        self, connection: sqlite3.Connection, agent_id: str, sequences: Sequence[int], *, by: Actor
    ) -> None:
        """Note that an agent was given messages, in the caller's transaction; those not sent to it are passed over."""
        self._advance(connection, agent_id, sequences, MessageStatus.DELIVERED, by)

    # Reading the log

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
            rows = self._database.connection().execute(f"{_SELECT} {clause}", parameters).fetchall()
        return [self._message(row) for row in rows]

    def _visible(self, clause: str, parameters: tuple[object, ...], by: Actor | None) -> list[Message]:
        by = by or self._acting
        with translated(self._database.path):
            rows = self._database.connection().execute(f"{_SELECT} {clause}", parameters).fetchall()
        if by.kind is ActorKind.AGENT:
            rows = [row for row in rows if by.verified and self._is_party(row["id"], by.id)]
        elif by.kind is ActorKind.PERSON:
            rows = [row for row in rows if row["owner"] == by.id]
        return [self._message(row) for row in rows]

    def _reread(self, connection: sqlite3.Connection, sequences: Sequence[int]) -> list[Message]:
        rows = connection.execute(
            f"{_SELECT} WHERE m.sequence IN (SELECT value FROM json_each(?)) ORDER BY m.sequence",  # noqa: S608 - our own constant
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

    def _party(self, connection: sqlite3.Connection, name: str, by: Actor, *, changes: bool) -> str:
        """The id of an agent, or of the person, in whose name ``by`` writes (``changes``) or reads."""
        if name != PERSON:
            agent_id = self._agents.acting(connection, name, by, changes=changes)
            if not changes and by.kind is ActorKind.AGENT and not by.verified:
                raise AccessDenied(f"{_UNVERIFIED}: its messages are not shown.", "Show it: `--key-file FILE`.")
            return agent_id
        if by.kind is not ActorKind.PERSON:
            raise InvalidInput("Only the person acts as the person.", "Act under your own name.")
        return self._agents.person(connection, by.id)

    def _advance(
        self, connection: sqlite3.Connection, agent_id: str, sequences: Sequence[int], status: MessageStatus, by: Actor
    ) -> None:
        moment = to_text(now())
        for sequence in sequences:
            changed = False
            for step in _STEPS[: _STEPS.index(status) + 1]:
                column = _COLUMNS[step]
                changed |= bool(
                    connection.execute(
                        f"UPDATE message_receipts SET {column} = ?"  # noqa: S608 - one of three names of ours
                        f" WHERE agent_id = ? AND sequence = ? AND {column} IS NULL",
                        (moment, agent_id, sequence),
                    ).rowcount
                )
            if changed:
                row = connection.execute(
                    "SELECT id FROM agent_communications WHERE sequence = ?", (sequence,)
                ).fetchone()
                connection.execute(_SLOWEST, {"sequence": sequence})
                self._items.audit.append(connection, by, f"message.{status}", row["id"], {"recipient": agent_id})

    def _receivers(
        self, connection: sqlite3.Connection, sender_id: str | None, to: str, by: Actor
    ) -> tuple[str | None, str | None, list[str]]:
        """The recipient's id or the wanted type ("" for all), and everyone whom the message reaches."""
        if to == PERSON:
            owner = by.id if by.kind is ActorKind.PERSON else self._owner_of(connection, sender_id)
            person = self._agents.person(connection, owner)
            return person, None, [person]
        if to != EVERYONE and not to.startswith(TYPE_PREFIX):
            recipient = self._agents.id_of(connection, to)
            return recipient, None, [recipient]
        wanted = to.removeprefix(TYPE_PREFIX) if to != EVERYONE else ""
        if not wanted and to != EVERYONE:
            raise InvalidInput("No type is named after `type:`.", "Name one, or send to everyone.")
        rows = connection.execute(
            "SELECT id FROM agents WHERE admission <> 'retired' AND type <> ? AND id IS NOT ? AND (? = '' OR type = ?)",
            (PERSON_TYPE, sender_id, wanted, wanted),
        ).fetchall()
        if not rows:
            whom = f"agent of type {wanted}" if wanted else "other agent"
            raise NotFound(f"There is no {whom} to hear it.", "`bailiwick agents list` shows who is here.")
        return None, wanted, [row["id"] for row in rows]

    @staticmethod
    def _owner_of(connection: sqlite3.Connection, agent_id: str | None) -> str:
        row = connection.execute("SELECT owner FROM agents WHERE id = ?", (agent_id,)).fetchone()
        return str(row["owner"])

    @staticmethod
    def _thread(connection: sqlite3.Connection, reply_to: str) -> str:
        row = connection.execute("SELECT thread_id FROM agent_communications WHERE id = ?", (reply_to,)).fetchone()
        if row is None:
            raise NotFound(f"There is no message {reply_to} to reply to.", "`bailiwick messages list` shows them.")
        return str(row["thread_id"])


def _checked_content(content: JSONValue, kind: str) -> str:
    if not kind or len(kind) > 64 or not kind.isprintable():
        raise InvalidInput(f"{kind[:40]!r} cannot be a message's type.", "Use a short word such as note or finding.")
    text = checked_json(content, "The message")
    size = len(text.encode())
    if size > LARGEST_MESSAGE:
        raise QuotaExceeded(
            f"The message is {size:,} bytes; at most {LARGEST_MESSAGE:,} are sent.",
            "Put the content into a state or a file and send its name.",
        )
    return text


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
        step: from_text(row[column]) if row[column] else None for step, column in _COLUMNS.items()
    }
    reached = [step for step in _STEPS if moments[step] is not None]
    return Receipt(
        agent_id=row["agent_id"],
        agent=row["name"],
        status=reached[-1] if reached else MessageStatus.QUEUED,
        queued_at=from_text(row["queued_at"]),
        delivered_at=moments[MessageStatus.DELIVERED],
        read_at=moments[MessageStatus.READ],
        acknowledged_at=moments[MessageStatus.ACKNOWLEDGED],
    )
