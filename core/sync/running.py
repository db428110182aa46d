"""How a sync is run: what it may move, what is looked at before, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from core.agentfs.agentfs import AgentFS
from core.config import Settings
from core.errors import BailiwickError, RemoteRefused, RemoteUnreachable
from core.events import EventBus, SyncChanged
from core.sync.choosing import StrategyChooser
from core.sync.history import SyncHistory
from core.sync.moving import SyncCancelled
from core.sync.remote_link import RemoteLink
from core.sync.standing import ASKS, Standing
from core.sync.strategy import pace_of
from core.sync.tables import SyncTables
from core.sync.telling import Telling

if TYPE_CHECKING:
    from core.sync.area_sync import AreaResult, AreaSync
    from core.sync.one_run import Outcome
    from core.sync.pulling import FetchPolicy

POLL = "poll"
"""Why the worker looks at the remote where nothing changed here."""


class Runner:
    """Safe from any thread; of several runs at once, in whatever processes, one goes on and the others wait."""

    def __init__(
        self,
        agentfs: AgentFS,
        settings: Settings,
        bus: EventBus,
        tables: SyncTables,
        history: SyncHistory,
        telling: Telling,
        link: RemoteLink,
        chooser: StrategyChooser,
        standing: Standing,
    ) -> None:
        self.link = link
        self.tables = tables
        self._agentfs = agentfs
        self._settings = settings
        self._bus = bus
        self._history = history
        self._telling = telling
        self._chooser = chooser
        self._standing = standing

    def policy(self, *, by_itself: bool = False) -> FetchPolicy:
        """What content moves under the strategy now; ``by_itself`` only small files go up, too."""
        from core.sync.pulling import FetchPolicy

        settings = self._settings.sync
        if not pace_of(self._chooser.note().strategy, settings).small_only:
            return FetchPolicy()
        small = settings.small_kb * 1000
        return FetchPolicy(small, small if by_itself else None)

    def run(
        self,
        why: str,
        policy: FetchPolicy,
        work: Callable[[AreaSync, AreaResult], None],
        is_ended: Callable[[], bool] | None = None,
    ) -> Outcome:
        """Have ``work`` done in each area, once it is known that the budget allows what ``policy`` would move.

        A run that nobody asked for has ``is_ended``, which says whether it is wanted no more. Raises BudgetUsed when
        the budget is used up, SyncCancelled for what nobody asked for while paused, and as ``RemoteLink.using``; what
        fails later is in the answer.
        """
        from core.sync.one_run import run_areas

        self.link.budget.require()
        strategy = self._chooser.note().strategy
        try:
            with self.link.using() as store:
                if is_ended is not None and (is_ended() or self._standing.paused):
                    raise SyncCancelled("Synchronising is paused.", "`bailiwick sync resume` goes on.")
                if why != POLL:
                    self._telling.begin()

                def areas() -> list[AreaSync]:
                    found = self.link.area_syncs(store)
                    if why != POLL:
                        self._require_affordable(found, policy)
                    return found

                try:
                    outcome = run_areas(store, areas, self.tables, work, why, strategy, self.link.budget.prices)
                    self._note(outcome)
                finally:
                    self._telling.end()
                    if why != POLL:
                        self.link.budget.settle()
                return outcome
        except (RemoteUnreachable, RemoteRefused) as error:
            self._note_error(error)
            raise

    def keep_news(self, outcome: Outcome) -> None:
        """Keep a run that nobody asked for, where it moved something or found something new to be wrong."""
        run = outcome.run
        newest = next(iter(self._history.runs(1)), None)
        is_news = bool(run.problem) and (newest is None or newest.problem != run.problem)
        if run.sent or run.received or is_news:
            self._history.add_run(run)

    def settled(self) -> None:
        """What was wrong is right."""
        self._standing.settled()
        self.changed()

    def changed(self) -> None:
        """Tell that something is other than it was."""
        self._bus.publish(SyncChanged())

    def _require_affordable(self, areas: list[AreaSync], policy: FetchPolicy) -> None:
        from core.sync.planning import planned

        budget = self.link.budget
        if budget.is_limited:
            budget.require(planned(areas, budget.prices, policy).operations)

    def _note(self, outcome: Outcome) -> None:
        from core.sync.outbox import AsksFirst

        error = outcome.error
        if error is not None and not isinstance(error, AsksFirst | SyncCancelled):
            self._note_error(error)
            return
        self.link.note_network()
        if isinstance(error, AsksFirst):
            if self._standing.asks != error.message:
                self._agentfs.settings.put(ASKS, error.message)
                self.changed()
        elif error is None and (self._standing.settled() or outcome.run.sent or outcome.run.received):
            # A look that finds nothing is no news to anybody.
            self.changed()

    def _note_error(self, error: BailiwickError) -> None:
        if isinstance(error, RemoteUnreachable):
            self.link.network.gave_up()
        self.link.note_network()
        self._standing.settled(error.message, error.hint)
        self.changed()
