"""How long a read takes in each tier of the cache, beside reading the remote folder itself and beside a miss.

    uv run python benchmarks/cache_tiers.py [--values N] [--bytes N] [--large N]

Every value is read once from each tier, in random order; the files' pages are warm, as they are in use.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.cache.bounds import CacheBounds
from core.cache.status import Tier
from core.cache.tiers import MultiTierCache
from core.ids import sha256_hex
from core.remote.folder import FolderStore

MEBIBYTE = 2**20


def timed(names: list[str], read: Callable[[str], object]) -> list[float]:
    """Microseconds of each read."""
    times = []
    for name in random.sample(names, len(names)):
        started = time.perf_counter()
        read(name)
        times.append((time.perf_counter() - started) * 1e6)
    return times


def told(label: str, times: list[float], size: int) -> None:
    """One line of the table."""
    times.sort()
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{label:34} {size:>9,} bytes  median {statistics.median(times):>9,.1f} µs   p99 {p99:>9,.1f} µs")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=2_000)
    parser.add_argument("--bytes", type=int, default=10 * 1024)
    parser.add_argument("--large", type=int, default=MEBIBYTE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        agentfs = AgentFS(root / "workspace")
        remote = root / "remote"
        remote.mkdir()
        store = FolderStore(remote)
        bounds = CacheBounds(512 * MEBIBYTE, 512 * MEBIBYTE, 4096 * MEBIBYTE)
        fewer = max(50, arguments.values // 20)
        for size, count in ((arguments.bytes, arguments.values), (arguments.large, fewer)):
            values = {f"{size}/{number}": os.urandom(size) for number in range(count)}
            names = list(values)
            for name, value in values.items():
                store.put(name, value)
            cache = MultiTierCache(agentfs.database, agentfs.root / "cache", bounds)
            started = time.perf_counter()
            cache.put_many(values)
            seconds = time.perf_counter() - started
            print(f"put together {count:,} values: {seconds:.2f} s, {count * size / seconds / MEBIBYTE:,.0f} MiB/s")
            told("the remote folder itself", timed(names, store.get), size)
            told("a miss", timed([f"no/{number}" for number in range(count)], cache.get), size)
            below = MultiTierCache(agentfs.database, agentfs.root / "cache", bounds)
            tiers = {below.find(name).tier for name in names[:1]}  # type: ignore[union-attr]
            below = MultiTierCache(agentfs.database, agentfs.root / "cache", bounds)
            told(f"tier {tiers.pop()}", timed(names, below.get), size)
            told(f"tier {Tier.MEMORY}", timed(names, below.get), size)
            below.close()
            if size == arguments.bytes:
                moved = MultiTierCache(agentfs.database, agentfs.root / "cache", CacheBounds(0, 1, 4096 * MEBIBYTE))
                moved.flush()
                told(f"tier {Tier.FILES}, small values", timed(names, moved.get), size)
                moved.close()
            wrong = [name for name, value in values.items() if sha256_hex(cache.get(name) or b"") != sha256_hex(value)]
            print(f"wrong answers: {len(wrong)}\n")
            cache.close()
        status = MultiTierCache(agentfs.database, agentfs.root / "cache", bounds).status()
        for tier in status.tiers:
            print(f"{tier.tier:7} {tier.entries:>6,} entries {tier.size / MEBIBYTE:>8,.1f} MiB {tier.hits:>7,} hits")
        agentfs.close()


if __name__ == "__main__":
    main()
