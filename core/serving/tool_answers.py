"""What the tools of agents answer: compact values, in which whatever is as usual is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from core.agent_model import Agent, Importance, Lease, Message, Session, State
from core.agentfs.database import now, to_text
from core.conflicts.state_races import Kept
from core.library.catalogue import StoredDocument
from core.model import Answer, Hit, Item, Kind, Level, Passage


@dataclass(frozen=True, slots=True)
class Registered:
    """``place`` is the place in line while the agent waits to be let in, ``waits`` why."""

    agent: str
    id: str
    type: str
    created: bool
    verified: bool
    unread: int
    place: int | None = None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class LeaseLine:
    resource: str
    agent: str
    mode: str
    seconds_left: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Leases:
    leases: tuple[LeaseLine, ...]


@dataclass(frozen=True, slots=True)
class Alive:
    status: str
    unread: int
    leases: tuple[LeaseLine, ...]
    place: int | None = None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class StateValue:
    """``redacted``: another agent's, given without secrets and personal data."""

    agent: str
    key: str
    value: Any
    version: int
    kind: str = Kind.STATE.value
    level: str = Level.PRIVATE.value
    redacted: bool = False
    expires_at: str = ""


@dataclass(frozen=True, slots=True)
class StateWritten:
    """``sealed`` because of what ``sensitive`` says; ``kept`` says what became of a write that came too late."""

    key: str
    version: int
    kind: str = Kind.STATE.value
    level: str = Level.PRIVATE.value
    sealed: bool = False
    sensitive: str = ""
    kept: str = ""
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class StateLine:
    key: str
    version: int
    size: int
    updated_at: str
    kind: str = Kind.STATE.value
    level: str = Level.PRIVATE.value


@dataclass(frozen=True, slots=True)
class StateLines:
    """``after`` is what to ask with for those that follow."""

    agent: str
    states: tuple[StateLine, ...]
    after: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    id: str
    to: str
    thread: str


@dataclass(frozen=True, slots=True)
class Incoming:
    id: str
    sender: str
    type: str
    content: Any
    sent_at: str
    status: str
    thread: str = ""
    reply_to: str = ""
    importance: str = Importance.NORMAL
    verified: bool = True
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Incomings:
    """``unread`` counts what was not marked read, the ``messages`` among it."""

    messages: tuple[Incoming, ...]
    unread: int


