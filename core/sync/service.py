"""Synchronising as every door uses it: one object of a workspace, in any process, with or without an engine."""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_text
from core.cache.cached_store import CachedStore, beneath
from core.cache.tiers import MultiTierCache
from core.config import Settings
from core.conflicts.records import ConflictStore
from core.errors import BailiwickError, InvalidInput, NotFound, RemoteUnreachable
from core.events import EventBus, SyncChanged
from core.model import JSONValue
from core.sync.area_sync import AreaResult, AreaSync, AsksFirst
from core.sync.history import SyncHistory, activity_of, transfers_of
from core.sync.moving import SyncCancelled, Watch
from core.sync.network import NetworkMonitor
from core.sync.planning import planned, queued
from core.sync.prices import cost_of
from core.sync.pulling import FetchPolicy
from core.sync.strategy import determine_strategy, pace_of, volume_of
from core.sync.sync_lock import only_sync
from core.sync.tables import SyncTables
from core.sync_model import (
    Area,
    AreaKind,
    AreaStatus,
    DeviceStatus,
    NetworkQuality,
    Operations,
    PlannedChange,
    RemoteStatus,
    Repair,
    Spending,
    StrategyChoice,
    SyncActivity,
    SyncPlan,
    SyncRun,
    SyncStatus,
    SyncStrategy,
    Transfer,
    UserTier,
    Verification,
)

if TYPE_CHECKING:
    from core.crypto.secret import Secret
    from core.remote.probe import ProbeReport
    from core.remote.store import ObjectStore
    from core.sync.approval import JoinRequest
    from core.sync.garbage import Collected
    from core.sync.joining import Founded, Joined, JoinWay
    from core.sync.publishing import PulledLibrary, Pushed, RemoteLibrary
    from core.sync.verify import VerifyProgress

REMOTE = "sync.remote"
_PAUSED, _FORCED, _ASKS, _PROBLEM = "sync.paused", "sync.forced", "sync.asks", "sync.problem"
TELL_SECONDS = 0.2
WAIT_SECONDS = 30.0
_OLD_SECONDS = 20.0
_UNCOUNTED = 50
POLL = "poll"
"""Why the worker looks at the remote where nothing changed here."""


