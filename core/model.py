"""The words of the model: the frozen values that every room and every door speaks in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"
JSONObject: TypeAlias = Mapping[str, JSONValue]


class Kind(StrEnum):
    """What an item is; the last four are the subjects of the sharing controls."""

    DOCUMENT = "document"
    STATE = "state"
    MESSAGE = "message"
    SESSION = "session"
    DECISION = "decision"
    RESEARCH_FINDING = "research_finding"
    CODE_EXAMPLE = "code_example"
    IMPLEMENTATION_LOG = "implementation_log"
    ASSUMPTION = "assumption"


class Level(StrEnum):
    """Who may see an item."""

    PUBLIC = "public"
    TEAM = "team"
    PRIVATE = "private"


class Operation(StrEnum):
    """What is asked for of an item."""

    READ = "read"
    WRITE = "write"


class Sensitivity(StrEnum):
    """Why an item is sensitive, and so sealed wherever it lies and given to nobody but its owner."""

    NONE = ""
    SECRET = "secret"
    """A secret was found in its content."""
    PATTERN = "pattern"
    """A private pattern catches its path."""
    UNKNOWN = "unknown"
    """It was written before anybody looked; treated as sensitive by everything that lets something out."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of truth: everything Bailiwick keeps is an item at a path.

    ``position`` is the journal position of its last change; ``base_sha256`` the content it was changed from.
    A deleted item stays as a tombstone without bytes. Of a ``sealed`` item ``sha256`` is the hash of its sealed bytes,
    ``size`` that of its content. ``agent_id`` is the agent whose own it is, empty for what belongs to the user.
    """

    id: str
    path: str
    kind: Kind
    owner: str
    level: Level
    sha256: str
    base_sha256: str | None
    critical: bool
    size: int
    metadata: JSONObject
    created_at: datetime
    updated_at: datetime
    version: int
    deleted: bool
    position: int
    sensitive: Sensitivity = Sensitivity.UNKNOWN
    sealed: bool = False
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that is embedded and found by itself: at most 256 tokens with its title.

    ``title`` is the qualified symbol, or the heading path joined by " › "; ``line`` is 1-based in the source file.
    """

    title: str
    heading_path: tuple[str, ...]
    text: str
    line: int

    @property
    def embedding_text(self) -> str:
        """What is embedded, and hashed to recognise unchanged text: the title and the text, a line each."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class DocumentContent:
    """A document as read: what is stored as an item's bytes and indexed.

    ``language``, ``library`` and ``version`` are empty strings where unknown; ``source`` is the file it was read from.
    """

    title: str
    language: str
    library: str
    version: str
    source: str
    passages: tuple[Passage, ...]
    metadata: JSONObject = field(default_factory=dict)


class SourceKind(StrEnum):
    """Where documents come from."""

    PATH = "path"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Source:
    """Something the user added: a file or folder that is watched, or an installed Python package.

    ``location`` is an absolute path, or for a package the folder it is installed in; ``name`` is unique in a workspace
    and forms the items' paths. ``language``, ``library`` and ``version`` given as flags override what is read.
    """

    id: str
    kind: SourceKind
    name: str
    location: str
    language: str
    library: str
    version: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Problem:
    """One file that could not be read, and why in one sentence."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Library:
    """One library version of the index, counted."""

    language: str
    library: str
    version: str
    documents: int
    passages: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """What is in the index; ``pending`` passages have no vector of the current model yet."""

    documents: int
    passages: int
    pending: int


class SearchMode(StrEnum):
    """Which legs answer a search."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    TEXT = "text"


MODEL_LOADING = "the embedding model is still loading."
"""Why there are no vectors yet, where that will pass by itself."""


class Match(StrEnum):
    """How a hit's language, library or version compares with the one asked for."""

    EXACT = "exact"
    NEAREST = "nearest"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Filters:
    """What hits must be: empty strings do not filter; ``where`` compares top-level metadata keys with text."""

    language: str = ""
    library: str = ""
    version: str = ""
    where: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.language or self.library or self.version or self.where)


@dataclass(frozen=True, slots=True)
class Matched:
    """``None`` where nothing was asked for."""

    language: Match | None = None
    library: Match | None = None
    version: Match | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One passage found. ``score`` is 0..1; the ranks are 1-based places in each leg, ``None`` where a leg missed it.

    ``similarity`` is the cosine with the query where the vector leg saw the passage.
    """

    id: str
    document_id: str
    ordinal: int
    title: str
    text: str
    score: float
    language: str
    library: str
    version: str
    matched: Matched
    document_title: str
    source: str
    line: int
    similarity: float | None = None
    vector_rank: int | None = None
    text_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found: ``path`` names the access path of the vector leg, ``candidates`` the rows it ranked.

    ``telling`` are those of the ``notes`` that tell of all documents, whoever may read them.
    """

    query: str
    mode: SearchMode
    hits: tuple[Hit, ...]
    path: str
    candidates: int
    milliseconds: float
    notes: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HardwareProfile:
    """The machine as measured; memory in GiB, speeds in MB/s, ``None`` where not measured."""

    cpu_cores: int
    available_memory_gb: float
    has_gpu: bool
    storage_speed_mbps: float | None
    network_speed_mbps: float | None


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What this machine allows: the first three are strategy.md's, the others follow from them and the profile."""

    max_concurrent_agents: int
    memory_per_agent_mb: int
    cache_size_mb: int
    worker_threads: int
    index_threads: int
    index_memory_mb: int
