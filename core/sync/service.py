"""Synchronising as every door uses it: one object of a workspace, in any process, with or without an engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.cache.cached_store import beneath
from core.cache.tiers import MultiTierCache
from core.config import Settings
from core.errors import InvalidInput, NotFound
from core.events import EventBus
from core.sync.by_itself import ByItself
from core.sync.choosing import StrategyChooser
from core.sync.history import SyncHistory
from core.sync.remote_link import RemoteLink
from core.sync.running import Runner
from core.sync.standing import ASKS, PAUSED, Standing
from core.sync.tables import SyncTables
from core.sync.telling import Telling
from core.sync_model import (
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
    from core.sync.garbage import Collected
    from core.sync.joining import Founded, Joined, JoinWay
    from core.sync.publishing import PulledLibrary, Pushed, RemoteLibrary
    from core.sync.verify import VerifyProgress
    from core.sync.withdrawing import TakenBack


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
        self._person = person
        self._tables = SyncTables(agentfs.database)
        self._history = SyncHistory(agentfs.database)
        self._telling = Telling(self._history, bus)
        self._link = RemoteLink(agentfs, settings, self._tables, self._history, self._telling.moved, cache)
        self._chooser = StrategyChooser(agentfs, settings, self._tables, self._history, bus)
        self._standing = Standing(agentfs, settings, self._tables, self._history, self._link, self._chooser)
        self._runner = Runner(
            agentfs,
            settings,
            bus,
            self._tables,
            self._history,
            self._telling,
            self._link,
            self._chooser,
            self._standing,
        )
        self.by_itself = ByItself(agentfs, settings, self._runner, self._chooser, self._telling)
        """What the worker has done when it is due."""

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
        self._runner.changed()

    def resume(self) -> None:
        """End the pause."""
        self._agentfs.settings.put(PAUSED, False, by=self._person)
        self._runner.changed()

    @property
    def paused(self) -> bool:
        """Whether a person paused synchronising."""
        return self._standing.paused

    def choose(self, strategy: SyncStrategy | None) -> None:
        """Use ``strategy`` whatever the table says, or again what it says."""
        self._chooser.choose(strategy, self._person)
        self._runner.changed()

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
            return planned(self._link.area_syncs(store), self._link.budget.prices, self._runner.policy())

    def sync_now(self, why: str, *, approved: bool = False, everything: bool = False) -> SyncRun:
        """Bring every area level now; with ``everything`` large files come too, whatever the strategy.

        What fails is in the answer and in ``status``, with its cure; what was done until then holds. Raises NotFound
        when there is no remote, RemoteUnreachable when it is not there, Unreachable while another process goes on with
        a sync, and InvalidInput when the month's budget is used up.
        """
        from core.sync.one_run import level
        from core.sync.pulling import FetchPolicy

        policy = FetchPolicy() if everything else self._runner.policy()
        outcome = self._runner.run(why, policy, level(policy, approved=approved))
        self._history.add_run(outcome.run)
        return outcome.run

    def fetch(self, path: str) -> None:
        """Get one item that is known but not here. Raises NotFound, and as ``sync_now``."""
        self._link.budget.require()
        with self._link.using() as store, contextlib.ExitStack() as after:
            after.callback(self._telling.end)
            for area in self._link.area_syncs(store):
                if self._tables.base(area.area.id, path) is not None:
                    area.fetch([path])
                    break
            else:
                raise NotFound(f"Nothing is known of {path} in the remote.", "`bailiwick sync` looks what is there.")
        self._runner.changed()

    def elsewhere(self, identifier: str) -> str:
        """The path of what is known by that id or path and was not fetched yet; empty where nothing is."""
        return self._tables.missing_path(identifier)

    # Libraries

    def push(self, target: str) -> Pushed:
        """Publish ``LIBRARY[@VERSION]``; raises as ``core.sync.publishing.push``."""
        from core.sync.publishing import SHARED, push

        self._link.budget.require()
        with self._link.using() as store:
            area = next(each for each in self._link.area_syncs(store) if each.area == SHARED)
            pushed = push(self._agentfs, store, area, target, by=self._person)
        self._runner.changed()
        return pushed

    def withdraw(self, target: str) -> TakenBack:
        """Take ``LIBRARY[@VERSION]``, which the user published, out of the remote, and look that it is gone.

        Its documents are shared no more. Raises NotFound where it is not published, and as
        ``core.sync.withdrawing.withdraw``.
        """
        from core.sync.area_sync import AreaResult
        from core.sync.library_catalogue import find_library
        from core.sync.publishing import SHARED
        from core.sync.withdrawing import withdraw

        self._link.budget.require()
        with self._link.using() as store:
            area = next(each for each in self._link.area_syncs(store) if each.area == SHARED)
            area.pull(AreaResult())
            name = find_library(self._tables, store, target).name
            taken = withdraw(self._agentfs, store, area, name, by=self._person)
        self._runner.changed()
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
                area = next(each for each in self._link.area_syncs(store) if each.area == SHARED)
                area.pull(AreaResult())
            pulled = pull(self._agentfs, store, target, by=self._person)
        self._runner.changed()
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
        self._runner.settled()
        return mended

    def collect(self) -> tuple[Collected, ...]:
        """Announce and delete what nothing in the remote names any more, and sweep ``temp/``.

        Raises what the store raises.
        """
        return self.by_itself.collect()

    # Founding and joining

    def probe(self, url: str = "") -> ProbeReport:
        """Try what a store can do. Raises what the store raises."""
        from core.remote.opening import open_store
        from core.remote.probe import probe

        with contextlib.closing(open_store(url or self._link.required_url())) as store:
            try:
                return probe(store)
            finally:
                self._history.count(store.meter.total())

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
        self._runner.settled()
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
        self._runner.settled()
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
