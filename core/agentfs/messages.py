"""Messages between agents and the person: sent once, followed per recipient from queued to acknowledged."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

from core.agent_model import (
    PERSON_TYPE,
    Actor,
    ActorKind,
    Importance,
    Message,
    MessageStatus,
)
from core.agentfs.database import now, to_text
from core.agentfs.items import ItemWrite
from core.agentfs.journal import item_touched
from core.agentfs.json_text import checked_json
from core.agentfs.message_log import COLUMNS, EVERYONE, PERSON, SELECT, STEPS, MessageLog
from core.agentfs.readable import check_readable
from core.errors import (
    AccessDenied,
    InvalidInput,
    Locked,
    NotFound,
    QuotaExceeded,
)
from core.ids import new_id
from core.model import JSONValue, Kind, Sensitivity

TYPE_PREFIX = "type:"
LARGEST_MESSAGE = 256 * 1024
_UNVERIFIED = "The agent showed no key"
_ADMITTED = "agent.admitted"
_log = logging.getLogger(__name__)
SLOWEST = """
UPDATE agent_communications SET status = (
    SELECT CASE
        WHEN count(*) = count(acknowledged_at) THEN 'acknowledged'
        WHEN count(*) = count(read_at) THEN 'read'
        WHEN count(*) = count(delivered_at) THEN 'delivered'
        ELSE 'queued' END
    FROM message_receipts WHERE sequence = :sequence)
WHERE sequence = :sequence
"""


class MessageStore(MessageLog):
    """Sends messages and follows them. Safe from any thread and process; the log only grows."""

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
        return self._message(connection.execute(f"{SELECT} WHERE m.sequence = ?", (sequence,)).fetchone())

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
                f"{SELECT} JOIN message_receipts x ON x.sequence = m.sequence"
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
        if status not in STEPS:
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
            for step in STEPS[: STEPS.index(status) + 1]:
                column = COLUMNS[step]
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
                connection.execute(SLOWEST, {"sequence": sequence})
                told = {"recipient": agent_id}
                journal = item_touched(connection, row["id"])
                self._items.audit.append(connection, by, f"message.{status}", row["id"], told, journal=journal)

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
