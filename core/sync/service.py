"""Synchronising as every door uses it: one object of a workspace, in any process, with or without an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_text
from core.cache.cached_store import beneath
from core.cache.prefetch import GOOD_ENOUGH, prefetch_candidates
from core.cache.tiers import MultiTierCache
from core.config import Settings
from core.errors import BailiwickError, InvalidInput, Locked, NotFound, RemoteRefused, RemoteUnreachable
from core.events import EventBus, SyncChanged
from core.sync.choosing import StrategyChooser
from core.sync.history import SyncHistory
from core.sync.moving import SyncCancelled
from core.sync.remote_link import RemoteLink
from core.sync.standing import ASKS, PAUSED, Standing
from core.sync.strategy import pace_of
from core.sync.tables import SyncTables
from core.sync.telling import Telling
from core.sync_model import (
    Area,
    AreaKind,
    PlannedChange,
    Repair,
    Spending,
    StrategyChoice,
    SyncPlan,
    SyncRun,
    SyncStatus,
    SyncStrategy,
    Verification,
)

if TYPE_CHECKING:
    from core.crypto.secret import Secret
    from core.remote.probe import ProbeReport
    from core.remote.store import ObjectStore
    from core.sync.approval import JoinRequest
    from core.sync.area_sync import AreaResult, AreaSync
    from core.sync.garbage import Collected
    from core.sync.joining import Founded, Joined, JoinWay
    from core.sync.one_run import Outcome
    from core.sync.publishing import PulledLibrary, Pushed, RemoteLibrary, TakenBack
    from core.sync.pulling import FetchPolicy
    from core.sync.verify import VerifyProgress

POLL = "poll"
"""Why the worker looks at the remote where nothing changed here."""
LARGE = "large files"
"""Why it moves what was left for a quiet time."""
LARGE_BYTES = 64 * 1024 * 1024
"""So much of that comes at once: something that changed meanwhile need not wait long."""
COLLECT_HOURS = 24.0
_COLLECTED = "sync.collected_at"


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
        self._tables = SyncTables(agentfs.database)
        self._history = SyncHistory(agentfs.database)
        self._telling = Telling(self._history, bus)
        self._link = RemoteLink(agentfs, settings, self._tables, self._history, self._telling.moved, cache)
        self._chooser = StrategyChooser(agentfs, settings, self._tables, self._history, bus)
        self._standing = Standing(agentfs, settings, self._tables, self._history, self._link, self._chooser)
        self._in_vain: object = None

    # Looking

    @property
    def is_set(self) -> bool:
        """Whether this workspace has a remote."""
        return bool(self._link.url)

    def status(self) -> SyncStatus:
        """Everything at a glance, read from the workspace alone."""
        return self._standing.read(self._telling.next_at)

    def queue(self, limit: int) -> tuple[PlannedChange, ...]:
        """What waits to go up, and what is known but was not fetched; at most ``limit`` of each."""
        from core.sync.planning import queued

        return queued(self._agentfs, self._tables, limit)

    def choice(self) -> StrategyChoice:
        """The strategy now, with its reason; a change is kept, recorded and told."""
        return self._chooser.note()

    def spending(self) -> Spending:
        """What this month cost so far, and may cost."""
        self._link.status()
        return self._standing.spending()

    # Steering

    def pause(self) -> None:
        """Nothing is synchronised by itself until ``resume``, over restarts too; what moves now ends where it is."""
        self._agentfs.settings.put(PAUSED, True, by=self._person)
        self._link.cancel()
        self._changed()

    def resume(self) -> None:
        """End the pause."""
        self._agentfs.settings.put(PAUSED, False, by=self._person)
        self._changed()

    @property
    def paused(self) -> bool:
        """Whether a person paused synchronising."""
        return self._standing.paused

    def choose(self, strategy: SyncStrategy | None) -> None:
        """Use ``strategy`` whatever the table says, or again what it says."""
        self._chooser.choose(strategy, self._person)
        self._changed()

    def answer(self, yes: bool) -> None:
        """Answer the question of a safety brake; with yes the sync that asked is done, with no it stays undone."""
        if yes:
            self.sync_now("you said so", approved=True)
        else:
            self._agentfs.settings.put(ASKS, "", by=self._person)
            self.pause()

    def cancel(self) -> None:
        """Have the sync that runs in this process end where it is."""
        self._link.cancel()

    # Moving

    def plan(self) -> SyncPlan:
        """What a sync would do and cost. Reads the log and changes nothing; raises as ``sync_now``."""
        from core.sync.planning import planned

        self._link.budget.require()
        with self._link.using() as store:
            return planned(self._area_syncs(store), self._link.budget.prices, self._policy())

    def sync_now(self, why: str, *, approved: bool = False, everything: bool = False) -> SyncRun:
        """Bring every area level now; with ``everything`` large files come too, whatever the strategy.

        What fails is in the answer and in ``status``, with its cure; what was done until then holds. Raises NotFound
        when there is no remote, RemoteUnreachable when it is not there, Unreachable while another process goes on with
        a sync, and InvalidInput when the month's budget is used up.
        """
        from core.sync.one_run import level
        from core.sync.pulling import FetchPolicy

        policy = FetchPolicy() if everything else self._policy()
        outcome = self._run(why, policy, level(policy, approved=approved))
        self._history.add_run(outcome.run)
        return outcome.run

    def fetch(self, path: str) -> None:
        """Get one item that is known but not here. Raises NotFound, and as ``sync_now``."""
        self._link.budget.require()
        with self._link.using() as store, contextlib.ExitStack() as after:
            after.callback(self._telling.end)
            for area in self._area_syncs(store):
                if self._tables.base(area.area.id, path) is not None:
                    area.fetch([path])
                    break
            else:
                raise NotFound(f"Nothing is known of {path} in the remote.", "`bailiwick sync` looks what is there.")
        self._changed()

    def elsewhere(self, identifier: str) -> str:
        """The path of what is known by that id or path and was not fetched yet; empty where nothing is."""
        return self._tables.missing_path(identifier)

    # By itself, for the worker

    def sync_by_itself(self, why: str, is_ended: Callable[[], bool] = lambda: False) -> Outcome:
        """Bring every area level as the strategy says: under adaptive what is large is left for ``move_large``.

        What is news is kept as a run. Raises as ``sync_now``, and SyncCancelled when a person paused meanwhile or
        ``is_ended`` says that whoever asks is.
        """
        from core.sync.one_run import level

        policy = self._policy(by_itself=True)
        outcome = self._run(why, policy, level(policy, approved=False), is_ended=is_ended)
        self._keep(outcome)
        return outcome

    def move_large(self, is_ended: Callable[[], bool] = lambda: False) -> Outcome | None:
        """Send what is large, then fetch some of it, the most used first; ``None`` where there is nothing to move.

        What could not be moved is not tried again before something else is there to be moved. Raises as
        ``sync_by_itself``.
        """
        from core.sync.one_run import level

        choice = self.choice()
        if choice.network not in GOOD_ENOUGH:
            return None
        left = [(self._tables.pending_counts(each.id), self._tables.missing_counts(each.id)) for each in self._areas()]
        waiting = any(pending[0] for pending, _ in left)
        wanted = {} if waiting else self._wanted(choice)
        if left == self._in_vain or not (waiting or wanted):
            return None
        policy = self._policy()

        def work(area: AreaSync, total: AreaResult) -> None:
            if waiting:
                level(policy, approved=False)(area, total)
            elif paths := wanted.get(area.area.id):
                total.received += area.fetch(paths).received

        outcome = self._run(LARGE, policy, work, is_ended=is_ended)
        self._keep(outcome)
        moved = bool(outcome.run.sent or outcome.run.received)
        self._in_vain = None if moved or outcome.error is not None else left
        return None if self._in_vain else outcome

    def has_changes(self) -> bool:
        """Whether something changed here that no sync has looked at yet."""
        from core.sync.local_tree import LocalTree

        user = Area(AreaKind.USER, self._settings.user.id)
        tree = LocalTree(self._agentfs, self._settings.user.id, self._link.device_name)
        try:
            return bool(tree.changed_since(self._tables.position(user.id).scanned, 1)[0])
        except Locked:
            return True

    def look(self) -> bool:
        """Whether the remote answers: one request, which also measures the network."""
        answers = self._link.look()
        self._changed()
        return answers

    def least_poll_seconds(self) -> float:
        """How long to wait between two looks, so that looking does not use up the budget."""
        return self._link.budget.least_poll_seconds(len(self._areas()))

    def rest(self, next_at: datetime | None) -> None:
        """Tell when the worker looks next, if it does."""
        self._telling.rest(next_at)

    def collect_if_due(self) -> None:
        """Once a day, take away what nothing in the remote names any more. Raises as ``collect``."""
        last = self._agentfs.settings.get(_COLLECTED)
        if isinstance(last, str) and now() - from_text(last) < timedelta(hours=COLLECT_HOURS):
            return
        self._agentfs.settings.put(_COLLECTED, to_text(now()))
        if last is not None:
            self.collect()

    # Libraries

    def push(self, target: str) -> Pushed:
        """Publish ``LIBRARY[@VERSION]``; raises as ``core.sync.publishing.push``."""
        from core.sync.publishing import SHARED, push

        self._link.budget.require()
        with self._link.using() as store:
            area = next(each for each in self._area_syncs(store) if each.area == SHARED)
            pushed = push(self._agentfs, store, area, target, by=self._person)
        self._changed()
        return pushed

    def withdraw(self, target: str) -> TakenBack:
        """Take ``LIBRARY[@VERSION]``, which the user published, out of the remote, and look that it is gone.

        Its documents are shared no more. Raises NotFound where it is not published, and as
        ``core.sync.publishing.withdraw``.
        """
        from core.sync.area_sync import AreaResult
        from core.sync.library_catalogue import find_library
        from core.sync.publishing import SHARED, withdraw

        self._link.budget.require()
        with self._link.using() as store:
            area = next(each for each in self._area_syncs(store) if each.area == SHARED)
            area.pull(AreaResult())
            name = find_library(self._tables, store, target).name
            taken = withdraw(self._agentfs, store, area, name, by=self._person)
        self._changed()
        return taken

    def pull(self, target: str, url: str = "") -> PulledLibrary:
        """Bring ``LIBRARY[@VERSION]`` here, from the remote or from the public library at ``url``.

        Raises as ``core.sync.publishing.pull``.
        """
        from core.sync.area_sync import AreaResult
        from core.sync.publishing import SHARED, pull

        if url:
            with contextlib.closing(self._link.public(url)) as public:
                return pull(self._agentfs, public, target, by=self._person)
        self._link.budget.require()
        with self._link.using() as store:
            if not store.read_only:
                area = next(each for each in self._area_syncs(store) if each.area == SHARED)
                area.pull(AreaResult())
            pulled = pull(self._agentfs, store, target, by=self._person)
        self._changed()
        return pulled

    def libraries(self) -> list[RemoteLibrary]:
        """The library versions that the remote holds, as far as was seen."""
        from core.sync.publishing import remote_libraries

        return remote_libraries(self._agentfs, self._tables)

    # Checking

    def verify(self, progress: VerifyProgress | None = None, *, sample: float = 1.0) -> Verification:
        """Name everything that is wrong with the remote; changes nothing. Raises what the store raises.

        Of the contents a ``sample`` (0..1) is read, all of them without one; see ``core.sync.verify.verify``.
        """
        from core.sync.verify import verify

        with self._link.using() as store:
            areas = tuple(self._tables.areas()) or tuple(self._link.wanted_areas())
            return verify(self._agentfs, beneath(store), areas, sample=sample, progress=progress)

    def repair(self, progress: VerifyProgress | None = None) -> Repair:
        """Put back into the remote what this device has the bytes of. Raises what the store raises."""
        from core.sync.repair import repair

        with self._link.using() as store:
            mended = repair(
                self._agentfs,
                beneath(store),
                self._link.area_syncs(store, checks=False),
                device_name=self._link.device_name,
                progress=progress,
            )
        self._settled()
        return mended

    def collect(self) -> tuple[Collected, ...]:
        """Announce and delete what nothing in the remote names any more, and sweep ``temp/``.

        Raises what the store raises.
        """
        from core.sync.garbage import collect, sweep_temporary

        self._link.budget.require()
        with self._link.using() as store:
            hours = float(self._settings.sync.grace_hours)
            done = tuple(collect(store, area, grace_hours=hours) for area in self._area_syncs(store))
            sweep_temporary(store)
        return done

    # Founding and joining

    def probe(self, url: str = "") -> ProbeReport:
        """Try what a store can do. Raises what the store raises."""
        from core.remote.opening import open_store
        from core.remote.probe import probe

        with contextlib.closing(open_store(url or self._link.required_url())) as store:
            return probe(store)

    def set_remote(self, url: str, *, single_writer: bool = False) -> Founded:
        """Found a remote for this workspace at ``url``, once the store was tried.

        Raises InvalidInput when it already holds a workspace, or ignores conditions and more than one device is to
        write; Locked, and what the store raises.
        """
        from core.remote.lifecycle import set_temporary_rule
        from core.remote.probe import Writers
        from core.sync.joining import found
        from core.sync.remote_identity import read_format

        report = self.probe(url)
        if report.writers is not Writers.MANY and not single_writer:
            raise InvalidInput(f"{report.reason}", "With --single-writer one device alone may write to it.")
        with self._link.using(url) as store:
            founded = found(self._agentfs, store, by=self._person, writers="one" if single_writer else "many")
            self._link.begin(url, store, read_format(store))
            rule = set_temporary_rule(getattr(store, "direct", store))
        self._settled()
        return replace(founded, temporary=rule.reason)

    def ask_to_join(self, url: str) -> Secret:
        """Ask the devices that have joined ``url`` already; the answer is the code to show. Raises as ``join``."""
        from core.sync.approval import ask_to_join

        with self._link.using(url) as store:
            return ask_to_join(self._agentfs, store, device_name=self._link.device_name)

    def join(
        self,
        url: str,
        way: JoinWay,
        given: Secret | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Joined:
        """Make this workspace one with what is at ``url``; raises as ``core.sync.joining.join``."""
        from core.sync.joining import join
        from core.sync.remote_identity import read_format

        with self._link.using(url) as store:
            joined = join(self._agentfs, store, way, given, by=self._person, progress=progress)
            self._link.begin(url, store, read_format(store))
        self._settled()
        return joined

    def join_requests(self) -> list[JoinRequest]:
        """The devices that ask to join, oldest first. Raises NotFound without a remote, and what the store raises."""
        from core.sync.approval import join_requests

        return join_requests(self.store())

    def approve(self, code: Secret) -> JoinRequest:
        """Let the device in that shows ``code``; raises as ``core.sync.approval.approve``."""
        from core.sync.approval import approve

        return approve(self._agentfs, self.store(), code, by=self._person)

    def store(self) -> ObjectStore:
        """The remote's store, for what has to speak to it itself. Raises NotFound when there is none."""
        return self._link.store()

    def close(self) -> None:
        """End what moves here, and close connections."""
        self._link.close()

    # Inside

    def _policy(self, *, by_itself: bool = False) -> FetchPolicy:
        from core.sync.pulling import FetchPolicy

        settings = self._settings.sync
        if not pace_of(self.choice().strategy, settings).small_only:
            return FetchPolicy()
        small = settings.small_kb * 1000
        return FetchPolicy(small, small if by_itself else None)

    def _run(
        self,
        why: str,
        policy: FetchPolicy,
        work: Callable[[AreaSync, AreaResult], None],
        is_ended: Callable[[], bool] | None = None,
    ) -> Outcome:
        from core.sync.one_run import run_areas

        self._link.budget.require()
        strategy = self.choice().strategy
        try:
            with self._link.using() as store:
                if is_ended is not None and (is_ended() or self.paused):
                    raise SyncCancelled("Synchronising is paused.", "`bailiwick sync resume` goes on.")
                if why != POLL:
                    self._telling.begin()

                def areas() -> list[AreaSync]:
                    found = self._area_syncs(store)
                    if why != POLL:
                        self._require_affordable(found, policy)
                    return found

                try:
                    outcome = run_areas(store, areas, self._tables, work, why, strategy, self._link.budget.prices)
                    self._note(outcome)
                finally:
                    self._telling.end()
                    if why != POLL:
                        self._link.budget.settle()
                return outcome
        except (RemoteUnreachable, RemoteRefused) as error:
            self._note_error(error)
            raise

    def _require_affordable(self, areas: list[AreaSync], policy: FetchPolicy) -> None:
        from core.sync.planning import planned

        budget = self._link.budget
        if budget.is_limited:
            budget.require(planned(areas, budget.prices, policy).operations)

    def _note(self, outcome: Outcome) -> None:
        from core.sync.area_sync import AsksFirst

        error = outcome.error
        if error is not None and not isinstance(error, AsksFirst | SyncCancelled):
            self._note_error(error)
            return
        self._link.note_network()
        if isinstance(error, AsksFirst):
            if self._standing.asks != error.message:
                self._agentfs.settings.put(ASKS, error.message)
                self._changed()
        elif error is None and (self._standing.settled() or outcome.run.sent or outcome.run.received):
            # A look that finds nothing is no news to anybody.
            self._changed()

    def _note_error(self, error: BailiwickError) -> None:
        if isinstance(error, RemoteUnreachable):
            self._link.network.gave_up()
        self._link.note_network()
        self._settled(error)

    def _settled(self, error: BailiwickError | None = None) -> None:
        if error is None:
            self._standing.settled()
        else:
            self._standing.settled(error.message, error.hint)
        self._changed()

    def _keep(self, outcome: Outcome) -> None:
        run = outcome.run
        newest = next(iter(self._history.runs(1)), None)
        is_news = bool(run.problem) and (newest is None or newest.problem != run.problem)
        if run.sent or run.received or is_news:
            self._history.add_run(run)

    def _wanted(self, choice: StrategyChoice) -> dict[str, list[str]]:
        """What is known and not here, as far as it is fetched at once: what was used most, else the smallest."""
        from core.sync.pulling import PUBLISHED

        chosen: dict[str, list[str]] = {}
        used = prefetch_candidates(self._agentfs.database, choice.network, LARGE_BYTES, now())
        for each in used:
            chosen.setdefault(each.area, []).append(each.path)
        if used:
            return chosen
        left = LARGE_BYTES
        for area in self._areas():
            for known in self._tables.not_fetched(area.id, besides=PUBLISHED):
                if left <= 0:
                    break
                chosen.setdefault(area.id, []).append(known.path)
                left -= known.size
        return chosen

    def _area_syncs(self, store: ObjectStore) -> list[AreaSync]:
        return self._link.area_syncs(store)

    def _areas(self) -> list[Area]:
        return self._tables.areas()

    def _changed(self) -> None:
        self._bus.publish(SyncChanged())
