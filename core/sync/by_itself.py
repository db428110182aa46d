"""What is synchronised without being asked for: the worker says when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_text
from core.cache.prefetch import GOOD_ENOUGH, prefetch_candidates
from core.config import Settings
from core.errors import Locked
from core.sync.choosing import StrategyChooser
from core.sync.running import POLL, Runner
from core.sync.telling import Telling
from core.sync_model import Area, AreaKind, StrategyChoice

if TYPE_CHECKING:
    from core.sync.area_sync import AreaResult, AreaSync
    from core.sync.garbage import Collected
    from core.sync.one_run import Outcome

CHANGES = "changes here"
LARGE = "large files"
"""Why what was left for a quiet time moves."""
LARGE_BYTES = 64 * 1024 * 1024
"""So much of that comes at once: something that changed meanwhile need not wait long."""
COLLECT_HOURS = 24.0
_COLLECTED = "sync.collected_at"


class ByItself:
    """Safe from any thread; each raises as ``Runner.run``."""

    def __init__(
        self, agentfs: AgentFS, settings: Settings, runner: Runner, chooser: StrategyChooser, telling: Telling
    ) -> None:
        self._agentfs = agentfs
        self._settings = settings
        self._runner = runner
        self._chooser = chooser
        self._telling = telling
        self._in_vain: object = None

    def sync(self, *, changed: bool, is_ended: Callable[[], bool] = lambda: False) -> Outcome:
        """Bring every area level as the strategy says: under adaptive what is large is left for ``move_large``.

        ``changed``: something did here. What is news is kept as a run.
        """
        from core.sync.one_run import level

        policy = self._runner.policy(by_itself=True)
        outcome = self._runner.run(CHANGES if changed else POLL, policy, level(policy, approved=False), is_ended)
        self._runner.keep_news(outcome)
        return outcome

    def move_large(self, is_ended: Callable[[], bool] = lambda: False) -> Outcome | None:
        """Send what is large, then fetch some of it, the most used first; ``None`` where there is nothing to move.

        What could not be moved is not tried again before something else is there to be moved.
        """
        from core.sync.one_run import level

        choice = self._chooser.note()
        if choice.network not in GOOD_ENOUGH:
            return None
        tables = self._runner.tables
        left = [(tables.pending_counts(each.id), tables.missing_counts(each.id)) for each in tables.areas()]
        waiting = any(pending[0] for pending, _ in left)
        wanted = {} if waiting else self._wanted(choice)
        if left == self._in_vain or not (waiting or wanted):
            return None
        policy = self._runner.policy()

        def work(area: AreaSync, total: AreaResult) -> None:
            if waiting:
                level(policy, approved=False)(area, total)
            elif paths := wanted.get(area.area.id):
                total.received += area.fetch(paths).received

        outcome = self._runner.run(LARGE, policy, work, is_ended)
        self._runner.keep_news(outcome)
        moved = bool(outcome.run.sent or outcome.run.received)
        self._in_vain = None if moved or outcome.error is not None else left
        return None if self._in_vain else outcome

    def collect_if_due(self) -> None:
        """Once a day, take away what nothing in the remote names any more."""
        last = self._agentfs.settings.get(_COLLECTED)
        if isinstance(last, str) and now() - from_text(last) < timedelta(hours=COLLECT_HOURS):
            return
        self._agentfs.settings.put(_COLLECTED, to_text(now()))
        if last is not None:
            self.collect()

    def collect(self) -> tuple[Collected, ...]:
        """Announce and delete what nothing in the remote names any more, and sweep ``temp/``."""
        from core.sync.garbage import collect, sweep_temporary

        link = self._runner.link
        link.budget.require()
        with link.using() as store:
            hours = float(self._settings.sync.grace_hours)
            done = tuple(collect(store, area, grace_hours=hours) for area in link.area_syncs(store))
            sweep_temporary(store)
        return done

    def has_changes(self) -> bool:
        """Whether something changed here that no sync has looked at yet."""
        from core.sync.local_tree import LocalTree

        user = self._settings.user.id
        tree = LocalTree(self._agentfs, user, self._runner.link.device_name)
        scanned = self._runner.tables.position(Area(AreaKind.USER, user).id).scanned
        try:
            return bool(tree.changed_since(scanned, 1)[0])
        except Locked:
            return True

    def look(self) -> bool:
        """Whether the remote answers: one request, which also measures the network."""
        answers = self._runner.link.look()
        self._runner.changed()
        return answers

    def least_poll_seconds(self) -> float:
        """How long to wait between two looks, so that looking does not use up the budget."""
        return self._runner.link.budget.least_poll_seconds(len(self._runner.tables.areas()))

    def rest(self, next_at: datetime | None) -> None:
        """Tell when the worker looks next, if it does."""
        self._telling.rest(next_at)

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
        for area in self._runner.tables.areas():
            for known in self._runner.tables.not_fetched(area.id, besides=PUBLISHED):
                if left <= 0:
                    break
                chosen.setdefault(area.id, []).append(known.path)
                left -= known.size
        return chosen
