"""Which strategy a workspace follows, the person's or the one that fits; each change is kept with its reason."""

from __future__ import annotations

from dataclasses import replace

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.config import Settings
from core.events import EventBus, Notice, SyncChanged
from core.sync.history import SyncHistory
from core.sync.strategy import determine_strategy, volume_of
from core.sync.tables import SyncTables
from core.sync_model import AreaKind, NetworkQuality, StrategyChoice, SyncStrategy, UserTier

_FORCED = "sync.forced"
_NAMES = {SyncStrategy.REALTIME: "realtime", SyncStrategy.ADAPTIVE: "adaptive", SyncStrategy.ON_DEMAND: "on demand"}


class StrategyChooser:
    """Safe from any thread and process."""

    def __init__(
        self, agentfs: AgentFS, settings: Settings, tables: SyncTables, history: SyncHistory, bus: EventBus
    ) -> None:
        self._agentfs = agentfs
        self._settings = settings
        self._tables = tables
        self._history = history
        self._bus = bus
        self._engine = Actor(ActorKind.ENGINE, agentfs.device, "sync")

    def current(self) -> StrategyChoice:
        """The strategy now, with its reason; changes nothing."""
        samples = self._history.samples(1)
        network = samples[-1].quality if samples else NetworkQuality.GOOD
        tier, volume = UserTier(self._settings.user.tier), volume_of(self._waiting_bytes(), self._settings.sync)
        row = determine_strategy(tier, network, volume)
        strategy, reason, forced = row.strategy, row.reason, False
        if (chosen := self._chosen()) is not None:
            strategy, reason, forced = chosen, "You chose it.", True
        elif self._settings.sync.strategy != "auto":
            strategy, reason, forced = SyncStrategy(self._settings.sync.strategy), "`sync.strategy` says so.", True
        before = self._last()
        if before is not None and (before.strategy, before.reason) == (strategy, reason):
            return replace(before, tier=tier, network=network, volume=volume)
        return StrategyChoice(strategy, reason, tier, network, volume, now(), forced)

    def note(self, by: Actor | None = None) -> StrategyChoice:
        """As ``current``; a change is kept, recorded as made by ``by`` or the engine, and told."""
        choice, before = self.current(), self._last()
        if before is not None and (before.strategy, before.reason) == (choice.strategy, choice.reason):
            return choice
        self._history.add_choice(choice)
        told = {
            "strategy": choice.strategy.value,
            "reason": choice.reason,
            "network": choice.network.value,
            "volume": choice.volume.value,
        }
        self._agentfs.audit.record(by or self._engine, "sync.strategy", "strategy", told)
        if before is not None and before.strategy is not choice.strategy and not choice.forced:
            self._bus.publish(Notice(f"Synchronising is {_NAMES[choice.strategy]} now. {choice.reason}"))
        self._bus.publish(SyncChanged())
        return choice

    def choose(self, strategy: SyncStrategy | None, by: Actor) -> None:
        """Follow ``strategy`` whatever the table says, or the table again."""
        self._agentfs.settings.put(_FORCED, strategy.value if strategy is not None else "", by=by)
        self.note(by)

    def _last(self) -> StrategyChoice | None:
        return next(iter(self._history.choices(1)), None)

    def _chosen(self) -> SyncStrategy | None:
        chosen = self._agentfs.settings.get(_FORCED)
        return SyncStrategy(chosen) if isinstance(chosen, str) and chosen else None

    def _waiting_bytes(self) -> int:
        """What would go up, and what would come at once; large files come in a quiet time, or when they are opened."""
        small = self._settings.sync.small_kb * 1000
        waiting = 0
        for area in self._tables.areas():
            waiting += self._tables.pending_counts(area.id)[1]
            waiting += self._tables.missing_counts(area.id, at_most=small)[1]
            if area.kind is AreaKind.USER:
                waiting += self._tables.unscanned_counts(area.id, self._settings.user.id)[1]
        return waiting
