"""What requests cost this month, counted as they are made and kept over restarts, and the budget they may not pass.

Counts are written in batches, each in one transaction; a process that dies loses at most one batch of the count.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from core.agentfs.database import now
from core.errors import InvalidInput
from core.remote.meter import OperationMeter
from core.sync.history import SyncHistory, this_month
from core.sync.prices import FREE, PriceList
from core.sync_model import Operations, Spending

BATCH = 50
"""So many requests are counted in memory before they are written."""
UNDER_WAY = Operations(class_a=32)
"""What may be under way while the budget is looked at: it is kept free, so that the budget is not passed."""
_CURE = "Raise `sync.budget_cents`, or wait for next month; everything stays here until then."


class BudgetUsed(InvalidInput):
    """The month's budget is used up, or would be."""


class Budget:
    """The requests of one workspace's remote. Safe from any thread; of several processes each counts its own."""

    def __init__(self, history: SyncHistory, cents: int) -> None:
        """``cents`` US cents may be spent in a month, 0 for as many as you like."""
        self._history = history
        self._limit = cents / 100
        self._lock = threading.Lock()
        self._meter: OperationMeter | None = None
        self._counted = Operations()
        self._prices = FREE
        self._known: Spending | None = None

    def follow(self, meter: OperationMeter, prices: PriceList) -> None:
        """Count the requests of ``meter`` from now on, at ``prices``."""
        self.settle()
        with self._lock:
            self._meter, self._counted, self._prices = meter, meter.total(), prices
            self._known = None

    def at(self, prices: PriceList) -> None:
        """Reckon with ``prices``, where no request was made yet."""
        with self._lock:
            if self._meter is None:
                self._prices = prices

    @property
    def prices(self) -> PriceList:
        """What requests cost."""
        return self._prices

    @property
    def is_limited(self) -> bool:
        """Whether requests cost anything, and may not cost any amount."""
        return self._limit > 0 and self._prices != FREE

    def settle(self) -> None:
        """Write down what was counted so far."""
        with self._lock:
            uncounted = self._uncounted()
            if uncounted != Operations():
                self._history.count(uncounted)
                self._counted += uncounted
            self._known = None

    def settle_batch(self) -> None:
        """As ``settle``, once enough was counted."""
        with self._lock:
            uncounted = self._uncounted()
        if uncounted.class_a + uncounted.class_b + uncounted.free >= BATCH:
            self.settle()

    def spending(self, stored_bytes: int = 0) -> Spending:
        """What this month cost so far, and may cost; ``stored_bytes`` lie in the remote."""
        spent = self._spent(self._history.used())
        return replace(spent, stored_bytes=stored_bytes, storage_cost=self._prices.storage_cost(stored_bytes))

    def require(self, planned: Operations = Operations()) -> None:  # noqa: B008 - frozen
        """Raise BudgetUsed when the budget is used up, or ``planned`` would pass it."""
        spent = self.spending()
        if not spent.budget:
            return
        if spent.stopped:
            raise used_up(spent)
        cost = self._prices.cost(planned)
        if spent.cost + cost > spent.budget:
            raise BudgetUsed(
                f"This sync would cost about {_money(cost)}, and {_money(spent.budget - spent.cost)} of this month's"
                f" budget of {_money(spent.budget)} are left.",
                _CURE,
            )

    def check(self) -> None:
        """Raise BudgetUsed when the next requests could pass the budget; asks no disk but once for each batch."""
        if not self.is_limited:
            return
        self.settle_batch()
        with self._lock:
            if self._known is None or self._known.month != this_month():
                self._known = self._reckoned(self._history.used())
            before = self._known
            cost = before.cost + self._prices.cost(self._uncounted())
        if self._passes(cost):
            raise used_up(replace(before, cost=cost))

    def least_poll_seconds(self, requests: int, moment: datetime | None = None) -> float:
        """Seconds between two looks of ``requests`` each, so that looking takes half of what is left this month."""
        cost = self._prices.cost(Operations(class_b=requests))
        if not self._limit or not cost:
            return 0.0
        moment = moment or now()
        left = max(0.0, self._limit - self._spent(self._history.used()).cost) / 2
        ends = (moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
        seconds = (ends - moment).total_seconds()
        return seconds * cost / left if left else seconds

    def _uncounted(self) -> Operations:
        return self._meter.total() - self._counted if self._meter is not None else Operations()

    def _spent(self, used: Operations) -> Spending:
        with self._lock:
            return self._reckoned(used + self._uncounted())

    def _reckoned(self, used: Operations) -> Spending:
        cost = self._prices.cost(used)
        return Spending(this_month(), used, cost, self._limit, self._passes(cost))

    def _passes(self, cost: float) -> bool:
        return self.is_limited and cost + self._prices.cost(UNDER_WAY) > self._limit


def used_up(spent: Spending) -> BudgetUsed:
    """What is said when the budget is used up."""
    return BudgetUsed(
        f"This month's requests cost {_money(spent.cost)}, and the budget is {_money(spent.budget)}.", _CURE
    )


def _money(dollars: float) -> str:
    return f"${dollars:,.4f}" if dollars < 0.1 else f"${dollars:,.2f}"