class SyncService:
    """Safe from any thread; of several syncs at once, in whatever processes, one runs and the others wait."""

    def __init__(
        self,
        agentfs: AgentFS,
        settings: Settings,
        bus: EventBus,
        person: Actor,
        cache: MultiTierCache | None = None,
    ) -> None:
        """What was read of the remote before is read from ``cache``."""
        self._agentfs = agentfs
        self._settings = settings
        self._bus = bus
        self._person = person
        self._cache = cache
        self._tables = SyncTables(agentfs.database)
        self._history = SyncHistory(agentfs.database)
        self._store: ObjectStore | None = None
        self._store_url = ""
        self._lock = threading.RLock()
        self._areas: dict[str, AreaSync] = {}
        self._transfers: dict[str, Transfer] = {}
        self._told_at = 0.0
        self._is_told = False
        self._uncounted = Operations()
        self._stop = threading.Event()
        self._watch = Watch(self._moved, self._stop.is_set)
        self._network: NetworkMonitor | None = None
        self.next_at: datetime | None = None
        """When the worker of this process looks next; it sets this."""

    # Looking

    @property
    def is_set(self) -> bool:
        """Whether this workspace has a remote."""
        return bool(self._agentfs.settings.get(REMOTE))

    def status(self) -> SyncStatus:
        """Everything at a glance, read from the workspace alone: no request is made, and no file of the remote read."""
        remote = self._remote()
        if not remote.url:
            return SyncStatus(SyncActivity.NO_REMOTE, remote)
        told = self._history.told()
        samples = self._history.samples()
        choice = self.choice()
        asks = str(self._agentfs.settings.get(_ASKS) or "")
        problem = self._agentfs.settings.get(_PROBLEM)
        text, cure = (str(problem[0]), str(problem[1])) if isinstance(problem, list) and len(problem) == 2 else ("", "")
        activity = self._activity(told, asks, text, samples[-1].quality if samples else None)
        return SyncStatus(
            activity,
            remote,
            choice,
            tuple(self._area_status(area) for area in self._tables.areas()),
            transfers_of(told) if activity is SyncActivity.SYNCING else (),
            tuple(self._devices()),
            samples,
            self._history.runs(),
            self.spending(),
            from_text(told["next_at"]) if told.get("next_at") and activity is SyncActivity.IDLE else None,
            ConflictStore(self._agentfs).count_open(),
            text,
            cure,
            asks,
        )

    def queue(self, limit: int) -> tuple[PlannedChange, ...]:
        """What waits to go up, and what is known but was not fetched; at most ``limit`` of each."""
        return queued(self._agentfs, self._tables, limit)

    def choice(self) -> StrategyChoice:
        """The strategy now, with its reason; a change is remembered, recorded and told."""
        forced = self._forced()
        samples = self._history.samples(1)
        network = samples[-1].quality if samples else NetworkQuality.GOOD
        waiting = sum(
            self._tables.pending_counts(area.id)[1] + self._tables.missing_counts(area.id)[1]
            for area in self._tables.areas()
        )
        tier, volume = UserTier(self._settings.user.tier), volume_of(waiting, self._settings.sync)
        row = determine_strategy(tier, network, volume)
        strategy, reason = (forced, "You chose it.") if forced is not None else (row.strategy, row.reason)
        before = next(iter(self._history.choices(1)), None)
        if before is not None and (before.strategy, before.reason) == (strategy, reason):
            return replace(before, tier=tier, network=network, volume=volume)
        choice = StrategyChoice(strategy, reason, tier, network, volume, now(), forced is not None)
        self._history.add_choice(choice)
        self._agentfs.audit.record(
            self._person, "sync.strategy", "strategy", {"strategy": strategy.value, "reason": reason}
        )
        self._bus.publish(SyncChanged())
        return choice

    def spending(self) -> Spending:
        """What this month cost so far, and may cost."""
        used = self._history.used() + self._uncounted
        cost, budget = cost_of(used, self._remote().kind), self._settings.sync.budget_cents / 100
        return Spending(now().strftime("%Y-%m"), used, cost, budget, budget > 0 and cost >= budget)

    # Steering

    def pause(self) -> None:
        """Nothing is synchronised by itself until ``resume``, over restarts too; what moves now ends where it is."""
        self._agentfs.settings.put(_PAUSED, True)
        self._stop.set()
        self._changed()

    def resume(self) -> None:
        """End the pause."""
        self._agentfs.settings.put(_PAUSED, False)
        self._changed()

    @property
    def paused(self) -> bool:
        """Whether a person paused synchronising."""
        return self._agentfs.settings.get(_PAUSED) is True

    def choose(self, strategy: SyncStrategy | None) -> None:
        """Use ``strategy`` whatever the table says, or again what it says."""
        self._agentfs.settings.put(_FORCED, strategy.value if strategy is not None else "")
        self.choice()
        self._changed()

    def answer(self, yes: bool) -> None:
        """Answer the question of a safety brake; with yes the sync that asked is done, with no it stays undone."""
        if yes:
            self.sync_now("you said so", approved=True)
        else:
            self._agentfs.settings.put(_ASKS, "")
            self.pause()

    def cancel(self) -> None:
        """Have the sync that runs in this process end where it is."""
        self._stop.set()

    # Moving

    def plan(self) -> SyncPlan:
        """What a sync would do and cost. Reads the log and changes nothing; raises as ``sync_now``."""
        with self._using() as store:
            return planned(self._area_syncs(store), self._remote().kind, self.policy())

    def policy(self) -> FetchPolicy:
        """What content comes by itself under the strategy now."""
        small = self._settings.sync.small_kb * 1000
        return FetchPolicy(small if pace_of(self.choice().strategy, self._settings.sync).small_only else None)

    def sync_now(self, why: str, *, approved: bool = False, everything: bool = False) -> SyncRun:
        """Bring every area level now; with ``everything`` large files come too, whatever the strategy.

        What fails is in the answer and in ``status``, with its cure; what was done until then holds. Raises NotFound
        when there is no remote, Unreachable while another process goes on with a sync, and InvalidInput when the
        month's budget is used up.
        """
        self._require_budget()
        self._stop.clear()
        with self._using() as store:
            started, at, before = now(), time.monotonic(), store.meter.total()
            choice, total = self.choice(), AreaResult()
            problem = cure = ""
            if why != POLL:
                self._tell(SyncActivity.SYNCING, force=True)
            policy = FetchPolicy() if everything else self.policy()
            try:
                for area in self._area_syncs(store):
                    self._run_area(area, policy, total, approved=approved)
                self._settled("", "")
                problem = total.problems[0] if total.problems else ""
            except AsksFirst as asks:
                problem, cure = asks.message, asks.hint
                self._agentfs.settings.put(_ASKS, asks.message)
            except SyncCancelled as stopped:
                problem, cure = stopped.message, stopped.hint
            except BailiwickError as error:
                problem, cure = error.message, error.hint
                self._settled(problem, cure)
            finally:
                self._transfers.clear()
                self._note_network()
            used = store.meter.total() - before
            run = SyncRun(
                started,
                time.monotonic() - at,
                why,
                choice.strategy,
                total.sent,
                total.received,
                total.conflicts,
                used,
                cost_of(used, self._remote().kind),
                problem,
                cure,
            )
            if problem or total.sent or total.received or why != POLL:
                self._history.add_run(run)
            else:
                # A look that found nothing is written down with the next ones, for it may be one of thousands a day.
                self._uncounted += used
            if self._uncounted.class_a + self._uncounted.class_b >= _UNCOUNTED:
                self._flush()
            if self._is_told:
                self._tell(SyncActivity.IDLE, force=True)
            return run

    def _flush(self) -> None:
        uncounted, self._uncounted = self._uncounted, Operations()
        if uncounted != Operations():
            self._history.count(uncounted)

    def fetch(self, path: str) -> None:
        """Get one item that is known but not here. Raises NotFound, and as ``sync_now``."""
        self._require_budget()
        with self._using() as store:
            before = store.meter.total()
            for area in self._area_syncs(store):
                if self._tables.base(area.area.id, path) is not None:
                    area.fetch([path])
                    self._history.count(store.meter.total() - before)
                    self._changed()
                    return
        raise NotFound(f"Nothing is known of {path} in the remote.", "`bailiwick sync` looks what is there.")

    # Libraries

    def push(self, target: str) -> Pushed:
        """Publish ``LIBRARY[@VERSION]``; raises as ``core.sync.publishing.push``."""
        from core.sync.publishing import SHARED, push

        self._require_budget()
        with self._using() as store:
            before = store.meter.total()
            area = next(each for each in self._area_syncs(store) if each.area == SHARED)
            pushed = push(self._agentfs, store, area, target, by=self._person)
            self._history.count(store.meter.total() - before)
        self._changed()
        return pushed

    def pull(self, target: str, url: str = "") -> PulledLibrary:
        """Bring ``LIBRARY[@VERSION]`` here, from the remote or from the public library at ``url``.

        Raises as ``core.sync.publishing.pull``.
        """
        from core.remote.opening import open_store
        from core.sync.publishing import SHARED, pull

        if url:
            with contextlib.closing(self._through_cache(open_store(url))) as public:
                return pull(self._agentfs, public, target, by=self._person)
        self._require_budget()
        with self._using() as store:
            before = store.meter.total()
            if not store.read_only:
                area = next(each for each in self._area_syncs(store) if each.area == SHARED)
                area.pull(AreaResult())
            pulled = pull(self._agentfs, store, target, by=self._person)
            self._history.count(store.meter.total() - before)
        self._changed()
        return pulled

    def libraries(self) -> list[RemoteLibrary]:
        """The library versions that the remote holds, as far as was seen."""
        from core.sync.publishing import remote_libraries

        return remote_libraries(self._agentfs, self._tables)

    # Checking

    def verify(self, progress: VerifyProgress | None = None) -> Verification:
        """Name everything that is wrong with the remote; changes nothing. Raises what the store raises."""
        from core.sync.verify import verify

        with self._using() as store:
            found = verify(self._agentfs, beneath(store), self._known_areas(), progress=progress)
            self._history.count(found.operations)
        return found

    def repair(self, progress: VerifyProgress | None = None) -> Repair:
        """Put back into the remote what this device has the bytes of. Raises what the store raises."""
        from core.sync.repair import repair

        with self._using() as store:
            before = store.meter.total()
            mended = repair(
                self._agentfs,
                beneath(store),
                self._area_syncs(store, checks=False),
                device_name=self._device_name,
                progress=progress,
            )
            self._history.count(store.meter.total() - before)
        self._settled("", "")
        return mended

    def collect(self) -> tuple[Collected, ...]:
        """Announce and delete what nothing in the remote names any more, and sweep ``temp/``.

        Raises what the store raises.
        """
        from core.sync.garbage import collect, sweep_temporary

        with self._using() as store:
            before = store.meter.total()
            done = tuple(collect(store, area) for area in self._area_syncs(store))
            sweep_temporary(store)
            self._history.count(store.meter.total() - before)
        return done

    # Founding and joining

    def probe(self, url: str = "") -> ProbeReport:
        """Try what a store can do. Raises what the store raises."""
        from core.remote.probe import probe

        store = self._opened(url or self._url())
        try:
            return probe(store)
        finally:
            if store is not self._store:
                store.close()

    def set_remote(self, url: str, *, single_writer: bool = False) -> Founded:
        """Found a remote for this workspace at ``url``, once the store was tried.

        Raises InvalidInput when it already holds a workspace, or ignores conditions and more than one device is to
        write; Locked, and what the store raises.
        """
        from core.remote.probe import Writers
        from core.sync.joining import found

        report = self.probe(url)
        if report.writers is not Writers.MANY and not single_writer:
            raise InvalidInput(f"{report.reason}", "With --single-writer one device alone may write to it.")
        store = self._opened(url)
        founded = found(self._agentfs, store, by=self._person, writers="one" if single_writer else "many")
        self._begin(url, store)
        return founded

    def ask_to_join(self, url: str) -> Secret:
        """Ask the devices that have joined ``url`` already; the answer is the code to show. Raises as ``join``."""
        from core.sync.approval import ask_to_join

        return ask_to_join(self._agentfs, self._opened(url), device_name=self._device_name)

    def join(
        self,
        url: str,
        way: JoinWay,
        given: Secret | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Joined:
        """Make this workspace one with what is at ``url``; raises as ``core.sync.joining.join``."""
        from core.sync.joining import join

        store = self._opened(url)
        joined = join(self._agentfs, store, way, given, by=self._person, progress=progress)
        self._begin(url, store)
        return joined

    def join_requests(self) -> list[JoinRequest]:
        """The devices that ask to join, oldest first. Raises NotFound without a remote, and what the store raises."""
        from core.sync.approval import join_requests

        return join_requests(self.store())

    def approve(self, code: Secret) -> JoinRequest:
        """Let the device in that shows ``code``; raises as ``core.sync.approval.approve``."""
        from core.sync.approval import approve

        return approve(self._agentfs, self.store(), code)

    def store(self) -> ObjectStore:
        """The remote's store, for what has to speak to it itself. Raises NotFound when there is none."""
        return self._opened(self._url())

    def close(self) -> None:
        """End what moves here, and close connections."""
        self._stop.set()
        with self._lock:
            self._flush()
            store, self._store = self._store, None
        if store is not None:
            store.close()

    # Inside

    def _begin(self, url: str, store: ObjectStore) -> None:
        from core.sync.devices import Devices
        from core.sync.teams import Teams

        if url != self._agentfs.settings.get(REMOTE):
            self._tables.forget()
            self._areas.clear()
        Devices(self._agentfs, store, self._tables, Teams(self._agentfs)).register(self._device_name)
        self._agentfs.settings.put(REMOTE, url)
        for area in self._wanted_areas():
            self._tables.open_area(area)
        self._settled("", "")

    @property
    def _device_name(self) -> str:
        return platform.node().partition(".")[0] or "device"

    def _run_area(self, area: AreaSync, policy: FetchPolicy, total: AreaResult, *, approved: bool) -> None:
        try:
            result = area.run(policy, approved=approved)
        except (AsksFirst, SyncCancelled, RemoteUnreachable):
            raise
        except BailiwickError as error:
            self._tables.set_problem(area.area.id, f"{error.message} {error.hint}".strip())
            raise
        total.sent += result.sent
        total.received += result.received
        total.conflicts += result.conflicts
        total.problems += result.problems

    @contextmanager
    def _using(self) -> Iterator[ObjectStore]:
        store = self._opened(self._url())
        with self._lock, only_sync(self._agentfs.root, wait_seconds=WAIT_SECONDS, should_stop=self._stop.is_set):
            yield store

    def _url(self) -> str:
        url = self._agentfs.settings.get(REMOTE)
        if not isinstance(url, str) or not url:
            raise NotFound("This workspace has no remote.", "`bailiwick remote set URL` sets one; a folder will do.")
        return url

    def _opened(self, url: str) -> ObjectStore:
        from core.remote.opening import open_store

        with self._lock:
            if self._store is None or self._store_url != url:
                store = self._through_cache(open_store(url))
                before, self._store, self._store_url = self._store, store, url
                self._areas.clear()
                quality = samples[-1].quality if (samples := self._history.samples(1)) else NetworkQuality.GOOD
                self._network = NetworkMonitor(self._settings.sync, quality)
                store.meter.on_request(self._network.heard)
                if before is not None:
                    before.close()
            return self._store

    def _through_cache(self, store: ObjectStore) -> ObjectStore:
        return store if self._cache is None else CachedStore(store, self._cache)

    def _area_syncs(self, store: ObjectStore, *, checks: bool = True) -> Sequence[AreaSync]:
        from core.sync.areas import AreaLocks
        from core.sync.devices import Devices
        from core.sync.joining import check_still_ours
        from core.sync.local_tree import LocalTree
        from core.sync.signing import device_signer
        from core.sync.teams import Teams

        if not self._areas and checks:
            check_still_ours(self._agentfs, store)
        user, teams = self._settings.user.id, Teams(self._agentfs)
        tree = LocalTree(self._agentfs, user, self._device_name)
        devices = Devices(self._agentfs, store, self._tables, teams)
        for area in self._wanted_areas():
            if area.id not in self._areas:
                self._areas[area.id] = AreaSync(
                    self._agentfs,
                    store,
                    area,
                    tree,
                    devices,
                    AreaLocks(self._agentfs, area, teams.recipients),
                    device_signer(self._agentfs),
                    user=user,
                    watch=self._watch,
                )
        return list(self._areas.values())

    def _wanted_areas(self) -> list[Area]:
        from core.sync.teams import Teams

        teams = sorted({each.team for each in Teams(self._agentfs).members()})
        return [
            Area(AreaKind.USER, self._settings.user.id),
            *(Area(AreaKind.TEAM, name) for name in teams),
            Area(AreaKind.SHARED),
        ]

    def _known_areas(self) -> tuple[Area, ...]:
        return tuple(self._tables.areas()) or tuple(self._wanted_areas())

    def _remote(self) -> RemoteStatus:
        url = self._agentfs.settings.get(REMOTE)
        if not isinstance(url, str) or not url:
            return RemoteStatus()
        kind = "s3" if url.startswith("s3:") else "https" if url.startswith("https:") else "folder"
        workspace = self._agentfs.settings.get("sync.workspace")
        return RemoteStatus(url, kind, "none" if kind == "https" else "many", str(workspace or ""))

    def _area_status(self, area: Area) -> AreaStatus:
        count, size = self._tables.pending_counts(area.id)
        if area.kind is AreaKind.USER:
            # While the remote is away nothing is scanned, and what changed waits all the same.
            more, larger = self._tables.unscanned_counts(area.id, self._settings.user.id)
            count, size = count + more, size + larger
        synced_at, problem = self._tables.synced(area.id)
        return AreaStatus(
            area,
            self._tables.position(area.id).seq,
            count,
            size,
            self._tables.missing_counts(area.id)[0],
            synced_at,
            problem,
        )

    def _devices(self) -> Iterator[DeviceStatus]:
        from core.sync.audit_heads import own_trail_problem

        for each in self._tables.devices():
            own = each.id == self._agentfs.device
            problem = own_trail_problem(self._agentfs, self._tables) if own else ""
            yield replace(each, is_this=own, problem=problem or each.problem)

    def _activity(
        self, told: dict[str, object], asks: str, problem: str, network: NetworkQuality | None
    ) -> SyncActivity:
        activity = activity_of(told)
        if activity is SyncActivity.SYNCING and (now() - from_text(str(told["at"]))).total_seconds() < _OLD_SECONDS:
            return activity
        if self.paused:
            return SyncActivity.PAUSED
        if network is NetworkQuality.OFFLINE:
            return SyncActivity.OFFLINE
        return SyncActivity.STOPPED if asks or problem or self.spending().stopped else SyncActivity.IDLE

    def _forced(self) -> SyncStrategy | None:
        chosen = self._agentfs.settings.get(_FORCED)
        if isinstance(chosen, str) and chosen:
            return SyncStrategy(chosen)
        told = self._settings.sync.strategy
        return None if told == "auto" else SyncStrategy(told)

    def _require_budget(self) -> None:
        spent = self.spending()
        if spent.stopped:
            raise InvalidInput(
                f"This month's requests cost ${spent.cost:.2f}, and the budget is ${spent.budget:.2f}.",
                "Raise `sync.budget_cents`, or wait for next month; everything stays here until then.",
            )

    def _settled(self, problem: str, cure: str) -> None:
        known = self._agentfs.settings.get(_PROBLEM)
        if known != [problem, cure] and (problem or known is not None):
            self._agentfs.settings.put(_PROBLEM, [problem, cure])
        if not problem and self._agentfs.settings.get(_ASKS):
            self._agentfs.settings.put(_ASKS, "")
        self._changed()

    def _note_network(self) -> None:
        if self._network is None:
            return
        sample, last = self._network.sample(), next(iter(self._history.samples(1)), None)
        if last is None or last.quality is not sample.quality or (sample.at - last.at).total_seconds() >= 60:
            self._history.add_sample(sample)

    def _moved(self, transfer: Transfer) -> None:
        with self._telling:
            if transfer.total and transfer.done >= transfer.total:
                self._transfers.pop(transfer.id, None)
            else:
                self._transfers[transfer.id] = transfer
        self._tell(SyncActivity.SYNCING)

    _telling = threading.Lock()

    def _tell(self, activity: SyncActivity, *, force: bool = False) -> None:
        moment = time.monotonic()
        if not force and moment - self._told_at < TELL_SECONDS:
            return
        self._told_at = moment
        self._is_told = activity is SyncActivity.SYNCING
        with self._telling:
            transfers: list[JSONValue] = [
                {
                    "id": each.id,
                    "area": each.area,
                    "label": each.label,
                    "direction": each.direction.value,
                    "done": each.done,
                    "total": each.total,
                    "rate": each.rate,
                }
                for each in self._transfers.values()
            ]
        next_at = to_text(self.next_at) if self.next_at is not None else None
        self._history.tell({"activity": activity.value, "transfers": transfers, "next_at": next_at})
        self._bus.publish(SyncChanged())

    def _changed(self) -> None:
        self._bus.publish(SyncChanged())
