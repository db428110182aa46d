"""Threads that live as long as the engine go on after anything that goes wrong in them, and say what it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import PATIENCE_SECONDS, until, without_model

from core.agent_model import Actor, ActorKind, Admission
from core.agentfs.agentfs import AgentFS
from core.agentfs.changes import ChangeWatcher
from core.agentfs.housekeeping import Housekeeper
from core.agentfs.policy import AgentPolicy
from core.errors import ModelUnavailable
from core.events import Event, EventBus, Notice
from core.hardware.limits import calculate_optimal_limits
from core.hardware.profile import detect_hardware_capabilities
from core.index.corpus import Corpus
from core.index.documents import DocumentIndex
from core.index.embedder import Embedder
from core.index.embedding_worker import EmbeddingWorker
from core.index.model_files import ModelFiles
from core.index.partition import Partition
from core.index.vector_cache import VectorCache
from core.index.words import WordsIndex
from core.library.sources import Origin, add_path
from core.library.watch import FolderWatcher
from core.services import Services

ADA = Actor(ActorKind.PERSON, "ada", "cli")


class Breaking:
    """Breaks when it is first called; ``called`` is set when it is called again."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = threading.Event()

    def __call__(self, *_: object) -> bool:
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError
        self.called.set()
        return False


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    opened = AgentFS(tmp_path / "w", AgentPolicy(max_agents=1))
    yield opened
    opened.close()


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def bus(notices: list[str]) -> EventBus:
    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    made = EventBus()
    made.subscribe(hear)
    return made


def told(notices: list[str], beginning: str) -> None:
    assert notices == [f"{beginning}: something broke (ZeroDivisionError); the log tells."]


def test_the_index_follows_on(agentfs: AgentFS, bus: EventBus, notices: list[str], tmp_path: Path) -> None:
    breaking = Breaking()
    limits = calculate_optimal_limits(detect_hardware_capabilities())
    services = Services(agentfs, bus, without_model(tmp_path), limits, tmp_path / "cache", breaking)
    services.start(work=True, watch=False)
    try:
        until(lambda: breaking.calls > 0, "the first round")
        (tmp_path / "note.md").write_text("A kettle.")
        add_path(agentfs, str(tmp_path / "note.md"), Origin(), cwd=tmp_path)
        services.ingester.wake()
        until(lambda: services.corpus.counts().documents == 1, "the document in the index")
        told(notices, "The index is behind")
    finally:
        services.stop()
        services.close()


def test_embedding_goes_on(bus: EventBus, notices: list[str], tmp_path: Path) -> None:
    def find_model() -> ModelFiles:
        raise ModelUnavailable("There is none.")

    breaking = Breaking()
    index, words = DocumentIndex(tmp_path / "d.duckdb", threads=1, memory_mb=128), WordsIndex(None)
    cache = VectorCache(tmp_path / "vectors.db")
    worker = EmbeddingWorker(bus, Corpus(Partition(index, words)), Embedder(find_model, 1), cache, breaking)
    worker.start()
    until(lambda: breaking.calls > 0, "the first round")
    worker.wake()
    assert breaking.called.wait(PATIENCE_SECONDS)
    told(notices, "Embedding stopped")
    worker.stop()
    for each in (words, index, cache):
        each.close()


def test_saves_are_noticed_on(agentfs: AgentFS, bus: EventBus, notices: list[str], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    add_path(agentfs, str(tmp_path / "docs"), Origin(), cwd=tmp_path)
    breaking = Breaking()
    watcher = FolderWatcher(agentfs, bus, breaking)
    watcher.start()
    assert breaking.called.wait(PATIENCE_SECONDS)
    told(notices, "Saved files are not noticed")
    watcher.stop()


def test_housekeeping_goes_on(agentfs: AgentFS, bus: EventBus, notices: list[str]) -> None:
    first = agentfs.agents.register("first", "poc", owner="ada", by=ADA).agent
    second = agentfs.agents.register("second", "poc", owner="ada", by=ADA).agent
    breaking = Breaking()
    agentfs.agents.places.on_admitted = breaking
    with agentfs.database.transaction() as connection:
        connection.execute("UPDATE agents SET last_activity = ? WHERE id = ?", ("2001-01-01T00:00:00+00:00", first.id))
    housekeeper = Housekeeper(agentfs, bus, 0)
    housekeeper.start()
    assert breaking.called.wait(PATIENCE_SECONDS)
    housekeeper.stop()
    assert agentfs.agents.get(second.id).admission is Admission.ADMITTED
    told(notices, "Housekeeping was put off")


def test_commits_are_noticed_on(agentfs: AgentFS) -> None:
    breaking = Breaking()
    watcher = ChangeWatcher(agentfs.database, breaking)
    watcher.start()
    until(lambda: breaking.calls > 0, "the first look")
    agentfs.settings.put("a", 1)
    assert breaking.called.wait(PATIENCE_SECONDS)
    watcher.stop()
