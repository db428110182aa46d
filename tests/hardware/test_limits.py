"""The table of limits: total, monotone, and strategy.md's own where that one is defined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.hardware.limits import LIMITS_TABLE, calculate_optimal_limits
from core.model import HardwareProfile, ResourceLimits

cores = st.integers(min_value=-2, max_value=4096)
memory = st.floats(allow_nan=True, allow_infinity=True)


def limits(cpu_cores: int, available_memory_gb: float) -> ResourceLimits:
    return calculate_optimal_limits(HardwareProfile(cpu_cores, available_memory_gb, False, None, None))


def agents_memory_cache(answer: ResourceLimits) -> tuple[int, int, int]:
    return answer.max_concurrent_agents, answer.memory_per_agent_mb, answer.cache_size_mb


@given(st.integers(0, 2), st.floats(0, 8))
def test_first_row_of_strategy(cpu_cores: int, gib: float) -> None:
    assert agents_memory_cache(limits(cpu_cores, gib)) == (1, 512, 256)


@given(st.integers(3, 4), st.floats(8, 16))
def test_second_row_of_strategy(cpu_cores: int, gib: float) -> None:
    assert agents_memory_cache(limits(cpu_cores, gib)) == (2, 1024, 512)


@given(st.integers(5, 8), st.floats(16, 32))
def test_third_row_of_strategy(cpu_cores: int, gib: float) -> None:
    assert agents_memory_cache(limits(cpu_cores, gib)) == (4, 2048, 1024)


@given(st.integers(9, 4096), st.floats(32, 1e6))
def test_fourth_row_of_strategy(cpu_cores: int, gib: float) -> None:
    assert agents_memory_cache(limits(cpu_cores, gib)) == (8, 4096, 2048)


@pytest.mark.parametrize(
    ("cpu_cores", "gib", "row"), [(2, 24.0, 0), (64, 4.0, 0), (8, 8.0, 1), (4, 256.0, 1), (16, 31.2, 2), (6, 1000.0, 2)]
)
def test_where_strategy_has_a_hole_the_scarcer_decides(cpu_cores: int, gib: float, row: int) -> None:
    assert limits(cpu_cores, gib).cache_size_mb == LIMITS_TABLE[row].cache_size_mb


@given(cores, memory)
def test_every_machine_has_limits_that_can_be_worked_with(cpu_cores: int, gib: float) -> None:
    answer = limits(cpu_cores, gib)
    assert any(agents_memory_cache(answer)[2] == row.cache_size_mb for row in LIMITS_TABLE)
    assert 1 <= answer.worker_threads <= 8
    assert answer.index_threads >= 1
    assert answer.index_memory_mb >= 256


@given(cores, cores, st.floats(0, 4096), st.floats(0, 4096))
def test_more_machine_never_allows_less(cores_a: int, cores_b: int, gib_a: float, gib_b: float) -> None:
    less = limits(min(cores_a, cores_b), min(gib_a, gib_b))
    more = limits(max(cores_a, cores_b), max(gib_a, gib_b))
    for name in ResourceLimits.__dataclass_fields__:
        assert getattr(less, name) <= getattr(more, name), name


@given(st.integers(2, 4096))
def test_one_core_is_left_for_the_screen(cpu_cores: int) -> None:
    answer = limits(cpu_cores, 64)
    assert answer.index_threads == cpu_cores - 1
    assert answer.worker_threads == min(8, cpu_cores - 1)
