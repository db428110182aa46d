"""The words of AgentFS: who acts, agents, states, messages, leases, sessions, snapshots and audit records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.json_diff import Difference
from core.model import JSONObject, JSONValue, Kind, Level, Sensitivity


class ActorKind(StrEnum):
    """Who can change something."""

    AGENT = "agent"
    PERSON = "person"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and through which door (``cli``, ``dashboard``, ``mcp``, ``hook`` …).

    ``id`` is an agent's id, a user's id, or the engine's device. ``verified`` says that an agent showed its key;
    ``peer`` is the address it speaks from, where there is one.
    """

    kind: ActorKind
    id: str
    door: str = ""
    verified: bool = True
    session_id: str | None = None
    peer: str = ""


class AgentStatus(StrEnum):
    """What an agent is doing, from its heartbeats and calls."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    BUSY = "busy"
    ERROR = "error"


class Admission(StrEnum):
    """Whether an agent has one of the places that the hardware allows."""

    ADMITTED = "admitted"
    WAITING = "waiting"
    RETIRED = "retired"


PERSON_TYPE = "person"
KNOWN_TYPES = ("research", "poc", "documentation", "validation")


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. ``place`` is its 1-based place in the line while it waits, and ``reason`` says why it does.

    ``note`` is what its last error said; ``current_tool`` is empty while no call runs. ``device`` is the id of the
    other device that it lives on, with its name, empty where it is this one; all that is known of it then is what it
    was there.
    """

    id: str
    name: str
    type: str
    capabilities: JSONObject
    status: AgentStatus
    admission: Admission
    created_at: datetime
    last_activity: datetime
    owner: str
    current_tool: str = ""
    note: str = ""
    door: str = ""
    client: str = ""
    place: int | None = None
    reason: str = ""
    retired_at: datetime | None = None
    device: str = ""
    device_name: str = ""

    @property
    def responsibilities(self) -> tuple[str, ...]:
        """The path and topic patterns the agent declared as its own."""
        declared = self.capabilities.get("responsibilities", [])
        return tuple(str(each) for each in declared) if isinstance(declared, list) else ()

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools the agent declared, given as a list or as names with configurations."""
        declared = self.capabilities.get("tools", [])
        return tuple(str(each) for each in declared) if isinstance(declared, list | dict) else ()


@dataclass(frozen=True, slots=True)
class AgentOverview:
    """An agent with what a list shows beside it; ``session_id`` is its newest open session."""

    agent: Agent
    unread: int
    leases: int
    states: int
    session_id: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering gives: the agent, the file that holds its key, and whether it is new."""

    agent: Agent
    key_path: str
    created: bool


@dataclass(frozen=True, slots=True)
class State:
    """One state value at its present version; ``size`` is the bytes of its canonical JSON.

    ``locked``: the value is sealed and cannot be opened, so it is ``None`` here; ``problem`` says why where it is not
    that the keys are locked. ``redacted``: who asked gets it without secrets and personal data.
    """

    id: str
    agent_id: str
    key: str
    value: JSONValue
    version: int
    kind: Kind
    critical: bool
    size: int
    updated_at: datetime
    expires_at: datetime | None = None
    level: Level = Level.PRIVATE
    sensitive: Sensitivity = Sensitivity.NONE
    sealed: bool = False
    locked: bool = False
    redacted: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StateEntry:
    """What a list shows of a state: everything but its value."""

    key: str
    version: int
    kind: Kind
    critical: bool
    size: int
    updated_at: datetime
    expires_at: datetime | None = None
    level: Level = Level.PRIVATE
    sensitive: Sensitivity = Sensitivity.NONE
    sealed: bool = False


class StateOperation(StrEnum):
    """What made a version."""

    PUT = "put"
    DELETE = "delete"
    EXPIRE = "expire"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class StateVersion:
    """One entry of a state's history; without a value after ``delete`` and ``expire``.

    ``actor`` is the id of who wrote it; ``restored_from`` the version a restore went back to, where it was one.
    """

    state_id: str
    version: int
    operation: StateOperation
    sha256: str | None
    actor: str
    session_id: str | None
    at: datetime
    restored_from: int | None = None
    sealed: bool = False


