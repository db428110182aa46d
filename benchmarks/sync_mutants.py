"""How many of many random runs find out each known mistake of such a protocol, put into the real code.

uv run python benchmarks/sync_mutants.py [--runs 100]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pytest

from tests.sync import fleet
from tests.sync.mutants import (
    AGREEING,
    GAP,
    MUTANTS,
    taking_in_and_agreeing_are_apart,
    what_is_here_is_deleted_before_it_is_copied,
)
from tests.sync.test_sync_machine import folder

GAPS = {what_is_here_is_deleted_before_it_is_copied: GAP, taking_in_and_agreeing_are_apart: AGREEING}
"""The points at which a mutant has to crash to be found out."""


def main() -> int:
    """One line for each mutant; the exit code is 1 when one was never found out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    missed = 0
    for name, mutant in MUTANTS.items():
        found: Counter[str] = Counter()
        with pytest.MonkeyPatch.context() as patch:
            mutant(patch)
            if mutant in GAPS:
                patch.setattr(fleet, "CRASHES", (*fleet.CRASHES, *[GAPS[mutant]] * 5))
            for seed in range(runs):
                root = folder()
                try:
                    fleet.run(root / "fleet", seed)
                except fleet.Violation as violation:
                    found[str(violation)[:2]] += 1
                finally:
                    shutil.rmtree(root)
        missed += not found
        by_name = ", ".join(f"{invariant} {count}" for invariant, count in sorted(found.items()))
        print(f"{name}: {found.total()} of {runs} ({by_name})", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
