"""The composition root: opens one workspace, builds its parts, and hands them to every door."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.engine_lock import EngineHolder
from core.agentfs.policy import AgentPolicy
from core.agentfs.settings import SettingsStore
from core.config import Settings, cache_folder
from core.engine import Duties, Engine
from core.errors import EngineHeld
from core.events import Event, EventBus
from core.hardware.limits import calculate_optimal_limits
from core.hardware.load import LoadSampler
from core.hardware.pool import WorkerPool
from core.hardware.profile import detect_hardware_capabilities, measure_storage
from core.library import catalogue
from core.library.catalogue import StoredDocument
from core.library.sources import Origin, add_package, add_path, find_sources, remove_source
from core.model import Answer, HardwareProfile, IndexCounts, Library, Problem, ResourceLimits, Source
from core.search.query import Query

_STORAGE_SPEED = "hardware.storage_speed_mbps"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine: what it is, what it allows, how loaded it is."""

    profile: HardwareProfile
    limits: ResourceLimits
    sampler: LoadSampler


@dataclass(frozen=True, slots=True)
class Removal:
    """What ``remove`` took away."""

    sources: tuple[Source, ...]
    documents: int


class Workspace:
    """One workspace, open in this process. All methods are safe from any thread.

    With ``duties`` it becomes the engine; without, it reads and queues, and another process does the work.
    """

    def __init__(self, root: Path, settings: Settings, *, role: str, duties: Duties | None) -> None:
        """Open the workspace at ``root``, creating it if need be.

        ``role`` is how this process is named to others ("the dashboard"). Raises WorkspaceUnusable when the folder
        cannot be used, EngineHeld when there are ``duties`` and another process is the engine.
        """
        self.root = root
        self.config = settings
        self.bus = EventBus()
        profile = detect_hardware_capabilities()
        limits = calculate_optimal_limits(profile)
        self.agentfs = AgentFS(root, _policy(settings, limits))
        self.person = Actor(ActorKind.PERSON, settings.user.id, "dashboard" if duties is Duties.ALL else "cli")
        self.hardware = Hardware(profile, limits, LoadSampler(root))
        self.pool = WorkerPool(limits.worker_threads)
        self._engine: Engine | None = None
        if duties is not None:
            try:
                self._engine = Engine(
                    self.agentfs, self.bus, settings, limits, cache_folder(), role=role, duties=duties
                )
                self._engine.start()
            except BaseException:
                self.close()
                raise

    @property
    def settings(self) -> SettingsStore:
        """What the workspace remembers by itself."""
        return self.agentfs.settings

    @property
    def is_engine(self) -> bool:
        """Whether this process is the engine."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine in this process; raises EngineHeld when it is another's."""
        if self._engine is None:
            raise EngineHeld(
                f"This workspace is in use by {self.engine_holder() or 'another Bailiwick'}.",
                "Close that one first, or name another workspace with --workspace.",
            )
        return self._engine

    def engine_holder(self) -> EngineHolder | None:
        """Which process is the engine now, if one is."""
        return self.agentfs.engine_lock.holder() if self.agentfs.engine_lock.is_taken() else None

    def close(self) -> None:
        """Stop everything, each part with a bound."""
        self.hardware.sampler.close()
        if self._engine is not None:
            self._engine.close()
        self.pool.close()
        self.agentfs.close()

    def add_path(self, path: str, origin: Origin | None = None) -> Source:
        """Add a file or folder to be read and watched; see ``core.library.sources.add_path`` for what it raises."""
        source = add_path(self.agentfs, path, origin or Origin(), cwd=Path.cwd())
        self._tell_engine()
        return source

    def add_package(self, requirement: str, origin: Origin | None = None, *, python: str | None = None) -> Source:
        """Add an installed Python package; see ``core.library.sources.add_package`` for what it raises."""
        source = add_package(self.agentfs, requirement, origin or Origin(), python=python, cwd=Path.cwd())
        self._tell_engine()
        return source

    def remove(self, target: str) -> Removal:
        """Take away what was added as ``target``: a path, a library or ``LIBRARY@VERSION``; raises NotFound."""
        sources = find_sources(self.agentfs, target, cwd=Path.cwd())
        documents = sum(remove_source(self.agentfs, source) for source in sources)
        self._tell_engine()
        return Removal(tuple(sources), documents)

    def sources(self) -> list[Source]:
        """What was added."""
        return self.agentfs.sources.all()

    def problems(self) -> list[Problem]:
        """Files that could not be read."""
        return self.agentfs.sources.problems()

    def libraries(self) -> list[Library]:
        """What can be searched."""
        return catalogue.libraries(self.agentfs)

    def document(self, identifier: str, *, counted: bool = True) -> StoredDocument:
        """A document by its id, path, or the id of a hit; ``counted`` as an access. Raises NotFound."""
        found = catalogue.find_document(self.agentfs, identifier)
        if counted and self._engine is not None:
            self._engine.record_access(found.item.id)
        return found

    def search(self, query: Query, *, wait_for_model: bool = False) -> Answer:
        """Answer ``query``; raises EngineHeld when another process is the engine."""
        return self.engine.search(query, wait_for_model=wait_for_model)

    def counts(self) -> IndexCounts:
        """What the index holds."""
        return self.engine.counts()

    def cancel_work(self) -> None:
        """Give up reading and embedding; what is in stays in."""
        self.engine.cancel_work()

    def resume_work(self) -> None:
        """Read and embed the rest after ``cancel_work``."""
        self.engine.resume_work()

    def wait_until_idle(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything asked for is read, indexed and embedded; false when ``should_stop`` said so first."""
        return self._wait(self.engine.idle, should_stop)

    def wait_until_searchable(self) -> None:
        """Wait until all that was read so far is in the index."""
        self._wait(self.engine.searchable, lambda: False)

    def measure_hardware(self) -> HardwareProfile:
        """The profile with the storage speed, measured once (a second or so) and remembered."""
        known = self.settings.get(_STORAGE_SPEED)
        profile = self.hardware.profile
        if isinstance(known, int | float):
            return replace(profile, storage_speed_mbps=float(known))
        measured = measure_storage(profile, self.root)
        if measured.storage_speed_mbps is not None:
            self.settings.put(_STORAGE_SPEED, measured.storage_speed_mbps)
        return measured

    def _wait(self, reached: Callable[[], bool], should_stop: Callable[[], bool]) -> bool:
        changed = threading.Event()

        def heard(_: Event) -> None:
            changed.set()

        unsubscribe = self.bus.subscribe(heard)
        try:
            while not reached():
                if should_stop():
                    return False
                # Not every step towards the goal is an event, so look again now and then.
                changed.wait(0.1)
                changed.clear()
        finally:
            unsubscribe()
        return True

    def _tell_engine(self) -> None:
        if self._engine is not None:
            self._engine.sources_changed()


def _policy(settings: Settings, limits: ResourceLimits) -> AgentPolicy:
    chosen = settings.agents
    return AgentPolicy(
        max_agents=chosen.max_concurrent or limits.max_concurrent_agents,
        idle_seconds=chosen.idle_seconds,
        value_bytes=chosen.value_kb * 1024,
        state_bytes=chosen.state_mb * 1024 * 1024,
    )
