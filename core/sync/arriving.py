"""How an operation is taken in: read without trusting it, judged by the rules of this device, written by its stores."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from core.agent_model import Actor, ActorKind
from core.agentfs import travelling_sessions, travelling_states
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite, Written
from core.agentfs.kinds import STATE_KINDS
from core.agentfs.travelling_agents import AgentRecord, read_agent
from core.agentfs.travelling_items import ArrivingItem
from core.agentfs.travelling_messages import TravellingMessage, read_message
from core.agentfs.travelling_states import TravellingVersion
from core.conflicts.meeting import Meetings, have_met, lost_ruling, note_lost
from core.conflicts.outcomes import Outcome
from core.conflicts.records import ConflictRecord, merged, metadata_of, more_private, read_record, write_record
from core.content_format import decode, encode
from core.errors import InvalidInput
from core.model import Item, JSONObject, JSONValue, Kind, Sensitivity
from core.sync.commit import Operation
from core.sync.item_header import LOCAL_METADATA, ItemHeader, moment, read_header
from core.sync.leaving import Travellers
from core.sync.tables import SyncTables
from core.sync.things import Thing, last_part, state_place, thing_at

_PUBLISHED = "libraries/"
_KINDS: dict[Thing, tuple[str, ...]] = {
    Thing.AGENT: (Thing.AGENT.value,),
    Thing.STATE: STATE_KINDS,
    Thing.MESSAGE: (Kind.MESSAGE,),
    Thing.SESSION: (Kind.SESSION,),
    Thing.CONFLICT: (Kind.DECISION,),
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """An operation that puts something, read and checked: what it is, and all that is needed to write it.

    ``content`` is that of the item itself; ``found`` why it is sensitive. ``received``: another user's, read only.
    """

    path: str
    thing: Thing
    item_id: str
    version: str
    header: ItemHeader
    content: bytes
    found: Sensitivity
    received: bool
    agent: AgentRecord | None = None
    message: TravellingMessage | None = None
    history: Sequence[TravellingVersion] = ()
    expires_at: datetime | None = None
    calls: list[Any] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        """The item's; an agent has none."""
        return Kind(self.header.kind)


class Arrivals:
    """Safe from any thread."""

    def __init__(self, agentfs: AgentFS, travellers: Travellers, user: str) -> None:
        self._agentfs = agentfs
        self._travellers = travellers
        self._user = user
        self._meetings = Meetings(agentfs)
        self.by = Actor(ActorKind.ENGINE, agentfs.device, "sync")
        """Who takes in."""

    def read(self, operation: Operation, content: bytes, sender: str) -> Arrival:
        """What ``operation`` puts, of a device of the user ``sender``; raises InvalidInput for what none would send."""
        header = read_header(operation.header or {}, operation.item_id)
        path, thing = operation.path, thing_at(operation.path)
        if header.owner != sender or operation.version is None or operation.kind != header.kind:
            raise InvalidInput(f"What came for {path[:80]} is not its sender's to send.")
        if header.kind not in _KINDS.get(thing, tuple(Kind)):
            raise InvalidInput(f"What came for {path[:80]} is of another kind.")
        received = sender != self._user
        if received and thing not in (Thing.ITEM, Thing.STATE):
            raise InvalidInput(f"{path[:80]} is nothing that another user sends.")
        if any(party.owner != self._user for party in header.parties):
            raise InvalidInput(f"What came for {path[:80]} names agents of somebody else.")
        arrival = Arrival(
            path, thing, operation.item_id, operation.version, header, content, Sensitivity.NONE, received
        )
        if not received:
            arrival = _unpacked(arrival)
        if thing is Thing.AGENT:
            return arrival
        return replace(arrival, found=self._found(arrival))

    def _found(self, arrival: Arrival) -> Sensitivity:
        """Why it is sensitive: as its sender's device found where that is the user's own, else as is found here."""
        told = arrival.header.found
        if not arrival.received and told is not Sensitivity.UNKNOWN:
            return told
        published = arrival.path.startswith(_PUBLISHED)
        return self._agentfs.guard.scan(_scannable(arrival.kind, arrival.content), published=published)

    def take(self, connection: sqlite3.Connection, arrival: Arrival) -> list[str]:
        """Write what was read, in the caller's transaction; the answer is the hashes that are not held any more.

        Raises Locked where it has to be sealed, and InvalidInput where something of another owner lies at the path.
        """
        if not arrival.received:
            self._travellers.agents.ensure(connection, arrival.header.parties, by=self.by)
        if arrival.agent is not None:
            self._travellers.agents.arrive(connection, arrival.agent, by=self.by)
            return []
        present = self._present(connection, arrival)
        written = self._write(connection, arrival, present)
        return [written.freed] if written.freed else []

    def _present(self, connection: sqlite3.Connection, arrival: Arrival) -> Item | None:
        row = connection.execute("SELECT id, owner FROM items WHERE path = ?", (arrival.path,)).fetchone()
        if row is None:
            return None
        if row["owner"] != arrival.header.owner:
            raise InvalidInput(
                f"{arrival.path[:80]} is {row['owner']}'s here: what {arrival.header.owner} has put there is not taken."
            )
        return self._agentfs.items.get(row["id"])

    def _write(self, connection: sqlite3.Connection, arrival: Arrival, present: Item | None) -> Written:
        header, living = arrival.header, present if present is not None and not present.deleted else None
        arriving = ArrivingItem(
            arrival.item_id,
            ItemWrite(
                arrival.path,
                arrival.kind,
                header.owner,
                arrival.content,
                level=header.level,
                critical=header.critical,
                metadata=header.metadata,
                agent_id=header.agent,
                found=arrival.found,
            ),
            header.shares,
            header.created_at,
            header.updated_at,
        )
        if arrival.message is not None:
            return self._travellers.messages.arrive(connection, arriving, arrival.message, by=self.by)
        if arrival.thing is Thing.SESSION:
            return self._travellers.sessions.arrive(connection, arriving, arrival.calls, by=self.by)
        if arrival.thing is Thing.STATE and not arrival.received:
            agent_id, key = state_place(arrival.path)
            return self._travellers.states.arrive(
                connection, agent_id, key, arriving, arrival.history, arrival.expires_at, by=self.by
            )
        if arrival.thing is Thing.CONFLICT and living is not None:
            arriving = self._merged(connection, arriving, living)
        if arrival.kind is Kind.DOCUMENT:
            arriving = self._document(arriving, living)
        return self._travellers.items.arrive(connection, arriving, by=self.by)

    def _merged(self, connection: sqlite3.Connection, arriving: ArrivingItem, living: Item) -> ArrivingItem:
        before, came = read_record(self._agentfs.items.content(living)), read_record(arriving.write.data)
        record = merged(before, came)
        if have_met(before, came):
            self._meetings.note_within(connection, record)
        if (rulings := lost_ruling(before, came, record, self._agentfs.device)) is not None:
            self._tell_lost(connection, record, rulings[1])
        found = more_private(arriving.write.found or Sensitivity.NONE, living.sensitive)
        judged = self._agentfs.guard.judge(living.path, living.kind, "", found=found, level=arriving.write.level)
        told = metadata_of(record, seals=judged.seal)
        write = replace(arriving.write, data=write_record(record), metadata=told, found=found)
        return replace(arriving, write=write)

    def _tell_lost(self, connection: sqlite3.Connection, record: ConflictRecord, holds: Outcome) -> None:
        name, _ = SyncTables(self._agentfs.database).device(holds.device)
        on = f" on {name}" if name else " on another device"
        text = f"{holds.who or 'Somebody'}{on} had ruled on {record.path} before you did here, and that ruling holds."
        note_lost(self._agentfs, connection, self._user, record, text)

    def _document(self, arriving: ArrivingItem, living: Item | None) -> ArrivingItem:
        """A document with what this device alone knows of it, and no more in the open than it would say itself."""
        write, content = arriving.write, decode(arriving.write.data)
        judged = self._agentfs.guard.judge(write.path, write.kind, "", found=write.found, level=write.level)
        metadata = dict(write.metadata)
        if living is not None:
            metadata |= {name: living.metadata[name] for name in LOCAL_METADATA & living.metadata.keys()}
        source = metadata.setdefault("source", content.source)
        metadata["title"] = write.path.rpartition("/")[2] if judged.seal else content.title
        if judged.seal:
            metadata.pop("checksum", None)
        data = encode(replace(content, source=source if isinstance(source, str) else content.source))
        return replace(arriving, write=replace(write, data=data, metadata=metadata))

    def drop(self, connection: sqlite3.Connection, item: Item) -> list[str]:
        """Delete what lies at a path, in the caller's transaction; as ``take``."""
        if thing_at(item.path) is Thing.STATE and item.owner == self._user:
            agent_id, key = state_place(item.path)
            self._agentfs.states.delete_within(connection, agent_id, key, by=self.by)
            return []
        freed = self._agentfs.items.delete(connection, item.id, by=self.by)
        return [freed] if freed else []


