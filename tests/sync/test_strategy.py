"""The table of strategies, the network's quality, prices, and how often something happens by itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import SyncSettings, load_settings
from core.errors import ConfigurationError
from core.remote.meter import Request
from core.sync.bandwidth import Bandwidth
from core.sync.network import RECENT_SECONDS, NetworkMonitor
from core.sync.prices import AWS, FREE, R2, prices_of
from core.sync.schedule import LONGEST_BACK_OFF, Schedule
from core.sync.schedule import RECENT_SECONDS as ACTIVE_SECONDS
from core.sync.strategy import TABLE, Pace, depends_on_network, determine_strategy, pace_of, volume_of
from core.sync_model import DataVolume, NetworkQuality, Operations, SyncStrategy, UserTier

SETTINGS: SyncSettings = load_settings(Path("/nowhere"), {"BAILIWICK_HOME": "/nowhere"}).sync
EAGERNESS = [SyncStrategy.ON_DEMAND, SyncStrategy.ADAPTIVE, SyncStrategy.REALTIME]
QUALITIES = [NetworkQuality.OFFLINE, NetworkQuality.POOR, NetworkQuality.GOOD, NetworkQuality.EXCELLENT]


def eagerness(tier: UserTier, network: NetworkQuality, volume: DataVolume) -> int:
    return EAGERNESS.index(determine_strategy(tier, network, volume).strategy)


# The table


@pytest.mark.parametrize("tier", UserTier)
@pytest.mark.parametrize("network", QUALITIES)
@pytest.mark.parametrize("volume", DataVolume)
def test_the_table_is_total_and_says_what_strategy_md_says(
    tier: UserTier, network: NetworkQuality, volume: DataVolume
) -> None:
    row = determine_strategy(tier, network, volume)
    assert row.reason.endswith(".")
    if network is NetworkQuality.OFFLINE:
        assert row.strategy is SyncStrategy.ON_DEMAND
    elif (tier, network) == (UserTier.PRO, NetworkQuality.EXCELLENT):
        assert row.strategy is SyncStrategy.REALTIME
    elif (tier, network) == (UserTier.PRO, NetworkQuality.GOOD):
        assert row.strategy is SyncStrategy.ADAPTIVE
    elif volume is DataVolume.HIGH:
        assert row.strategy is SyncStrategy.ON_DEMAND
    else:
        assert row.strategy is SyncStrategy.ADAPTIVE


def test_more_never_makes_the_strategy_lazier_and_every_row_decides_somewhere() -> None:
    for tier, volume in itertools.product(UserTier, DataVolume):
        ranks = [eagerness(tier, network, volume) for network in QUALITIES]
        assert ranks == sorted(ranks)
    for network in QUALITIES:
        for volume in DataVolume:
            assert eagerness(UserTier.FREE, network, volume) <= eagerness(UserTier.PRO, network, volume)
        for tier in UserTier:
            assert eagerness(tier, network, DataVolume.HIGH) <= eagerness(tier, network, DataVolume.LOW)
    deciding = {determine_strategy(*case) for case in itertools.product(UserTier, QUALITIES, DataVolume)}
    assert deciding == set(TABLE)


def test_high_volume_has_a_number_and_only_where_the_network_matters_it_is_probed() -> None:
    limit = SETTINGS.high_volume_mb * 1_000_000
    assert (volume_of(limit, SETTINGS), volume_of(limit + 1, SETTINGS)) == (DataVolume.LOW, DataVolume.HIGH)
    assert depends_on_network(UserTier.PRO, DataVolume.HIGH)
    assert not depends_on_network(UserTier.FREE, DataVolume.HIGH)
    assert pace_of(SyncStrategy.ON_DEMAND, SETTINGS).by_itself is False


def test_thresholds_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bailiwick.yml").write_text("sync:\n  excellent_ms: 300\n")
    with pytest.raises(ConfigurationError, match=r"sync\.good_ms is 200 and sync\.excellent_ms is 300"):
        load_settings(tmp_path, {"BAILIWICK_HOME": str(tmp_path)})


# The network


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def answered(milliseconds: float, size: int = 0) -> Request:
    return Request(milliseconds, 0, size, answered=True)


LOST = Request(5000.0, 0, 0, answered=False)


def measured(monitor: NetworkMonitor, *requests: Request) -> NetworkQuality:
    for request in requests:
        monitor.heard(request)
    return monitor.sample().quality


def test_the_quality_follows_round_trips_and_failures() -> None:
    def fresh(*requests: Request) -> NetworkQuality:
        return measured(NetworkMonitor(SETTINGS, clock=Clock()), *requests)

    assert fresh(*[answered(20)] * 5) is NetworkQuality.EXCELLENT
    assert fresh(*[answered(100)] * 5) is NetworkQuality.GOOD
    assert fresh(*[answered(900)] * 5) is NetworkQuality.POOR
    assert fresh(*[answered(20), LOST] * 10) is NetworkQuality.POOR
    assert fresh(answered(20), *[LOST] * SETTINGS.offline_failures) is NetworkQuality.OFFLINE
    # What is large takes long on any network, and tells the rate instead.
    monitor = NetworkMonitor(SETTINGS, clock=Clock())
    assert measured(monitor, *[answered(20)] * 5, *[answered(4000, 8_000_000)] * 9) is NetworkQuality.EXCELLENT
    assert monitor.sample().bytes_per_second == pytest.approx(2_000_000)


def test_what_was_measured_long_ago_does_not_count() -> None:
    clock = Clock()
    monitor = NetworkMonitor(SETTINGS, clock=clock)
    assert not monitor.is_measured
    assert measured(monitor, *[answered(900)] * 30) is NetworkQuality.POOR
    assert monitor.is_measured
    clock.at = RECENT_SECONDS + 1
    assert not monitor.is_measured
    assert measured(monitor, *[answered(20)] * 3) is NetworkQuality.EXCELLENT


def test_giving_up_means_offline_unless_the_remote_answered() -> None:
    monitor = NetworkMonitor(SETTINGS, clock=Clock())
    monitor.heard(answered(20))
    monitor.gave_up()
    assert monitor.sample().quality is not NetworkQuality.OFFLINE
    monitor.heard(LOST)
    monitor.gave_up()
    assert monitor.sample().quality is NetworkQuality.OFFLINE
    assert measured(monitor, answered(20)) is NetworkQuality.POOR


@given(st.lists(st.floats(0.85, 1.15), min_size=1, max_size=60))
def test_at_a_limit_the_quality_does_not_flap(wobble: list[float]) -> None:
    clock = Clock()
    for limit in (SETTINGS.excellent_ms, SETTINGS.good_ms):
        monitor = NetworkMonitor(SETTINGS, clock=clock)
        measured(monitor, *[answered(limit * 0.5)] * 40)
        seen = [monitor.sample().quality]
        for factor in wobble:
            clock.at += RECENT_SECONDS / 3
            seen.append(measured(monitor, answered(limit * factor)))
        assert sum(before is not after for before, after in itertools.pairwise(seen)) <= 1


@given(st.lists(st.one_of(st.just(LOST), st.floats(0, 10_000).map(answered)), max_size=80))
def test_every_history_of_requests_has_a_quality(requests: list[Request]) -> None:
    monitor = NetworkMonitor(SETTINGS, clock=Clock())
    sample = None
    for request in requests:
        monitor.heard(request)
        sample = monitor.sample()
    if sample is not None:
        assert 0 <= sample.failures <= 1
        tail = requests[-SETTINGS.offline_failures :]
        lost = len(tail) == SETTINGS.offline_failures and all(not each.answered for each in tail)
        assert (sample.quality is NetworkQuality.OFFLINE) == lost


# Prices


def test_prices_are_those_of_the_list() -> None:
    r2 = prices_of("s3://docs?endpoint=https://a.r2.cloudflarestorage.com&profile=r2")
    assert r2 == R2
    assert r2.cost(Operations(class_a=1_000_000, class_b=1_000_000, free=9)) == pytest.approx(4.86)
    assert r2.storage_cost(10**12) == pytest.approx(15.0)
    assert prices_of("s3://docs?region=eu-central-1") == AWS
    assert prices_of("s3://docs?endpoint=http://127.0.0.1:9") == R2
    assert prices_of("/media/stick") == prices_of("https://docs.example.org") == FREE


# The schedule


def schedule() -> Schedule:
    return Schedule(0.0, jitter=lambda: 1.0)


def due(each: Schedule, pace: Pace, moment: float) -> float:
    found = each.due_at(pace, moment)
    assert found is not None
    return found


REALTIME = pace_of(SyncStrategy.REALTIME, SETTINGS)
ADAPTIVE = pace_of(SyncStrategy.ADAPTIVE, SETTINGS)


def test_realtime_sends_after_its_batch_and_asks_often_while_something_comes() -> None:
    each = schedule()
    assert due(each, REALTIME, 7.0) == 7.0
    each.ran(7.0, 8.0, received=True, failed=False)
    assert due(each, REALTIME, 8.0) == 8.0 + REALTIME.poll_seconds
    each.ran(100.0, 100.0, received=False, failed=False)
    assert due(each, REALTIME, 100.0) == 100.0 + REALTIME.poll_seconds
    moment, waits = 8.0 + ACTIVE_SECONDS, []
    for _ in range(8):
        each.ran(moment, moment, received=False, failed=False)
        waits.append(due(each, REALTIME, moment) - moment)
        moment += waits[-1]
    assert waits == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]
    moment -= waits[-1]
    each.changed(moment + 1.0)
    each.changed(moment + 2.5)
    assert due(each, REALTIME, moment) == moment + 1.0 + REALTIME.batch_seconds


def test_adaptive_waits_until_nothing_more_changes_but_not_for_ever() -> None:
    each = schedule()
    each.ran(0.0, 0.0, received=False, failed=False)
    pace = Pace(5, 30, 1000, 1000, small_only=True, by_rate=True)
    each.changed(10.0)
    assert due(each, pace, 10.0) == 15.0
    for moment in range(12, 60, 2):
        each.changed(float(moment))
    assert due(each, pace, 60.0) == 40.0


def test_adaptive_asks_by_how_often_something_comes() -> None:
    each = schedule()
    for moment in range(0, 400, 40):
        each.ran(float(moment), float(moment), received=True, failed=False)
    assert due(each, ADAPTIVE, 360.0) - 360.0 == ADAPTIVE.poll_seconds
    waits = []
    for moment in (400.0, 800.0, 1600.0, 86_400.0):
        each.ran(moment, moment, received=False, failed=False)
        waits.append(due(each, ADAPTIVE, moment) - moment)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (ADAPTIVE.poll_seconds, ADAPTIVE.idle_seconds)
    assert each.due_at(ADAPTIVE, 86_400.0, 900.0) == 87_300.0


def test_what_changes_during_a_sync_waits_for_the_next_and_failures_back_off() -> None:
    each = schedule()
    each.changed(1.0)
    each.ran(5.0, 20.0, received=False, failed=False)
    assert each.first_change is None
    each.changed(30.0)
    each.ran(25.0, 40.0, received=False, failed=False)
    assert each.first_change == 30.0
    waits = []
    for _ in range(9):
        each.ran(50.0, 50.0, received=False, failed=True)
        waits.append(due(each, REALTIME, 50.0) - 50.0)
    assert waits[:3] == [4.0, 8.0, 16.0]
    assert waits[-1] == LONGEST_BACK_OFF
    assert each.first_change == 30.0
    each.ran(60.0, 60.0, received=False, failed=False)
    assert each.failures == 0


def test_on_demand_does_nothing_and_offline_is_asked_ever_more_rarely() -> None:
    each = schedule()
    assert each.due_at(pace_of(SyncStrategy.ON_DEMAND, SETTINGS), 0.0) is None
    waits = []
    for _ in range(8):
        each.ran(0.0, 0.0, received=False, failed=True)
        waits.append(each.look_due_at(0.0))
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    each.is_back()
    assert due(each, ADAPTIVE, 3.0) == 3.0


@given(
    st.lists(st.tuples(st.floats(0.1, 500), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([REALTIME, ADAPTIVE]),
)
def test_whatever_happens_something_is_due_within_bounds(
    steps: list[tuple[float, bool, bool, bool]], pace: Pace
) -> None:
    each, moment = schedule(), 0.0
    for wait, received, failed, changed in steps:
        moment += wait
        if changed:
            each.changed(moment)
        else:
            each.ran(moment, moment, received=received, failed=failed)
        if each.looked_at is not None:
            longest = max(pace.idle_seconds, LONGEST_BACK_OFF)
            assert due(each, pace, moment) <= max(moment, each.looked_at + longest)


# Bandwidth


def test_transfers_together_keep_to_the_bandwidth() -> None:
    clock, asked = Clock(), []

    def pause(seconds: float) -> None:
        clock.at += seconds

    limited = Bandwidth(100_000, clock, pause)
    for _ in range(50):
        limited.spent(10_000, lambda: asked.append(clock.at))
    assert 500_000 / (clock.at + 1.0) <= 100_000 <= 500_000 / (clock.at - 1.0)
    assert asked
    at = clock.at
    Bandwidth(0, clock, pause).spent(10**9)
    assert clock.at == at

    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        limited.spent(10**9, stop)
