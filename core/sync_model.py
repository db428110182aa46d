"""The words of synchronising: what is moved, by which strategy, at what price, and what was found wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class UserTier(StrEnum):
    """What the user pays for; ``user.tier`` says it."""

    FREE = "free"
    PRO = "pro"


class NetworkQuality(StrEnum):
    """How good the way to the remote is; the numbers that divide them are settings."""

    EXCELLENT = "excellent"
    GOOD = "good"
    POOR = "poor"
    OFFLINE = "offline"


class DataVolume(StrEnum):
    """How much waits to be moved."""

    LOW = "low"
    HIGH = "high"


class SyncStrategy(StrEnum):
    """When and what is moved by itself."""

    REALTIME = "realtime"
    ADAPTIVE = "adaptive"
    ON_DEMAND = "on_demand"


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """The strategy now and since when.

    ``reason`` is one sentence that names the row of the table that decided; ``forced``: the person chose it.
    """

    strategy: SyncStrategy
    reason: str
    tier: UserTier
    network: NetworkQuality
    volume: DataVolume
    since: datetime
    forced: bool = False


@dataclass(frozen=True, slots=True)
class NetworkSample:
    """One measured moment: the median round trip, the rate of what was large, the share of failures (0..1)."""

    at: datetime
    quality: NetworkQuality
    round_trip_ms: float | None
    bytes_per_second: float | None
    failures: float


class AreaKind(StrEnum):
    """Whose a part of the remote is."""

    USER = "user"
    TEAM = "team"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Area:
    """One commit log with what it tells of: ``u-mara``, ``team-harbour`` or ``shared``."""

    kind: AreaKind
    name: str = ""

    @property
    def id(self) -> str:
        """Its folder's name in the remote."""
        return {AreaKind.USER: f"u-{self.name}", AreaKind.TEAM: f"team-{self.name}"}.get(self.kind, "shared")

    @property
    def is_sealed(self) -> bool:
        """Whether what lies in it can be read by its members alone."""
        return self.kind is not AreaKind.SHARED


@dataclass(frozen=True, slots=True)
class Operations:
    """Requests by price class, as Cloudflare R2 and S3 count them, and the bytes that moved."""

    class_a: int = 0
    class_b: int = 0
    free: int = 0
    bytes_up: int = 0
    bytes_down: int = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.class_a + other.class_a,
            self.class_b + other.class_b,
            self.free + other.free,
            self.bytes_up + other.bytes_up,
            self.bytes_down + other.bytes_down,
        )

    def __sub__(self, other: Operations) -> Operations:
        return self + Operations(-other.class_a, -other.class_b, -other.free, -other.bytes_up, -other.bytes_down)


@dataclass(frozen=True, slots=True)
class Spending:
    """What the month's requests cost so far beside what they may cost; ``budget`` 0 is no limit.

    ``storage_cost`` is what ``stored_bytes`` cost in a month, apart from requests. Money is in US dollars.
    """

    month: str
    operations: Operations
    cost: float
    budget: float
    stopped: bool
    stored_bytes: int = 0
    storage_cost: float = 0.0


class Direction(StrEnum):
    """Which way a transfer goes."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Something moving now. ``total`` is 0 while unknown; ``rate`` is bytes per second."""

    id: str
    area: str
    label: str
    direction: Direction
    done: int
    total: int
    rate: float

    @property
    def seconds_left(self) -> float | None:
        """Seconds until done at the present rate, ``None`` while that cannot be told."""
        return max(0, self.total - self.done) / self.rate if self.rate > 0 and self.total > 0 else None


class Change(StrEnum):
    """What became of one path."""

    PUT = "put"
    DELETE = "delete"
    CONFLICT = "conflict"
    COLLECT = "collect"


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One thing a sync would do; ``reason`` only where it needs one."""

    area: str
    direction: Direction
    change: Change
    path: str
    size: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync would do and cost; ``asks`` is the question that has to be answered first, else empty."""

    changes: tuple[PlannedChange, ...]
    operations: Operations
    cost: float
    asks: str = ""


@dataclass(frozen=True, slots=True)
class SyncRun:
    """One sync that ended. ``problem`` is one sentence with ``cure``, empty where all went well."""

    started_at: datetime
    seconds: float
    why: str
    strategy: SyncStrategy
    sent: int
    received: int
    conflicts: int
    operations: Operations
    cost: float
    problem: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class AreaStatus:
    """How far one area is: ``commits`` applied here, what waits to go up, what is known but not fetched."""

    area: Area
    commits: int
    waiting: int
    waiting_bytes: int
    not_fetched: int
    synced_at: datetime | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A device as its last commit shows it.

    ``problem`` says that its audit was truncated or rewritten, or its signature did not fit.
    """

    id: str
    name: str
    user: str
    is_this: bool
    commits: int
    last_commit_at: datetime | None
    audit_position: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """Which remote this workspace has: ``url`` without credentials, empty where none is set."""

    url: str = ""
    kind: str = ""
    writers: str = ""
    """``many``, ``one`` or ``none`` (read only)."""
    workspace: str = ""
    founded_at: datetime | None = None


class SyncActivity(StrEnum):
    """What the sync worker does at this moment."""

    NO_REMOTE = "no_remote"
    IDLE = "idle"
    SYNCING = "syncing"
    PAUSED = "paused"
    OFFLINE = "offline"
    STOPPED = "stopped"
    """By the budget, a safety brake or an error that needs a person."""


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """Everything the sync pane shows but history; ``asks`` is the question a safety brake waits for."""

    activity: SyncActivity
    remote: RemoteStatus
    choice: StrategyChoice | None = None
    areas: tuple[AreaStatus, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    devices: tuple[DeviceStatus, ...] = ()
    network: tuple[NetworkSample, ...] = ()
    runs: tuple[SyncRun, ...] = ()
    spending: Spending | None = None
    next_at: datetime | None = None
    open_conflicts: int = 0
    problem: str = ""
    cure: str = ""
    asks: str = ""
    choices: tuple[StrategyChoice, ...] = ()
    """The strategies until now, the newest first."""


class DamageKind(StrEnum):
    """What is wrong with an object of the remote."""

    DAMAGED = "damaged"
    MISSING = "missing"
    ROLLED_BACK = "rolled_back"
    FORKED = "forked"
    FOREIGN = "foreign"
    AUDIT = "audit"
    VIEW = "view"


@dataclass(frozen=True, slots=True)
class Damage:
    """One finding of ``verify``: the object's key, what is wrong in a sentence, and the command that mends it."""

    kind: DamageKind
    key: str
    reason: str
    cure: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What ``verify`` looked at and found; ``unnamed`` objects are named by nothing any more, and deleted in time."""

    commits: int
    objects: int
    bytes_read: int
    damages: tuple[Damage, ...]
    operations: Operations = field(default_factory=Operations)
    unnamed: int = 0
    unnamed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Repair:
    """What ``repair`` mended, and what it could not for no device here has the bytes."""

    mended: tuple[Damage, ...]
    left: tuple[Damage, ...]