class Importance(StrEnum):
    """How urgent a message is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class MessageStatus(StrEnum):
    """How far a message has come with one recipient, or with the slowest of several."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    READ = "read"
    ACKNOWLEDGED = "acknowledged"


class Audience(StrEnum):
    """Whom a message is for."""

    AGENT = "agent"
    TYPE = "type"
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``sequence`` is its 1-based dense place in the log of this workspace.

    ``sender_id`` is ``None`` for what Bailiwick itself says. ``recipient`` is a name, a type, or ``everyone``.
    ``locked``: the content is sealed and cannot be opened, so it is ``None`` here; ``problem`` says why where it is not
    that the keys are locked.
    """

    id: str
    sequence: int
    sender_id: str | None
    sender: str
    audience: Audience
    recipient_id: str | None
    recipient: str
    type: str
    content: JSONValue
    importance: Importance
    thread_id: str
    reply_to: str | None
    sent_at: datetime
    status: MessageStatus
    verified: bool
    session_id: str | None = None
    level: Level = Level.PRIVATE
    sensitive: Sensitivity = Sensitivity.NONE
    sealed: bool = False
    locked: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far a message has come with one recipient, each step with its time."""

    agent_id: str
    agent: str
    status: MessageStatus
    queued_at: datetime
    delivered_at: datetime | None
    read_at: datetime | None
    acknowledged_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessageFilters:
    """Which messages a log shows: empty strings do not filter; ``text`` is looked for in the content, case aside."""

    agent_id: str = ""
    type: str = ""
    thread_id: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.agent_id or self.type or self.thread_id or self.text)


class LeaseMode(StrEnum):
    """Whether others may hold a lease on the same thing."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class Lease:
    """A time-limited claim on a path glob, or on ``resource:NAME``. ``ended_because`` is empty while it is held."""

    id: str
    agent_id: str
    agent: str
    resource: str
    mode: LeaseMode
    reason: str
    seconds: int
    acquired_at: datetime
    expires_at: datetime
    session_id: str | None = None
    ended_at: datetime | None = None
    ended_because: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of an agent's work; it groups calls, state writes and messages."""

    id: str
    agent_id: str
    agent: str
    title: str
    started_at: datetime
    ended_at: datetime | None
    door: str
    client: str
    calls: int = 0
    states: int = 0
    messages: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool by an agent: hashes of what went in and came out, never the contents.

    ``summary`` says in a few redacted words what it was about, where the client's transcript was there to tell.
    """

    id: str
    agent_id: str
    session_id: str | None
    tool: str
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None
    error: str
    parameters_sha256: str | None
    result_sha256: str | None
    door: str
    client: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the whole database at one moment, in ``snapshots/``; ``sha256`` is of the file."""

    id: str
    name: str
    created_at: datetime
    created_by: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """One state that differs between a snapshot and now; versions are ``None`` where there is no value."""

    agent_id: str
    agent: str
    key: str
    difference: Difference
    before: JSONValue
    after: JSONValue
    before_version: int | None
    after_version: int | None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One link of the audit chain. ``subject`` is the id of what was changed; ``details`` hold hashes, never content.

    ``journal`` is the journal position of the change, where it changed an item.
    """

    position: int
    device: str
    at: datetime
    actor_kind: ActorKind
    actor: str
    verified: bool
    door: str
    session_id: str | None
    action: str
    subject: str
    details: JSONObject
    journal: int | None
    hash: str


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which records a list shows: empty strings do not filter; ``action`` is a prefix such as ``state``."""

    actor: str = ""
    action: str = ""
    subject: str = ""

    def __bool__(self) -> bool:
        return bool(self.actor or self.action or self.subject)


@dataclass(frozen=True, slots=True)
class AuditProblem:
    """One thing that is wrong with the chain: the first ``position`` it shows at, and a sentence."""

    position: int
    sentence: str


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What verifying found: ``integrity`` of what is there, ``completeness`` of what should be; ``records`` read."""

    integrity: tuple[AuditProblem, ...]
    completeness: tuple[AuditProblem, ...]
    records: int

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.integrity and not self.completeness
