"""What is fetched ahead: what was used most and latest, within a budget, on a good network only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.cache.bounds import CacheBounds, bounds_of, memory_allowed
from core.cache.prefetch import Candidate, library_candidates, prefetch_candidates, ranked, worth
from core.hardware.limits import calculate_optimal_limits
from core.hardware.memory import memory_left
from core.model import HardwareProfile, Kind, Sensitivity
from core.sync_model import NetworkQuality

NOW = datetime(2026, 11, 25, tzinfo=UTC)
CANDIDATES = st.builds(
    Candidate,
    path=st.text("abc/", min_size=1, max_size=5),
    area=st.sampled_from(["u-mara", "shared"]),
    size=st.integers(0, 10**7),
    uses=st.integers(0, 1000),
    kin_uses=st.integers(0, 1000),
    last_used=st.none() | st.integers(-400, 400).map(lambda days: NOW + timedelta(days=days)),
)


@given(st.lists(CANDIDATES, unique=True, max_size=12), st.integers(0, 2 * 10**7), st.randoms())
def test_the_budget_holds_and_the_order_of_asking_does_not_matter(candidates, budget, chance) -> None:
    chosen = ranked(candidates, budget, NOW)
    assert sum(each.size for each in chosen) <= budget
    assert [worth(each, NOW) for each in chosen] == sorted((worth(each, NOW) for each in chosen), reverse=True)
    chance.shuffle(candidates)
    assert ranked(candidates, budget, NOW) == chosen
    left = budget - sum(each.size for each in chosen)
    assert all(each in chosen or worth(each, NOW) == 0 or each.size > left for each in candidates)


@given(CANDIDATES, st.integers(1, 50), st.integers(1, 400), st.integers(1, 10**6))
def test_more_uses_later_and_smaller_is_worth_more(candidate, more, days, bytes_more) -> None:
    def like(**changes: object) -> Candidate:
        return Candidate(**{name: changes.get(name, getattr(candidate, name)) for name in Candidate.__slots__})

    before = worth(candidate, NOW)
    assert worth(like(uses=candidate.uses + more), NOW) >= before
    assert worth(like(size=candidate.size + bytes_more), NOW) <= before
    if candidate.last_used is not None:
        assert worth(like(last_used=candidate.last_used - timedelta(days=days)), NOW) <= before
    assert worth(like(last_used=None), NOW) == 0 == worth(like(uses=0, kin_uses=0), NOW)


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    opened = AgentFS(tmp_path / "w")
    with opened.database.transaction() as connection:
        connection.execute("INSERT INTO sync_areas (area, kind, name) VALUES ('u-mara', 'user', 'mara')")
    yield opened
    opened.close()


def placeholder(agentfs: AgentFS, path: str, item_id: str, size: int, *, present: int = 0) -> None:
    with agentfs.database.transaction() as connection:
        connection.execute(
            "INSERT INTO sync_base (area, path, version, kind, item_id, header, size, seq, present)"
            " VALUES ('u-mara', ?, 'v', 'document', ?, '{}', ?, 1, ?)",
            (path, item_id, size, present),
        )


def item(agentfs: AgentFS, path: str, library: str = "") -> str:
    write = ItemWrite(path, Kind.DOCUMENT, "mara", b"x", metadata={"library": library}, found=Sensitivity.NONE)
    with agentfs.database.transaction() as connection:
        return agentfs.items.put(connection, write).item_id


def test_what_was_opened_here_and_what_lies_beside_it_comes_first(agentfs: AgentFS) -> None:
    opened = item(agentfs, "harbour/charts/north.md")
    agentfs.items.record_usage({opened: 9}, NOW - timedelta(days=1))
    placeholder(agentfs, "harbour/charts/north.md", opened, 4_000)
    placeholder(agentfs, "harbour/charts/south.md", "another", 4_000)
    placeholder(agentfs, "attic/old.md", "old", 10)
    placeholder(agentfs, "harbour/charts/here.md", "here", 10, present=1)

    def chosen(network: NetworkQuality, budget: int) -> list[str]:
        return [each.path for each in prefetch_candidates(agentfs.database, network, budget, NOW)]

    both = ["harbour/charts/north.md", "harbour/charts/south.md"]
    assert chosen(NetworkQuality.EXCELLENT, 100_000) == chosen(NetworkQuality.GOOD, 8_000) == both
    assert chosen(NetworkQuality.GOOD, 7_999) == both[:1]
    assert chosen(NetworkQuality.POOR, 100_000) == chosen(NetworkQuality.OFFLINE, 100_000) == []
    assert chosen(NetworkQuality.GOOD, 0) == []


def test_a_library_is_worth_what_its_other_versions_were(agentfs: AgentFS) -> None:
    agentfs.items.record_usage({item(agentfs, "a/x.md", "harbour"): 3, item(agentfs, "b/y.md", "pier"): 1}, NOW)
    item(agentfs, "c/z.md", "never-opened")
    offered = {"harbour@2.0.0": 5_000, "pier@1.0.0": 5_000, "never-opened@1.0.0": 1, "unknown@1.0.0": 1}
    found = library_candidates(agentfs.database, offered, NetworkQuality.GOOD, 10_000, NOW)
    assert [each.path for each in found] == ["harbour@2.0.0", "pier@1.0.0"]
    assert library_candidates(agentfs.database, offered, NetworkQuality.POOR, 10_000, NOW) == []


def test_the_bounds_follow_the_machine_and_the_settings() -> None:
    small = calculate_optimal_limits(HardwareProfile(2, 4.0, False, None, None))
    large = calculate_optimal_limits(HardwareProfile(16, 64.0, False, None, None))
    assert bounds_of(small) == CacheBounds(256 * 2**20, 64 * 2**20, 1024 * 2**20)
    assert bounds_of(large) == CacheBounds(2048 * 2**20, 64 * 2**20, 8192 * 2**20)
    assert bounds_of(large, memory_mb=1, recent_mb=2, files_mb=3) == CacheBounds(2**20, 2 * 2**20, 3 * 2**20)


@given(st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, 10**11), st.integers(1, 10**11))
def test_memory_is_never_more_than_bound_nor_what_leaves_the_reserve(bound, held, available, total) -> None:
    allowed = memory_allowed(bound, held, available, total)
    assert 0 <= allowed <= bound
    assert allowed == 0 or available - (allowed - held) >= int(total * 0.1)


def test_the_memory_that_is_left_is_bounded_by_what_this_process_may_use() -> None:
    left, total = memory_left(2**62)
    assert 0 < left <= total
    assert memory_left(2**20) == (0, 2**20)
