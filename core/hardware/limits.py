"""What a machine of a given size allows: strategy.md's table, made total."""

from __future__ import annotations

from dataclasses import dataclass

from core.model import HardwareProfile, ResourceLimits

MOST_WORKER_THREADS = 8


@dataclass(frozen=True, slots=True)
class LimitsRow:
    """One row: the least cores and GiB of memory it asks for, and what it then allows."""

    from_cores: int
    from_memory_gb: float
    max_concurrent_agents: int
    memory_per_agent_mb: int
    cache_size_mb: int


# fmt: off
LIMITS_TABLE = (
    LimitsRow(from_cores=0, from_memory_gb=0,  max_concurrent_agents=1, memory_per_agent_mb=512,  cache_size_mb=256),
    LimitsRow(from_cores=3, from_memory_gb=8,  max_concurrent_agents=2, memory_per_agent_mb=1024, cache_size_mb=512),
    LimitsRow(from_cores=5, from_memory_gb=16, max_concurrent_agents=4, memory_per_agent_mb=2048, cache_size_mb=1024),
    LimitsRow(from_cores=9, from_memory_gb=32, max_concurrent_agents=8, memory_per_agent_mb=4096, cache_size_mb=2048),
)
# fmt: on


def calculate_optimal_limits(profile: HardwareProfile) -> ResourceLimits:
    """The limits for ``profile``: the last row of ``LIMITS_TABLE`` for which it has both the cores and the memory.

    Strategy.md's match arms leave holes that fall to the largest row (2 cores with 24 GB); here the scarcer of the two
    decides. Wherever one of its first three arms matches, the answer is the same. ``worker_threads`` and
    ``index_threads`` leave one core for the screen, and are at least 1; ``index_memory_mb`` is the cache's size.
    Total, never raises, monotone in cores and in memory; pure.
    """
    row = LIMITS_TABLE[0]
    for candidate in LIMITS_TABLE:
        if profile.cpu_cores >= candidate.from_cores and profile.available_memory_gb >= candidate.from_memory_gb:
            row = candidate
    spare_cores = max(1, profile.cpu_cores - 1)
    return ResourceLimits(
        max_concurrent_agents=row.max_concurrent_agents,
        memory_per_agent_mb=row.memory_per_agent_mb,
        cache_size_mb=row.cache_size_mb,
        worker_threads=min(MOST_WORKER_THREADS, spare_cores),
        index_threads=spare_cores,
        index_memory_mb=row.cache_size_mb,
    )
