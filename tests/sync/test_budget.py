"""What requests cost this month, and the budget that stops before it is passed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.agentfs.database import Database
from core.agentfs.migration import migrate
from core.remote.meter import OperationMeter, PriceClass
from core.sync.budget import BATCH, UNDER_WAY, Budget, BudgetUsed
from core.sync.history import SyncHistory
from core.sync.prices import FREE, R2
from core.sync_model import Operations


@pytest.fixture
def history(tmp_path: Path) -> Iterator[SyncHistory]:
    database = Database(tmp_path / "agentfs.db")
    migrate(database, tmp_path)
    yield SyncHistory(database)
    database.close()


def following(history: SyncHistory, meter: OperationMeter, cents: int = 0) -> Budget:
    budget = Budget(history, cents)
    budget.follow(meter, R2)
    return budget


def request(meter: OperationMeter, price: PriceClass, count: int = 1) -> None:
    for _ in range(count):
        meter.count(price, 1.0, up=10)


def test_requests_are_counted_once_and_survive_a_restart(history: SyncHistory) -> None:
    meter = OperationMeter()
    budget = following(history, meter)
    request(meter, PriceClass.A, 3)
    request(meter, PriceClass.B, 2)
    assert budget.spending().operations == Operations(3, 2, 0, 50, 0)
    budget.settle()
    budget.settle()
    assert budget.spending().operations == Operations(3, 2, 0, 50, 0)
    # What another store did before is not this one's, and what this one did is kept.
    other = OperationMeter()
    request(other, PriceClass.A, 7)
    budget.follow(other, R2)
    request(other, PriceClass.FREE)
    assert budget.spending().operations == Operations(3, 2, 1, 60, 0)
    budget.settle()
    again = following(history, OperationMeter())
    assert again.spending().operations == Operations(3, 2, 1, 60, 0)
    assert again.spending().cost == pytest.approx((3 * 4.5 + 2 * 0.36) / 1e6)


def test_counts_are_written_in_batches_and_several_processes_add_up(history: SyncHistory) -> None:
    meter = OperationMeter()
    budget = following(history, meter)
    request(meter, PriceClass.B, BATCH - 1)
    budget.settle_batch()
    assert history.used() == Operations()
    request(meter, PriceClass.B)
    budget.settle_batch()
    assert history.used().class_b == BATCH

    def one() -> None:
        own = OperationMeter()
        counted = following(history, own)
        for _ in range(20):
            request(own, PriceClass.A)
            counted.settle()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert history.used().class_a == 80


def _spend(budget: Budget, meter: OperationMeter) -> int:
    """Make requests, as many at once as may be, until that is stopped; the answer is how many."""
    for done in range(0, 10_000, UNDER_WAY.class_a):
        try:
            budget.check()
        except BudgetUsed:
            return done
        request(meter, PriceClass.A, UNDER_WAY.class_a)
    return 10_000


def test_a_budget_stops_before_it_is_passed(history: SyncHistory) -> None:
    meter = OperationMeter()
    budget = following(history, meter, cents=1)
    budget.require()
    with pytest.raises(BudgetUsed, match=r"would cost about \$0\.0135, and \$0\.0100 .* \$0\.0100 are left") as refused:
        budget.require(Operations(class_a=3000))
    assert "sync.budget_cents" in refused.value.hint
    budget.require(Operations(class_a=2000))
    done = _spend(budget, meter)
    assert 2000 < done < 2300
    spent = budget.spending()
    assert spent.stopped
    assert spent.cost <= spent.budget == 0.01
    budget.settle()
    with pytest.raises(BudgetUsed, match="requests cost"):
        following(history, OperationMeter(), cents=1).require()
    following(history, OperationMeter(), cents=2).require()


def test_without_a_limit_or_a_price_nothing_stops(history: SyncHistory) -> None:
    meter = OperationMeter()
    unlimited, free = following(history, meter), Budget(history, 1)
    free.follow(meter, FREE)
    request(meter, PriceClass.A, 100_000)
    for budget in (unlimited, free):
        budget.require(Operations(class_a=10**9))
        budget.check()
        assert not budget.spending().stopped
        assert budget.least_poll_seconds(3) == 0.0


def test_looking_leaves_half_of_what_is_left(history: SyncHistory) -> None:
    budget = following(history, OperationMeter(), cents=100)
    early, late = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)
    seconds = budget.least_poll_seconds(3, early)
    assert R2.cost(Operations(class_b=3)) * (30 * 86_400 / seconds) == pytest.approx(0.5)
    assert budget.least_poll_seconds(3, late) < seconds