def _unpacked(arrival: Arrival) -> Arrival:
    header, content = arrival.header, arrival.content
    match arrival.thing:
        case Thing.AGENT:
            return replace(arrival, agent=read_agent(last_part(arrival.path), content))
        case Thing.MESSAGE:
            message = read_message(header.about)
            if last_part(arrival.path) != arrival.item_id or (message.sender or "") != header.agent:
                raise InvalidInput("What came of a message does not lie where messages do.")
            _known(message.agents, header)
            return replace(arrival, message=message)
        case Thing.SESSION:
            if last_part(arrival.path) != arrival.item_id:
                raise InvalidInput("What came of a session does not lie where sessions do.")
            _known([header.agent], header)
            session, calls = travelling_sessions.unpacked(content)
            return replace(arrival, content=session, calls=calls)
        case Thing.STATE:
            agent_id, _ = state_place(arrival.path)
            value, history = travelling_states.unpacked(content)
            _known([agent_id], header)
            return replace(arrival, content=value, history=history, expires_at=_expiry(header.about))
        case Thing.CONFLICT:
            if read_record(content).item_path != arrival.path:
                raise InvalidInput("What came of a conflict does not lie where conflicts do.")
    if header.kind == Kind.DOCUMENT:
        _scannable(Kind.DOCUMENT, content)
    return arrival


def _known(agent_ids: Sequence[str], header: ItemHeader) -> None:
    missing = set(agent_ids) - {party.id for party in header.parties}
    if missing:
        raise InvalidInput("What came names agents without saying who they are.")


def _expiry(about: JSONObject) -> datetime | None:
    try:
        return moment(about["expires_at"]) if "expires_at" in about else None
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"What came of a state is not what Bailiwick sends ({type(error).__name__}).") from None


def _scannable(kind: Kind, content: bytes) -> JSONValue:
    """What a scan reads of content; raises InvalidInput for a document that is none."""
    if kind is Kind.DOCUMENT:
        try:
            document = decode(content)
        except ValueError:
            raise InvalidInput("What came as a document is none.") from None
        return [document.title, *(passage.embedding_text for passage in document.passages)]
    text = content.decode("utf-8", "replace")
    try:
        value: JSONValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