@dataclass(frozen=True, slots=True)
class Found:
    id: str
    title: str
    text: str
    score: float
    library: str = ""
    version: str = ""
    language: str = ""
    matched: str = ""
    source: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Hits:
    hits: tuple[Found, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """``passages`` counts all, ``shown`` are those asked for."""

    id: str
    title: str
    passages: int
    shown: tuple[Piece, ...]
    library: str = ""
    version: str = ""
    language: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """``id`` of a document, ``key`` of a state of the agent's own."""

    kind: str
    version: int
    id: str = ""
    key: str = ""
    level: str = Level.PRIVATE.value
    sealed: bool = False
    sensitive: str = ""


@dataclass(frozen=True, slots=True)
class SessionLine:
    id: str
    title: str
    started_at: str
    calls: int = 0
    states: int = 0
    messages: int = 0
    ended_at: str = ""


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """``content`` is shortened, ``None`` where it was deleted; ``stands``: this is what is there now."""

    side: str
    who: str
    content: str | None
    stands: bool = False


@dataclass(frozen=True, slots=True)
class ConflictLine:
    """``reserved``: the person alone decides; ``rule_until``: you are asked to; ``sealed``: without ``sides``."""

    id: str
    about: str
    kind: str
    since: str
    sides: tuple[ConflictSide, ...]
    reserved: str = ""
    sealed: bool = False
    rule_until: str = ""


@dataclass(frozen=True, slots=True)
class Conflicts:
    conflicts: tuple[ConflictLine, ...]


@dataclass(frozen=True, slots=True)
class Ruled:
    id: str
    took: str
    changed: bool


def plain(value: object) -> Any:
    """An answer as JSON holds it, without the fields that are as they are by default."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        told = ((each, getattr(value, each.name)) for each in fields(value))
        return {each.name: plain(held) for each, held in told if each.default is MISSING or held != each.default}
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    return value


def registered(agent: Agent, *, created: bool, verified: bool, unread: int) -> Registered:
    """An agent as it hears of itself."""
    return Registered(agent.name, agent.id, agent.type, created, verified, unread, agent.place, agent.reason)


def alive(agent: Agent, leases: Sequence[Lease], unread: int) -> Alive:
    """What a heartbeat brings."""
    return Alive(agent.status, unread, lease_lines(leases), agent.place, agent.reason)


def lease_lines(leases: Sequence[Lease]) -> tuple[LeaseLine, ...]:
    """Leases with the time they have left."""
    moment = now()
    return tuple(
        LeaseLine(
            each.resource,
            each.agent,
            each.mode,
            max(0, round((each.expires_at - moment).total_seconds())) if not each.ended_at else 0,
            each.reason,
        )
        for each in leases
    )


def state_value(agent: str, state: State) -> StateValue:
    """A state with its value."""
    return StateValue(
        agent, state.key, state.value, state.version, state.kind, state.level, state.redacted, _moment(state.expires_at)
    )


def state_written(state: State) -> StateWritten:
    """What a write of a state did."""
    return StateWritten(state.key, state.version, state.kind, state.level, state.sealed, state.sensitive)


def state_kept(key: str, kept: Kept) -> StateWritten:
    """What became of a write that would be kept where it came too late."""
    written = state_written(kept.state) if kept.state is not None else StateWritten(key, 0)
    if kept.conflict is None:
        return written
    identifier, version = kept.conflict.id, written.version
    told = f"merged with what came first, as version {version}"
    if not kept.is_written:
        told = f"kept as conflict {identifier}; version {version} stands until somebody rules"
    return replace(written, kept=told, conflict=identifier)


def state_lines(agent: str, states: Sequence[State], limit: int) -> StateLines:
    """States without their values; ``limit`` were asked for."""
    lines = tuple(
        StateLine(each.key, each.version, each.size, to_text(each.updated_at), each.kind, each.level) for each in states
    )
    return StateLines(agent, lines, lines[-1].key if len(lines) == limit else "")


def incoming(message: Message) -> Incoming:
    """A message as its recipient reads it."""
    return Incoming(
        message.id,
        message.sender,
        message.type,
        message.content,
        to_text(message.sent_at),
        message.status,
        message.thread_id if message.thread_id != message.id else "",
        message.reply_to or "",
        message.importance,
        message.verified,
        message.locked,
    )


def hits(answer: Answer) -> Hits:
    """What a search found."""
    return Hits(tuple(map(_found, answer.hits)), answer.notes)


def _found(hit: Hit) -> Found:
    asked = (hit.matched.language, hit.matched.library, hit.matched.version)
    worst = next((each for each in ("none", "nearest", "exact") if each in asked), "")
    return Found(
        hit.id, hit.title, hit.text, round(hit.score, 4), hit.library, hit.version, hit.language, worst, hit.source,
        hit.line if hit.source else 0,
    )  # fmt: skip


def document(stored: StoredDocument, start: int, count: int) -> Document:
    """``count`` passages of a document from the one with the number ``start`` on."""
    content, item = stored.content, stored.item
    chosen = enumerate(content.passages[start : start + count], start=start)
    return Document(
        item.id,
        content.title,
        len(content.passages),
        tuple(_piece(item, ordinal, passage) for ordinal, passage in chosen),
        content.library,
        content.version,
        content.language,
        content.source,
    )


def _piece(item: Item, ordinal: int, passage: Passage) -> Piece:
    return Piece(f"{item.id}:{ordinal}", passage.title, passage.text)


def noted_document(item: Item) -> Noted:
    """A document that was written."""
    return Noted(item.kind, item.version, item.id, "", item.level, item.sealed, item.sensitive)


def noted_state(state: State) -> Noted:
    """A finding that was written as a state."""
    return Noted(state.kind, state.version, "", state.key, state.level, state.sealed, state.sensitive)


def session_line(session: Session) -> SessionLine:
    """A session, counted."""
    return SessionLine(
        session.id,
        session.title,
        to_text(session.started_at),
        session.calls,
        session.states,
        session.messages,
        _moment(session.ended_at),
    )


def _moment(moment: datetime | None) -> str:
    return to_text(moment) if moment is not None else ""
