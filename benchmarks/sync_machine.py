"""Many random runs of several devices over a faulty remote, every invariant checked at the end of each.

    uv run python benchmarks/sync_machine.py --runs 1000 [--first SEED] [--steps 40] [--rate 0.05]

Prints the seed of each run that violates one; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.sync.fleet import Violation, run
from tests.sync.test_sync_machine import folder


def main() -> int:
    """The runs, and what happened in them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rate", type=float, default=0.05)
    told = parser.parse_args()
    started = time.monotonic()
    counts: Counter[str] = Counter()
    rounds = violations = 0
    for seed in range(told.first, told.first + told.runs):
        root = folder()
        try:
            happened = run(root / "fleet", seed, told.steps, rate=told.rate)
            rounds = max(rounds, happened.pop("rounds"))
            counts.update(happened)
        except Violation as violation:
            violations += 1
            print(f"seed {seed}: {violation}", flush=True)
        finally:
            shutil.rmtree(root)
    happened_in_all = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    print(f"{told.runs:,} runs in {time.monotonic() - started:.0f} s: {violations} violations; {happened_in_all};")
    print(f"quiet after at most {rounds} rounds.")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
