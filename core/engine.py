"""The engine of a workspace: the one process that owns the index, the watcher and the workers."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from core.agentfs.agentfs import AgentFS
from core.agentfs.changes import TruthChange
from core.agentfs.database import now
from core.agentfs.housekeeping import Housekeeper
from core.agentfs.settings import REMOTE
from core.config import Settings
from core.errors import BailiwickError, InvalidInput
from core.events import EventBus, LibrariesChanged, Notice, SourcesChanged
from core.intake.worker import IntakeWorker
from core.library.sources import HELD_BACK, READ_SOURCE
from core.model import Answer, IndexCounts, Kind, ResourceLimits, SearchMode, Source, SourceKind

if TYPE_CHECKING:
    from core.search.query import Query
    from core.services import Services
    from core.sync.service import SyncService
    from core.sync.worker import SyncWorker


_log = logging.getLogger(__name__)
FIRST_SYNC_SECONDS = 1.0
"""After the engine began: the dashboard's first content comes before all that synchronising loads."""


class Duties(Enum):
    """What an engine does while it runs: the dashboard everything, a command its own work, a search only answers."""

    ALL = "all"
    WORK = "work"
    SEARCH = "search"


class Engine:
    """Holds ``engine.lock`` from construction to ``close``. All methods are safe from any thread.

    The index and its libraries are loaded when there is first something to index, so an empty workspace stays light.
    """

    def __init__(
        self,
        agentfs: AgentFS,
        bus: EventBus,
        settings: Settings,
        limits: ResourceLimits,
        cache: Path,
        *,
        role: str,
        duties: Duties,
        sync: Callable[[], SyncService] | None = None,
        upkeep: Callable[[], None] = lambda: None,
    ) -> None:
        """``sync`` gives what synchronises, once there is a remote; ``upkeep`` is called about once a second.

        Raises EngineHeld when another is the engine.
        """
        agentfs.engine_lock.acquire(role, works=duties is not Duties.SEARCH)
        self._agentfs = agentfs
        self._bus = bus
        self._settings = settings
        self._limits = limits
        self._cache = cache
        self._duties = duties
        self._lock = threading.Lock()
        self._services: Services | None = None
        self._closed = False
        self._sync = sync
        self._sync_worker: SyncWorker | None = None
        self._sync_from = time.monotonic() + FIRST_SYNC_SECONDS
        self._sync_start: threading.Timer | None = None
        self._accesses: Counter[str] = Counter()
        self._refusals: dict[str, float] = {}
        self._housekeeper = Housekeeper(agentfs, bus, settings.audit.retention_days, upkeep)
        self._intake = IntakeWorker(agentfs, bus, settings.conflicts)

    def start(self) -> None:
        """Take up the duties: what is queued, and every watched folder looked at again."""
        if self._duties is Duties.ALL:
            self._housekeeper.start()
            self._intake.start()
            self._queue_sources([each for each in self._agentfs.sources.all() if each.kind is SourceKind.PATH])
        if self._has_work():
            self._running()

    def _queue_sources(self, sources: Sequence[Source]) -> None:
        with self._agentfs.database.transaction() as connection:
            for source in sources:
                self._agentfs.queue.enqueue(connection, READ_SOURCE, {"source": source.id})

    def close(self) -> None:
        """Stop every thread with a bound and give the lock back; unfinished work stays queued."""
        self._intake.stop()
        self._housekeeper.stop()
        with self._lock:
            worker, self._sync_worker, self._sync = self._sync_worker, None, None
            if self._sync_start is not None:
                self._sync_start.cancel()
        if worker is not None:
            worker.stop()
        with self._lock:
            self._closed = True
            services, self._services = self._services, None
        if services is not None:
            services.stop()
            self._flush_usage(services)
            services.close()
        self._agentfs.engine_lock.release()

    def sources_changed(self) -> None:
        """A source was added or removed, or work was queued."""
        if self._has_work():
            services = self._running()
            services.watcher.sources_changed()
            services.ingester.wake()
            services.updater.wake()
        self._bus.publish(SourcesChanged())

    def truth_changed(self, change: TruthChange) -> None:
        """Something was committed, perhaps by another process: take up what concerns the engine."""
        self._synchronise(change)
        if self._has_work():
            services = self._running()
            if change.sources:
                services.watcher.sources_changed()
            if change.items:
                services.updater.wake()
            services.ingester.wake()

    def _synchronise(self, change: TruthChange) -> None:
        """Have the sync worker hear of a change; there is one once there is a remote."""
        if (worker := self._sync_worker) is not None:
            if change.items:
                worker.items_changed()
            else:
                worker.look_again()
        elif self._duties is Duties.ALL and self._sync_start is None and self._agentfs.settings.get(REMOTE):
            self._sync_start = threading.Timer(max(0.0, self._sync_from - time.monotonic()), self._begin_to_synchronise)
            self._sync_start.daemon = True
            self._sync_start.start()

    def _begin_to_synchronise(self) -> None:
        # Imported here: a workspace without a remote does without all that synchronising brings along.
        from core.sync.worker import SyncWorker

        with self._lock:
            if self._sync is not None:
                self._sync_worker = SyncWorker(self._sync(), self._settings.sync, self._bus)
                self._sync_worker.start()

    def search(self, query: Query, *, wait_for_model: bool = False) -> Answer:
        """Answer ``query``; with ``wait_for_model`` the model is loaded first, else words answer while it loads."""
        if not self._has_work():
            return Answer(query.text, query.mode, (), "none", 0, 0.0, ("Nothing has been added yet.",))
        services = self._running()
        if query.mode is not SearchMode.TEXT:
            if wait_for_model:
                services.embedding.load_model()
            else:
                services.embedding.want_model()
        return services.search.search(query)

    def keys_locked(self) -> None:
        """The keys were locked: close what is sealed and forget its words; who reads it has ten seconds to end."""
        if (services := self._services) is not None:
            services.sealed.close()
            self._bus.publish(LibrariesChanged())

    def keys_unlocked(self) -> None:
        """The keys were unlocked, or are others: open what is sealed, and catch up with it."""
        self._housekeeper.look_again()
        if held := self._agentfs.sources.with_problem(HELD_BACK):
            self._queue_sources(held)
        if (services := self._services) is not None:
            services.sealed.retry()
            services.updater.keys_changed()
            services.ingester.wake()

    def counts(self) -> IndexCounts:
        """What the index holds; zeros while it is not open."""
        services = self._services
        if services is None:
            return IndexCounts(0, 0, 0)
        return services.corpus.counts()

    def record_access(self, document_id: str) -> None:
        """A document was opened; written in batches."""
        with self._lock:
            self._accesses[document_id] += 1

    def cancel_work(self) -> None:
        """Give up reading and embedding; what is in stays in and is found by words at least."""
        if self._services is not None:
            self._services.ingester.cancel()
            self._services.embedding.pause()

    def resume_work(self) -> None:
        """Read and embed the rest after ``cancel_work``; what is unchanged since costs only a look."""
        if self._services is not None:
            self._queue_sources(self._agentfs.sources.all())
            self._services.embedding.resume()
            self._services.ingester.wake()

    @property
    def paused(self) -> bool:
        """Whether embedding was cancelled and not resumed."""
        return self._services is not None and self._services.embedding.paused

    def model_state(self) -> str:
        """Why there are no vectors now; empty when the model is ready."""
        return self._services.embedding.model_state if self._services is not None else "no model is loaded yet."

    def idle(self) -> bool:
        """Whether everything asked for has been read, indexed and, as far as a model allows, embedded."""
        services = self._services
        if services is None:
            return not self._has_work()
        return services.ingester.idle and services.updater.level and services.embedding.idle

    def searchable(self) -> bool:
        """Whether all that was read so far can be found, by words at least."""
        return self._services.updater.level if self._services is not None else not self._has_work()

    def door_refused(self, peer: str, rule: str, reason: str) -> None:
        """Somebody was turned away at the door: leave a record, once a second at most for the same rule."""
        moment = time.monotonic()
        with self._lock:
            if moment - self._refusals.get(rule, -1.0) < 1.0:
                return
            self._refusals[rule] = moment
        try:
            self._agentfs.permissions.refuse_peer(peer, rule, reason)
        except BailiwickError:
            _log.warning("a refusal at the door could not be recorded", exc_info=True)

    def lock_keys(self) -> None:
        """Forget the workspace's keys in this process until a person unlocks them."""
        self._agentfs.keys.lock()

    def unlock_keys(self, way: str, given: str) -> None:
        """Unlock the keys in this process; raises as ``core.crypto.unlocking.unlock``, and InvalidInput for no way."""
        from core.crypto.secret import Secret
        from core.crypto.unlocking import Way, unlock

        try:
            known = Way(way)
        except ValueError:
            raise InvalidInput("The keys are not unlocked in that way.", f"Known: {', '.join(Way)}.") from None
        unlock(self._agentfs.keys, known, Secret(given))

    def rebuilt(self) -> str:
        """Why the index was built anew when it was opened; empty when it was not."""
        return self._services.index.rebuilt_reason if self._services is not None else ""

    def _has_work(self) -> bool:
        return bool(
            self._services is not None
            or self._agentfs.queue.waiting()
            or self._agentfs.sources.all()
            or self._agentfs.items.count(Kind.DOCUMENT)
        )

    def _running(self) -> Services:
        with self._lock:
            if self._closed:
                raise BailiwickError("The workspace is closed.")
            if self._services is None:
                # Imported here: it brings DuckDB, tantivy and numpy, and an empty workspace does without them.
                from core.services import Services

                self._services = Services(
                    self._agentfs, self._bus, self._settings, self._limits, self._cache, self._flush_usage
                )
                self._services.start(work=self._duties is not Duties.SEARCH, watch=self._duties is Duties.ALL)
                if reason := self._services.index.rebuilt_reason:
                    self._bus.publish(Notice(f"The index is being rebuilt: {reason}", "warning"))
            return self._services

    def _flush_usage(self, services: Services) -> None:
        with self._lock:
            counts, self._accesses = self._accesses, Counter()
        if counts:
            self._agentfs.items.record_usage(counts, now())
            services.corpus.record_access(self._agentfs.items.usage(counts))
