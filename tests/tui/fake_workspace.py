"""A workspace in memory, for screens that must look the same each time."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from sync_data import FakeSync

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import PrivacySettings
from core.config import defaults_folder
from core.conflicts.service import ConflictService
from core.crypto.secret import Secret
from core.crypto.unlocking import Way, unlock
from core.errors import InvalidInput, NotFound
from core.events import EventBus, KeysChanged
from core.hardware.load import LoadSample
from core.hardware.pool import WorkerPool
from core.library.catalogue import StoredDocument
from core.model import (
    Answer,
    DocumentContent,
    HardwareProfile,
    Hit,
    IndexCounts,
    Item,
    JSONValue,
    Kind,
    Level,
    Library,
    Match,
    Matched,
    Passage,
    ResourceLimits,
    SearchMode,
    Source,
    SourceKind,
)
from core.privacy import PRIVACY_FILE
from core.search.query import Query

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAMPLE = LoadSample(
    monotonic=1.0,
    at=MOMENT,
    cpu_percent=42.0,
    per_cpu=(12.0, 72.0),
    memory_used=6 * 2**30,
    memory_total=8 * 2**30,
    memory_available=2 * 2**30,
    swap_used=0,
    swap_total=2**30,
    disk_free=40 * 2**30,
    disk_total=100 * 2**30,
    disk_read_per_second=1_500_000.0,
    disk_written_per_second=0.0,
    network_sent_per_second=2048.0,
    network_received_per_second=None,
    own_cpu_percent=103.0,
    own_resident=120 * 2**20,
    own_threads=14,
    own_open_files=33,
    load_average=(0.5, 0.7, 1.25),
)
PASSAGES = tuple(
    Passage(
        f"kettle.Kettle.{name}",
        ("kettle", "Kettle", name),
        f"def {name}(self, water: float = 1.0) -> Result | None\n\nThe first sentence about {name}.\n\n"
        "```python\nKettle().boil(0.5)\n```",
        10 * number + 3,
    )
    for number, name in enumerate(("fill", "boil", "pour", "clean"))
)
CONTENT = DocumentContent("kettle", "python", "kettle", "1.2.0", "/nowhere/kettle.py", PASSAGES)


def hit(ordinal: int, score: float, matched: Matched | None = None) -> Hit:
    """A hit on one of the passages."""
    passage = PASSAGES[ordinal]
    return Hit(
        id=f"doc1:{ordinal}",
        document_id="doc1",
        ordinal=ordinal,
        title=passage.title,
        text=passage.text,
        score=score,
        language="python",
        library="kettle",
        version="1.2.0",
        matched=matched or Matched(),
        document_title="kettle",
        source="/nowhere/kettle.py",
        line=passage.line,
        similarity=0.5,
        vector_rank=1,
        text_rank=2,
    )


def private_to(home: Path, user: str, teams: tuple[str, ...] = ()) -> PrivacySettings:
    """The shipped boundaries, and key files in a home of the test's own."""
    return PrivacySettings((defaults_folder() / PRIVACY_FILE,), home / "keys", user=user, teams=frozenset(teams))


