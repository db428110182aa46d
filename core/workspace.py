"""The composition root: opens one workspace, builds its parts, and hands them to every door."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.changes import TruthChange, TruthWatcher
from core.agentfs.engine_lock import EngineHolder
from core.agentfs.settings import REMOTE, SettingsStore
from core.cache.tiers import FOLDER as CACHE_FOLDER
from core.cache.tiers import MultiTierCache
from core.config import Settings, cache_folder
from core.engine import Duties, Engine
from core.engine_access import EngineAccess
from core.errors import BailiwickError, EngineHeld, NotFound
from core.events import (
    AgentsChanged,
    AuditGrew,
    ConflictsChanged,
    Event,
    EventBus,
    ItemsChanged,
    KeysChanged,
    MessagesChanged,
    SourcesChanged,
    SyncChanged,
)
from core.hardware.limits import calculate_optimal_limits
from core.hardware.load import LoadSampler
from core.hardware.pool import WorkerPool
from core.hardware.profile import detect_hardware_capabilities, measure_storage
from core.ids import sha256_hex
from core.library import catalogue
from core.library.arrived import find_arrived, remove_arrived
from core.library.catalogue import StoredDocument
from core.library.sources import READ_SOURCE, Origin, add_package, add_path, find_sources, remove_source
from core.model import Answer, HardwareProfile, IndexCounts, JSONObject, Library, Problem, ResourceLimits, Source
from core.opening import agent_policy, cache_bounds, note_configuration, privacy_of
from core.search.permitted import permitted_answer
from core.search.query import Query

if TYPE_CHECKING:
    from core.conflicts.claiming import Claiming
    from core.conflicts.service import ConflictService
    from core.conflicts.state_races import StateRaces
    from core.crypto.secret import Secret
    from core.crypto.unlocking import Way
    from core.serving.calls import EngineCalls
    from core.sync.service import SyncService

_log = logging.getLogger(__name__)
_STORAGE_SPEED = "hardware.storage_speed_mbps"


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine: what it is, what it allows, how loaded it is."""

    profile: HardwareProfile
    limits: ResourceLimits
    sampler: LoadSampler


@dataclass(frozen=True, slots=True)
class Removal:
    """What ``remove`` took away: ``sources`` of this device, and what came from others under the ``arrived`` names."""

    sources: tuple[Source, ...]
    documents: int
    arrived: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """What it was called, each once."""
        return list(dict.fromkeys((*(source.name for source in self.sources), *self.arrived)))


def _scrubbed(text: str) -> str:
    from core.privacy import scrub

    return scrub(text)


def _memory_left(profile: HardwareProfile) -> tuple[int, int]:
    # Imported here: it brings psutil, which nothing needs before the cache has grown.
    from core.hardware.memory import memory_left

    return memory_left(int(profile.available_memory_gb * 2**30))


