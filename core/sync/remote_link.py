"""The way to a workspace's remote: its store, opened once, with what it costs and how the network is."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, to_text
from core.agentfs.settings import REMOTE
from core.cache.cached_store import CachedStore, beneath
from core.cache.tiers import MultiTierCache
from core.config import Settings
from core.errors import NotFound, RemoteUnreachable, Unreachable
from core.model import JSONValue
from core.sync.bandwidth import Bandwidth
from core.sync.budget import Budget
from core.sync.history import SyncHistory
from core.sync.moving import Watch
from core.sync.network import NetworkMonitor
from core.sync.prices import prices_of
from core.sync.sync_lock import only_sync
from core.sync.tables import SyncTables
from core.sync_model import Area, AreaKind, NetworkQuality, RemoteStatus, Transfer

if TYPE_CHECKING:
    from core.remote.store import ObjectStore
    from core.sync.area_sync import AreaSync
    from core.sync.remote_identity import RemoteFormat

FACTS = "sync.remote_facts"
WAIT_SECONDS = 30.0
SAMPLE_SECONDS = 60.0
"""What is measured is kept so often, and at once when the quality is another."""


class RemoteLink:
    """Safe from any thread; whoever holds ``using`` has the remote to himself, in all processes."""

    def __init__(
        self,
        agentfs: AgentFS,
        settings: Settings,
        tables: SyncTables,
        history: SyncHistory,
        moved: Callable[[Transfer], None],
        cache: MultiTierCache | None,
    ) -> None:
        """``moved`` hears of every transfer; what was read before is read from ``cache``."""
        self._agentfs = agentfs
        self._settings = settings
        self._tables = tables
        self._history = history
        self._cache = cache
        self._store: ObjectStore | None = None
        self._store_url = ""
        self._lock = threading.RLock()
        self._areas: dict[str, AreaSync] = {}
        self._stop = threading.Event()
        self._closed = False
        self.budget = Budget(history, settings.sync.budget_cents)
        self.watch = Watch(moved, self._is_to_stop, self.budget.check, Bandwidth(settings.sync.bandwidth_kb * 1000))

    # What it is

    @cached_property
    def network(self) -> NetworkMonitor:
        """How good the way there is; before anything was measured, as good as when it was measured last."""
        samples = self._history.samples(1)
        return NetworkMonitor(self._settings.sync, samples[-1].quality if samples else NetworkQuality.GOOD)

    @property
    def url(self) -> str:
        """Where the remote is, without credentials; empty where none is set."""
        url = self._agentfs.settings.get(REMOTE)
        return url if isinstance(url, str) else ""

    def required_url(self) -> str:
        """As ``url``; raises NotFound where none is set."""
        if not (url := self.url):
            raise NotFound("This workspace has no remote.", "`bailiwick remote set URL` sets one; a folder will do.")
        return url

    def status(self) -> RemoteStatus:
        """What is known of the remote without asking it."""
        if not (url := self.url):
            return RemoteStatus()
        self.budget.at(prices_of(url))
        kind = "s3" if url.startswith("s3:") else "https" if url.startswith("https:") else "folder"
        facts = self._agentfs.settings.get(FACTS)
        told = facts if isinstance(facts, dict) else {}
        founded_at = told.get("founded_at")
        return RemoteStatus(
            url,
            kind,
            str(told.get("writers") or ("none" if kind == "https" else "many")),
            str(self._agentfs.settings.get("sync.workspace") or ""),
            from_text(founded_at) if isinstance(founded_at, str) else None,
        )

    @property
    def device_name(self) -> str:
        """What this device is called on the others."""
        return platform.node().partition(".")[0] or "device"

    def wanted_areas(self) -> list[Area]:
        """The areas that concern this user."""
        from core.sync.teams import Teams

        teams = sorted({each.team for each in Teams(self._agentfs).members()})
        return [
            Area(AreaKind.USER, self._settings.user.id),
            *(Area(AreaKind.TEAM, name) for name in teams),
            Area(AreaKind.SHARED),
        ]

    # Using it

    @contextmanager
    def using(self, url: str = "") -> Iterator[ObjectStore]:
        """The store, at ``url`` where a remote is still to be set, for one at a time.

        Raises NotFound without a remote, Unreachable while another process goes on with it, and what opening raises.
        """
        wanted = url or self.required_url()
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise Unreachable("Something else is going on with the remote.", "Wait until it is done, or stop it.")
        try:
            # What was cancelled was before this.
            self._stop.clear()
            with only_sync(self._agentfs.root, wait_seconds=WAIT_SECONDS, should_stop=self._is_to_stop):
                yield self._opened(wanted)
        finally:
            self._lock.release()
            self.budget.settle_batch()

    def store(self) -> ObjectStore:
        """The remote's store, for what has to speak to it itself. Raises NotFound, and what opening raises."""
        with self._lock:
            return self._opened(self.required_url())

    def public(self, url: str) -> ObjectStore:
        """Another store, read through the cache; whoever asks closes it."""
        from core.remote.opening import open_store

        return self._through_cache(open_store(url))

    def area_syncs(self, store: ObjectStore, *, checks: bool = True) -> list[AreaSync]:
        """What synchronises each area through ``store``, which ``using`` gave.

        With ``checks`` the remote is looked at first, once: raises SealBroken or NotFound when it is another's or gone.
        """
        from core.sync.area_sync import AreaSync
        from core.sync.areas import AreaLocks
        from core.sync.devices import Devices
        from core.sync.joining import check_still_ours
        from core.sync.key_upkeep import KeyUpkeep
        from core.sync.local_tree import LocalTree
        from core.sync.signing import device_signer
        from core.sync.teams import Teams
        from core.sync.withdrawing import LibraryUpkeep

        user, teams = self._settings.user.id, Teams(self._agentfs)
        tree = LocalTree(self._agentfs, user, self.device_name, self._settings.conflicts)
        devices = Devices(self._agentfs, store, self._tables, teams)
        upkeep = KeyUpkeep(self._agentfs, beneath(store))
        if checks:
            if not self._areas:
                self.note_facts(check_still_ours(self._agentfs, store))
                # A workspace that was restored from a backup is a new device: without a card nobody trusts its commits.
                devices.register(self.device_name)
            upkeep.if_due()
        for area in self.wanted_areas():
            if area.id not in self._areas:
                self._areas[area.id] = AreaSync(
                    self._agentfs,
                    store,
                    area,
                    tree,
                    devices,
                    AreaLocks(self._agentfs, area, teams.recipients, upkeep.after_wrong_key),
                    device_signer(self._agentfs),
                    user=user,
                    watch=self.watch,
                    after=LibraryUpkeep(self._agentfs, store, user) if area.kind is AreaKind.SHARED else None,
                )
        return list(self._areas.values())

    def begin(self, url: str, store: ObjectStore, mark: RemoteFormat | None) -> None:
        """Make ``store``, founded or joined at ``url``, the workspace's remote from now on."""
        from core.sync.devices import Devices
        from core.sync.key_upkeep import KeyUpkeep
        from core.sync.teams import Teams

        if url != self.url:
            self._tables.forget()
            self._areas.clear()
        Devices(self._agentfs, store, self._tables, Teams(self._agentfs)).register(self.device_name)
        KeyUpkeep(self._agentfs, store).note()
        if mark is not None:
            self.note_facts(mark)
        for area in self.wanted_areas():
            self._tables.open_area(area)
        self._agentfs.settings.put(REMOTE, url)

    def note_facts(self, mark: RemoteFormat) -> None:
        """Remember what the remote's mark says of it."""
        from datetime import datetime

        told: dict[str, JSONValue] = {
            "writers": mark.writers,
            "founded_at": to_text(datetime.fromisoformat(mark.founded_at)),
        }
        if self._agentfs.settings.get(FACTS) != told:
            self._agentfs.settings.put(FACTS, told)

    def look(self) -> bool:
        """Whether the remote answers: one request, which also measures the network. Raises as ``using``."""
        from core.sync.remote_identity import FORMAT_KEY

        try:
            with self.using() as store:
                beneath(store).head(FORMAT_KEY)
        except RemoteUnreachable:
            self.network.gave_up()
            return False
        finally:
            self.note_network()
        return True

    def note_network(self) -> None:
        """Keep what was measured of the network, if it is news."""
        if not self.network.is_measured:
            return
        sample, last = self.network.sample(), next(iter(self._history.samples(1)), None)
        if (
            last is None
            or last.quality is not sample.quality
            or (sample.at - last.at).total_seconds() >= SAMPLE_SECONDS
        ):
            self._history.add_sample(sample)

    # Ending

    def cancel(self) -> None:
        """Have what runs in this process end where it is."""
        self._stop.set()

    def close(self) -> None:
        """End what moves here, and close connections; nothing may be called any more."""
        self._closed = True
        with self._lock:
            store, self._store = self._store, None
            self._areas.clear()
        self.budget.settle()
        if store is not None:
            store.close()

    def _is_to_stop(self) -> bool:
        return self._closed or self._stop.is_set()

    def _opened(self, url: str) -> ObjectStore:
        from core.remote.opening import open_store

        if self._store is None or self._store_url != url:
            store = self._through_cache(open_store(url))
            before, self._store, self._store_url = self._store, store, url
            self._areas.clear()
            self.budget.follow(store.meter, prices_of(url))
            store.meter.on_request(self.network.heard)
            if before is not None:
                before.close()
        return self._store

    def _through_cache(self, store: ObjectStore) -> ObjectStore:
        return store if self._cache is None else CachedStore(store, self._cache)
