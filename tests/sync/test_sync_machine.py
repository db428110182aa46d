"""Nothing is lost: random edits, faults, crashes and others' syncs in the middle, and then every invariant.

``benchmarks/sync_machine.py --runs N`` is the long form; a seed that it prints goes into ``SEEDS``.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from core.conflicts.outcomes import Took
from core.sync.pulling import EVERYTHING, FetchPolicy
from tests.sync.fleet import BETWEEN, CRASHES, LARGE, NAMES, PATHS, Fleet, Interference, Member, run

SEEDS = tuple(range(15))
MEMORY = Path("/dev/shm")
"""A file system in memory, where there is one: what is proven here does not need a disk."""

members = st.integers(0, len(NAMES) - 1)
paths = st.sampled_from(PATHS)


def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="bailiwick-fleet-", dir=MEMORY if MEMORY.is_dir() else None))


class SyncMachine(RuleBasedStateMachine):
    """Three devices of one user, and a fourth; hypothesis finds the shortest story that breaks an invariant."""

    def __init__(self) -> None:
        super().__init__()
        self.root = folder()
        self.fleet = Fleet(self.root / "fleet", random.Random(0))

    def member(self, number: int) -> Member:
        return self.fleet.members[number % len(self.fleet.members)]

    @rule(number=members, path=paths, large=st.booleans())
    def write(self, number: int, path: str, large: bool) -> None:
        self.fleet.write(self.member(number), path, large=large)

    @rule(number=members, path=paths)
    def delete(self, number: int, path: str) -> None:
        self.fleet.delete(self.member(number), path)

    @rule(number=members, path=paths, to=paths)
    def rename(self, number: int, path: str, to: str) -> None:
        self.fleet.rename(self.member(number), path, to)

    @rule(number=members)
    def count(self, number: int) -> None:
        self.fleet.count(self.member(number))

    @rule(number=members, take=st.sampled_from([Took.LOCAL, Took.REMOTE]))
    def rule_on_a_conflict(self, number: int, take: Took) -> None:
        self.fleet.rule(self.member(number), take)

    @rule(number=members, small=st.booleans())
    def sync(self, number: int, small: bool) -> None:
        self.fleet.sync(self.member(number), FetchPolicy(at_most=LARGE // 2) if small else EVERYTHING)

    @rule(number=members, seed=st.integers(0, 999))
    def sync_amid_faults(self, number: int, seed: int) -> None:
        self.fleet.store.reseed(seed)
        self.fleet.sync(self.member(number), rate=0.2)

    @rule(number=members, at=st.sampled_from(CRASHES), count=st.integers(1, 2))
    def sync_and_crash(self, number: int, at: str, count: int) -> None:
        self.fleet.sync(self.member(number), interference=Interference(crash_at=(at, count)))

    @rule(number=members, at=st.sampled_from(BETWEEN), path=paths, deletes=st.booleans())
    def sync_while_its_user_works(self, number: int, at: str, path: str, deletes: bool) -> None:
        member = self.member(number)

        def work() -> None:
            (self.fleet.delete if deletes else self.fleet.write)(member, path)

        self.fleet.sync(member, interference=Interference(between=(at, work)))

    @rule(number=members, other=st.integers(1, 2), at=st.sampled_from(BETWEEN), path=paths)
    def sync_while_another_syncs(self, number: int, other: int, at: str, path: str) -> None:
        member, second = self.member(number), self.member(number + other)

        def work() -> None:
            self.fleet.write(second, path)
            self.fleet.sync(second)

        if second is not member:
            self.fleet.sync(member, interference=Interference(between=(at, work)))

    @rule(number=members)
    def fetch(self, number: int) -> None:
        self.fleet.fetch(self.member(number))

    @rule(number=members)
    def forget_and_join_again(self, number: int) -> None:
        self.fleet.forget(self.member(number))

    @precondition(lambda self: len(self.fleet.members) < len(NAMES))
    @rule(path=paths)
    def join_late(self, path: str) -> None:
        self.fleet.write(self.fleet.join(), path)

    def teardown(self) -> None:
        try:
            self.fleet.check()
        finally:
            self.fleet.close()
            shutil.rmtree(self.root)


SyncMachine.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestSyncMachine = SyncMachine.TestCase


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_in_a_run_of_many_faults(seed: int) -> None:
    root = folder()
    try:
        counts = run(root / "fleet", seed, rate=0.1)
    finally:
        shutil.rmtree(root)
    print(f"seed {seed}: {counts}")
    assert counts["rounds"] <= 6