class FakeSampler:
    def __init__(self) -> None:
        self.callbacks: list[Callable[[LoadSample], None]] = []

    def subscribe(self, callback: Callable[[LoadSample], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        callback(SAMPLE)
        return lambda: self.callbacks.remove(callback)

    def history(self) -> tuple[LoadSample, ...]:
        return (SAMPLE,)


@dataclass
class FakeHardware:
    profile: HardwareProfile = HardwareProfile(2, 8.0, False, 512.0, None)  # noqa: RUF009 - it is frozen
    limits: ResourceLimits = ResourceLimits(1, 512, 256, 1, 1, 256)  # noqa: RUF009 - it is frozen
    sampler: FakeSampler = field(default_factory=FakeSampler)


class FakeSettings:
    def __init__(self) -> None:
        self.values: dict[str, JSONValue] = {}

    def get(self, key: str) -> JSONValue:
        return self.values.get(key)

    def put(self, key: str, value: JSONValue) -> None:
        self.values[key] = value


class FakeWorkspace:
    """Answers every search with the passages whose text holds one of the query's words."""

    def __init__(self, *, empty: bool = False) -> None:
        self.bus = EventBus()
        self.root = Path("/workspace")
        self.hardware = FakeHardware()
        self.sync = FakeSync(self.bus)
        self.settings = FakeSettings()
        self.pool = WorkerPool(1)
        self.empty = empty
        self.asked: list[Query] = []
        self.calls: list[str] = []
        self.closed = False
        self.engine_elsewhere = ""
        self.added: list[Source] = []
        self.person = Actor(ActorKind.PERSON, "ada", "dashboard")
        self.teams: tuple[str, ...] = ()
        self._agentfs: AgentFS | None = None
        self._agentfs_lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def agentfs(self) -> AgentFS:
        """A real one, in a folder of its own that lasts as long as the workspace; its key files lie in it too."""
        with self._agentfs_lock:
            if self._agentfs is None:
                self._folder = tempfile.TemporaryDirectory(prefix="bailiwick-fake-")
                folder = Path(self._folder.name)
                privacy = private_to(folder / "home", self.person.id, self.teams)
                self._agentfs = AgentFS(folder / "workspace", acting=self.person, privacy=privacy)
                self._agentfs.guard.on_keys_changed = lambda locked: self.bus.publish(KeysChanged(locked))
            return self._agentfs

    @cached_property
    def conflicts(self) -> ConflictService:
        return ConflictService(self.agentfs, self.person.id)

    def lock_keys(self) -> None:
        self.agentfs.keys.lock()

    def unlock_keys(self, way: Way, given: Secret) -> None:
        unlock(self.agentfs.keys, way, given)

    def libraries(self) -> list[Library]:
        return [] if self.empty else [Library("python", "kettle", "1.2.0", 1, len(PASSAGES), 900)]

    def sources(self) -> list[Source]:
        first = [] if self.empty else [self._source("kettle==1.2.0", SourceKind.PACKAGE)]
        return [*first, *self.added]

    def problems(self) -> list[object]:
        return []

    def counts(self) -> IndexCounts:
        return IndexCounts(0, 0, 0) if self.empty else IndexCounts(1, len(PASSAGES), 0)

    def add_path(self, path: str) -> Source:
        if "missing" in path:
            raise NotFound(f"There is nothing at {path}.", "Check the path.")
        self.added.append(self._source(path, SourceKind.PATH))
        return self.added[-1]

    def add_package(self, requirement: str) -> Source:
        if "==" in requirement:
            raise InvalidInput("That version is not installed.", "1.2.0 is.")
        self.added.append(self._source(requirement, SourceKind.PACKAGE))
        return self.added[-1]

    def remove(self, target: str) -> None:
        self.calls.append(f"remove {target}")

    def cancel_work(self) -> None:
        self.calls.append("cancel")

    def resume_work(self) -> None:
        self.calls.append("resume")

    def search(self, query: Query) -> Answer:
        self.asked.append(query)
        words = query.text.lower().split()
        found = [number for number, each in enumerate(PASSAGES) if any(word in each.text.lower() for word in words)]
        asked = query.filters.version
        matched = Matched(version=(Match.EXACT if asked == "1.2.0" else Match.NEAREST) if asked else None)
        hits = tuple(hit(number, 1.0 - place / 10, matched) for place, number in enumerate(found))
        notes = ("kettle 9 is not here: version 1.2.0, the nearest, answered instead.",) if asked == "9" else ()
        path = "text" if query.mode is SearchMode.TEXT else "exact"
        return Answer(query.text, query.mode, hits, path, len(PASSAGES), 1.5, notes)

    def record_search(self, answer: Answer) -> None:
        self.calls.append(f"searched {answer.query}")

    def document(self, identifier: str, *, counted: bool = True) -> StoredDocument:
        self.calls.append(f"{'open' if counted else 'look'} {identifier}")
        item = Item(
            "doc1", "p", Kind.DOCUMENT, "ada", Level.PRIVATE, "0", None, False, 9, {}, MOMENT, MOMENT, 1, False, 1
        )
        return StoredDocument(item, CONTENT, None)

    def close(self) -> None:
        self.closed = True
        self.pool.close()
        with self._agentfs_lock:
            if self._agentfs is not None:
                self._agentfs.close()
            if self._folder is not None:
                self._folder.cleanup()

    @staticmethod
    def _source(name: str, kind: SourceKind) -> Source:
        source = Source(name, kind, name, name, "", "", "", MOMENT)
        return replace(source, name=Path(name).name)
