"""Messages on their way between the user's devices, with how far they have come with each recipient.

A receipt only ever goes on: of two devices that know different steps, both come to know all, each with the earlier of
the moments told, in whichever order they hear of them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.agent_model import Actor, Importance
from core.agentfs.database import Database, from_text, to_text, translated
from core.agentfs.items import Written
from core.agentfs.journal import item_touched
from core.agentfs.messages import SLOWEST
from core.agentfs.travelling_agents import TravellingAgents
from core.agentfs.travelling_items import ArrivingItem, TravellingItems
from core.errors import InvalidInput
from core.ids import looks_like_id
from core.model import JSONValue

_STEPS = ("queued_at", "delivered_at", "read_at", "acknowledged_at")
_SELECT = "SELECT * FROM agent_communications WHERE id = ?"


@dataclass(frozen=True, slots=True)
class TravellingReceipt:
    """How far a message has come with one recipient: when it was queued, delivered, read, acknowledged."""

    agent_id: str
    moments: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class TravellingMessage:
    """A message but its content. ``to_type`` is ``None`` for one recipient, empty for everyone."""

    sender: str | None
    recipient: str | None
    to_type: str | None
    type: str
    thread: str
    reply_to: str | None
    importance: Importance
    sent_at: datetime
    verified: bool
    session_id: str | None
    receipts: tuple[TravellingReceipt, ...]

    def to_json(self) -> dict[str, JSONValue]:
        """The message as it travels."""
        return {
            "from": self.sender,
            "to": self.recipient,
            "to_type": self.to_type,
            "type": self.type,
            "thread": self.thread,
            "reply_to": self.reply_to,
            "importance": self.importance.value,
            "sent_at": to_text(self.sent_at),
            "verified": self.verified,
            "session": self.session_id,
            "receipts": [[each.agent_id, *each.moments] for each in self.receipts],
        }

    @property
    def agents(self) -> tuple[str, ...]:
        """Everybody whom it names."""
        named = (self.sender, self.recipient, *(each.agent_id for each in self.receipts))
        return tuple(each for each in named if each is not None)


def read_message(told: Any) -> TravellingMessage:
    """What ``to_json`` gave; raises InvalidInput for anything that no device of ours sends."""
    try:
        return TravellingMessage(
            _id(told["from"], optional=True),
            _id(told["to"], optional=True),
            _text(told["to_type"], optional=True),
            _text(told["type"]) or "",
            _id(told["thread"]) or "",
            _id(told["reply_to"], optional=True),
            Importance(told["importance"]),
            from_text(_moment(told["sent_at"])),
            bool(told["verified"]),
            _id(told["session"], optional=True),
            tuple(_receipt(each) for each in told["receipts"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput(f"What came of a message is not what Bailiwick sends ({type(error).__name__}).") from None


class TravellingMessages:
    """Safe from any thread and process; what arrives belongs to the caller's transaction."""

    def __init__(self, database: Database, agents: TravellingAgents, travelling: TravellingItems) -> None:
        self._database = database
        self._agents = agents
        self._travelling = travelling

    def told(self, message_id: str) -> TravellingMessage | None:
        """What travels of a message beside its content."""
        with translated(self._database.path):
            connection = self._database.connection()
            row = connection.execute(_SELECT, (message_id,)).fetchone()
            if row is None:
                return None
            receipts = connection.execute(
                "SELECT * FROM message_receipts WHERE sequence = ? ORDER BY agent_id", (row["sequence"],)
            ).fetchall()
        return TravellingMessage(
            row["from_agent"],
            row["to_agent"],
            row["to_type"],
            row["message_type"],
            row["thread_id"],
            row["reply_to"],
            Importance(row["importance"]),
            from_text(row["timestamp"]),
            bool(row["verified"]),
            row["session_id"],
            tuple(TravellingReceipt(each["agent_id"], tuple(each[step] for step in _STEPS)) for each in receipts),
        )

    def arrive(
        self, connection: sqlite3.Connection, arriving: ArrivingItem, told: TravellingMessage, *, by: Actor
    ) -> Written:
        """Take in a message, or what is new of one that is here; whoever it is for and lives here finds it, once.

        What was sent to a type or to everyone reaches the agents too that live here and did so when it was sent.
        """
        known = connection.execute(_SELECT, (arriving.id,)).fetchone()
        written = self._travelling.arrive(connection, arriving, by=by, action="message.arrive")
        if written.item_id != arriving.id:
            raise InvalidInput("What came of a message does not lie where messages do.")
        shown = "" if written.sealed else arriving.write.data.decode()
        verdict = (written.level.value, written.sensitive.value, written.sha256 if written.sealed else None, shown)
        if known is not None:
            connection.execute(
                "UPDATE agent_communications SET level = ?, sensitive = ?, sealed_sha256 = ?, message_content = ?"
                " WHERE id = ?",
                (*verdict, arriving.id),
            )
            sequence = int(known["sequence"])
        else:
            sequence = self._insert(connection, arriving.id, told, verdict)
        receipts = list(told.receipts)
        if known is None and told.to_type is not None:
            queued = to_text(told.sent_at)
            here = self._agents.local(connection, told.to_type, told.sent_at)
            receipts += [
                TravellingReceipt(agent_id, (queued, None, None, None)) for agent_id in here if agent_id != told.sender
            ]
        changed = [each.agent_id for each in receipts if self._merge(connection, sequence, each)]
        connection.execute(SLOWEST, {"sequence": sequence})
        if told.sender is not None:
            self._agents.seen(connection, told.sender, told.sent_at)
        if changed and known is not None:
            journal = item_touched(connection, arriving.id)
            self._travelling.audit(connection, by, "message.follow", arriving.id, {"recipients": len(changed)}, journal)
        return written

    @staticmethod
    def _insert(
        connection: sqlite3.Connection,
        message_id: str,
        told: TravellingMessage,
        verdict: tuple[str, str, str | None, str],
    ) -> int:
        level, sensitive, sealed, shown = verdict
        cursor = connection.execute(
            "INSERT INTO agent_communications (id, from_agent, to_agent, message_type, message_content, timestamp,"
            " to_type, importance, thread_id, reply_to, verified, session_id, level, sensitive, sealed_sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message_id,
                told.sender,
                told.recipient,
                told.type,
                shown,
                to_text(told.sent_at),
                told.to_type,
                told.importance.value,
                told.thread,
                told.reply_to,
                int(told.verified),
                told.session_id,
                level,
                sensitive,
                sealed,
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    @staticmethod
    def _merge(connection: sqlite3.Connection, sequence: int, told: TravellingReceipt) -> bool:
        """Note the steps of a receipt that are new; says whether any was."""
        key = (told.agent_id, sequence)
        row = connection.execute("SELECT * FROM message_receipts WHERE agent_id = ? AND sequence = ?", key).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO message_receipts (agent_id, sequence, queued_at, delivered_at, read_at, acknowledged_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*key, *told.moments),
            )
            return True
        merged = tuple(
            min((each for each in (row[step], moment) if each is not None), default=None)
            for step, moment in zip(_STEPS, told.moments, strict=True)
        )
        if merged == tuple(row[step] for step in _STEPS):
            return False
        connection.execute(
            "UPDATE message_receipts SET queued_at = ?, delivered_at = ?, read_at = ?, acknowledged_at = ?"
            " WHERE agent_id = ? AND sequence = ?",
            (*merged, *key),
        )
        return True


def _receipt(told: Any) -> TravellingReceipt:
    agent_id, queued, *moments = told
    if len(moments) != len(_STEPS) - 1:
        raise ValueError("no receipt")
    steps = (_moment(queued), *(_moment(each) if each is not None else None for each in moments))
    return TravellingReceipt(_id(agent_id) or "", steps)


def _moment(told: Any) -> str:
    moment = from_text(told)
    if moment.tzinfo is None:
        raise ValueError("no moment")
    return to_text(moment)


def _id(told: Any, *, optional: bool = False) -> str | None:
    if told is None and optional:
        return None
    if not isinstance(told, str) or not looks_like_id(told):
        raise ValueError("no id")
    return told


def _text(told: Any, *, optional: bool = False) -> str | None:
    if told is None and optional:
        return None
    if not isinstance(told, str) or len(told) > 64 or not (told.isprintable()):
        raise ValueError("no text")
    return told