class Workspace:
    """One workspace, open in this process. All methods are safe from any thread.

    With ``duties`` it becomes the engine. Otherwise it is a viewer: it reads and queues by itself, and what only the
    engine can do goes through that process' door, by the same methods; they raise Unreachable when no engine answers.
    """

    def __init__(
        self, root: Path, settings: Settings, *, role: str, duties: Duties | None, or_viewer: bool = False
    ) -> None:
        """Open the workspace at ``root``, creating it if need be.

        ``role`` is how this process is named to others ("the dashboard"). With ``or_viewer`` it is content to be a
        viewer when another process is the engine; one with ``Duties.ALL`` then hears the engine's events on its own
        bus and succeeds it when it ends. Raises WorkspaceUnusable when the folder cannot be used, EngineHeld when
        there are ``duties``, another process is the engine and that will not do.
        """
        self.root = root
        self.config = settings
        self.bus = EventBus(_scrubbed)
        profile = detect_hardware_capabilities()
        limits = calculate_optimal_limits(profile)
        self.person = Actor(ActorKind.PERSON, settings.user.id, "dashboard" if duties is Duties.ALL else "cli")
        self.agentfs = AgentFS(root, agent_policy(settings, limits), self.person, privacy_of(root, settings))
        self.hardware = Hardware(profile, limits, LoadSampler(root))
        self.cache = MultiTierCache(
            self.agentfs.database,
            root / CACHE_FOLDER,
            cache_bounds(settings, limits),
            memory=lambda: _memory_left(profile),
        )
        self.pool = WorkerPool(limits.worker_threads)
        self._watcher = TruthWatcher(self.agentfs, self._truth_changed)
        self.agentfs.guard.on_keys_changed = self._keys_changed

        def build() -> Engine:
            needed = duties or Duties.SEARCH
            return Engine(
                self.agentfs,
                self.bus,
                settings,
                limits,
                cache_folder(),
                role=role,
                duties=needed,
                sync=lambda: self.sync,
                upkeep=self._tidy,
            )

        self._sync: SyncService | None = None
        self._sync_lock = threading.Lock()
        self._access = EngineAccess(self.agentfs.engine_lock, self.bus, build)
        try:
            self._enter(duties, or_viewer=or_viewer)
        except BaseException:
            self.close()
            raise

    def _enter(self, duties: Duties | None, *, or_viewer: bool) -> None:
        lives_long = duties is Duties.ALL
        if lives_long:
            note_configuration(self.agentfs, self.config)
        if duties is not None:
            try:
                self._access.become()
            except EngineHeld:
                if not or_viewer:
                    raise
        if not self.is_engine:
            self._access.view(follow=lives_long)
        if lives_long or self.is_engine:
            self._watcher.start()

    @property
    def sync(self) -> SyncService:
        """What synchronises this workspace with its remote."""
        with self._sync_lock:
            if self._sync is None:
                # Imported here: a workspace without a remote does without it.
                from core.sync.service import SyncService

                self._sync = SyncService(self.agentfs, self.config, self.bus, self.person, self.cache)
            return self._sync

    def _tidy(self) -> None:
        self.cache.tidy()
        if self.agentfs.items.any_below("conflicts/"):
            # Imported here: mostly there is no conflict.
            from core.conflicts.ended_claims import settle_ended

            settle_ended(self.agentfs)

    @cached_property
    def claiming(self) -> Claiming:
        """Taking what other agents may hold, and what becomes of it."""
        from core.conflicts.arising import Arising
        from core.conflicts.claiming import Claiming

        return Claiming(self.agentfs, Arising(self.agentfs, self.config.conflicts))

    @cached_property
    def state_races(self) -> StateRaces:
        """Writing states so that what comes too late is kept."""
        from core.conflicts.arising import Arising
        from core.conflicts.state_races import StateRaces

        return StateRaces(self.agentfs, Arising(self.agentfs, self.config.conflicts))

    @cached_property
    def conflicts(self) -> ConflictService:
        """What two sides changed differently, and ruling on it."""
        # Imported here: most of what opens a workspace asks for none.
        from core.conflicts.service import ConflictService

        return ConflictService(self.agentfs, self.config.user.id)

    @property
    def settings(self) -> SettingsStore:
        """What the workspace remembers by itself."""
        return self.agentfs.settings

    @property
    def is_engine(self) -> bool:
        """Whether this process is the engine."""
        return self._access.engine is not None

    @property
    def engine_elsewhere(self) -> str:
        """Which other process is the engine, in few words, as far as known; empty when it is this one."""
        return self._access.elsewhere

    def engine_holder(self) -> EngineHolder | None:
        """Which process is the engine now, if one is."""
        return self.agentfs.engine_lock.holder() if self.agentfs.engine_lock.is_taken() else None

    def close(self) -> None:
        """Stop everything, each part with a bound."""
        self.hardware.sampler.close()
        self._watcher.stop()
        self._access.close()
        if self._sync is not None:
            self._sync.close()
        self.cache.close()
        self.pool.close()
        self.agentfs.close()

    def add_path(self, path: str, origin: Origin | None = None) -> Source:
        """Add a file or folder to be read and watched; see ``core.library.sources.add_path`` for what it raises.

        Raises ConfigurationError besides, when no boundaries are known by which what is read could be judged.
        """
        _ = self.agentfs.guard.rules
        source = add_path(self.agentfs, path, origin or Origin(), cwd=Path.cwd())
        self._tell_engine()
        return source

    def add_package(self, requirement: str, origin: Origin | None = None, *, python: str | None = None) -> Source:
        """Add an installed Python package; see ``core.library.sources.add_package`` for what it raises, and above."""
        _ = self.agentfs.guard.rules
        source = add_package(self.agentfs, requirement, origin or Origin(), python=python, cwd=Path.cwd())
        self._tell_engine()
        return source

    def remove(self, target: str) -> Removal:
        """Take away what was added as ``target``: a path, a library or ``LIBRARY@VERSION``; raises NotFound.

        What another device added goes too, on every device, by its library or its path among the items.
        """
        arrived = find_arrived(self.agentfs, target)
        try:
            sources = find_sources(self.agentfs, target, cwd=Path.cwd())
        except NotFound:
            if not arrived:
                raise
            sources = []
        documents = sum(remove_source(self.agentfs, source) for source in sources)
        documents += remove_arrived(self.agentfs, arrived, by=self.person)
        self._tell_engine()
        return Removal(tuple(sources), documents, tuple(each.name for each in arrived))

    def reading_error(self, source: Source) -> str:
        """Why the reading of ``source`` as a whole failed when it was last tried; empty where it did not."""
        return self.agentfs.queue.last_error(READ_SOURCE, {"source": source.id})

    def sources(self) -> list[Source]:
        """What was added."""
        return self.agentfs.sources.all()

    def problems(self) -> list[Problem]:
        """Files that could not be read."""
        return self.agentfs.sources.problems()

    def libraries(self) -> list[Library]:
        """What can be searched."""
        return catalogue.libraries(self.agentfs)

    def document(self, identifier: str, *, by: Actor | None = None, counted: bool = True) -> StoredDocument:
        """A document by its id, path, or the id of a hit; ``counted`` as an access.

        One that is known but was not fetched from the remote is fetched. ``by`` is who asks, without it the person.
        Raises NotFound, AccessDenied and Locked, and as ``SyncService.fetch``.
        """
        try:
            found = catalogue.find_document(self.agentfs, identifier, by=by or self.person)
        except NotFound:
            if not (self.settings.get(REMOTE) and (path := self.sync.elsewhere(identifier))):
                raise
            self.sync.fetch(path)
            found = catalogue.find_document(self.agentfs, identifier, by=by or self.person)
        if counted:
            self._count_access(found.item.id)
        return found

    def search(self, query: Query, *, by: Actor | None = None, wait_for_model: bool = False) -> Answer:
        """Answer ``query``; with ``wait_for_model`` by meaning too, however long the model takes to load.

        ``by`` is who asks, without it the person; an agent gets no hits that it may not read.
        """

        def ask(asked: Query) -> Answer:
            return self._access.call(lambda engine: engine.search(asked, wait_for_model=wait_for_model))

        asking = by or self.person
        return ask(query) if asking.kind is not ActorKind.AGENT else permitted_answer(self.agentfs, ask, query, asking)

    def record_search(self, answer: Answer, *, by: Actor | None = None) -> None:
        """Leave an audit record of a search that was run, as opposed to one of a text still being typed."""
        told: JSONObject = {"mode": answer.mode.value, "path": answer.path, "hits": len(answer.hits)}
        self.agentfs.audit.record(by or self.person, "search.run", sha256_hex(answer.query.encode()), told)

    def counts(self) -> IndexCounts:
        """What the index holds."""
        return self._access.call(lambda engine: engine.counts())

    def model_state(self) -> str:
        """Why there are no vectors now; empty when the model is ready."""
        return self._access.call(lambda engine: engine.model_state())

    def rebuilt(self) -> str:
        """Why the engine built the index anew when it opened it; empty when it did not."""
        return self._access.call(lambda engine: engine.rebuilt())

    def cancel_work(self) -> None:
        """Give up reading and embedding; what is in stays in."""
        self._access.call(lambda engine: engine.cancel_work())

    def resume_work(self) -> None:
        """Read and embed the rest after ``cancel_work``."""
        self._access.call(lambda engine: engine.resume_work())

    def wait_until_idle(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything asked for is read, indexed and embedded; false when ``should_stop`` said so first."""
        return self._wait(lambda: self._access.call(lambda engine: engine.idle()), should_stop)

    def wait_until_searchable(self, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until all that was read so far is in the index; false when ``should_stop`` said so first."""
        return self._wait(lambda: self._access.call(lambda engine: engine.searchable()), should_stop)

    def lock_keys(self) -> None:
        """Forget the keys here, and in the engine where that is another process, until somebody unlocks them."""
        self.agentfs.keys.lock()
        self._tell_engine_elsewhere(lambda engine: engine.lock_keys())

    def unlock_keys(self, way: Way, given: Secret) -> None:
        """Unlock the keys here, and in the engine where that is another process.

        Raises as ``core.crypto.unlocking.unlock``.
        """
        from core.crypto.unlocking import unlock

        unlock(self.agentfs.keys, way, given)
        self._tell_engine_elsewhere(lambda engine: engine.unlock_keys(way.value, given.text()))

    def _tell_engine_elsewhere(self, call: Callable[[EngineCalls], None]) -> None:
        if not self.is_engine and self.agentfs.engine_lock.is_taken():
            self._access.call(call)

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
        """Have a change of the sources taken up at once; an engine elsewhere notices the commit by itself."""
        if (engine := self._access.engine) is not None:
            engine.sources_changed()

    def _truth_changed(self, change: TruthChange) -> None:
        if change.items:
            self.bus.publish(ItemsChanged(change.position))
        if change.sources:
            self.bus.publish(SourcesChanged())
        if change.agents:
            self.bus.publish(AgentsChanged())
        if change.messages:
            self.bus.publish(MessagesChanged(self.agentfs.messages.count()))
        if change.conflicts:
            self.bus.publish(ConflictsChanged())
        if change.sync:
            self.bus.publish(SyncChanged())
        if change.records:
            self.bus.publish(AuditGrew(change.audited))
        if (engine := self._access.engine) is not None:
            engine.truth_changed(change)

    def _keys_changed(self, locked: bool) -> None:
        if (engine := self._access.engine) is not None:
            if locked:
                engine.keys_locked()
            else:
                engine.keys_unlocked()
        self.bus.publish(KeysChanged(locked))

    def _count_access(self, item_id: str) -> None:
        try:
            if self.is_engine or self.agentfs.engine_lock.is_taken():
                self._access.call(lambda engine: engine.record_access(item_id))
        except BailiwickError:
            # That a document was opened is worth noting, but not worth failing to show it.
            _log.debug("an access was not counted", exc_info=True)
