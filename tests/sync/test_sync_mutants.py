"""What the machine would find: each known mistake, put into the real code, breaks an invariant.

``benchmarks/sync_mutants.py`` counts how many of many runs find each.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sync.fleet import PATHS, Fleet, Interference, Violation, run
from tests.sync.mutants import (
    AGREEING,
    GAP,
    MUTANTS,
    taking_in_and_agreeing_are_apart,
    what_is_here_is_deleted_before_it_is_copied,
    what_is_here_is_not_looked_at_again,
)
from tests.sync.test_sync_machine import folder

Mutant = Callable[[pytest.MonkeyPatch], None]
MOST_RUNS = 20
RARE = (
    what_is_here_is_deleted_before_it_is_copied,
    what_is_here_is_not_looked_at_again,
    taking_in_and_agreeing_are_apart,
)
BY_CHANCE = {name: each for name, each in MUTANTS.items() if each not in RARE}


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path / "fleet", random.Random(0))
    yield made
    made.close()


def run_many(seeds: range) -> None:
    for seed in seeds:
        root = folder()
        try:
            run(root / "fleet", seed)
        finally:
            shutil.rmtree(root)


@pytest.mark.parametrize("mutant", BY_CHANCE.values(), ids=BY_CHANCE)
def test_the_machine_finds_out(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    with pytest.raises(Violation):
        run_many(range(MOST_RUNS))


def told(fleet: Fleet, right: bool) -> None:
    """Every invariant holds, or, if not ``right``, what the user wrote is lost."""
    if right:
        fleet.check()
    else:
        with pytest.raises(Violation, match="I1"):
            fleet.check()


@pytest.mark.parametrize("right", [True, False])
def test_a_crash_between_deleting_and_copying(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, right: bool) -> None:
    if not right:
        what_is_here_is_deleted_before_it_is_copied(monkeypatch)
    laptop, desk, _ = fleet.members
    fleet.write(laptop, "notes/x")
    fleet.settle()
    fleet.write(laptop, "notes/x")
    fleet.write(desk, "notes/x")
    fleet.sync(laptop)
    fleet.sync(desk, interference=Interference(crash_at=("after-look" if right else GAP, 1)))
    assert fleet.counts["crashes"] == 1
    told(fleet, right)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("paths", [PATHS[:1], PATHS], ids=["alone", "together"])
def test_the_user_writes_between_the_look_and_the_taking(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], right: bool
) -> None:
    if not right:
        what_is_here_is_not_looked_at_again(monkeypatch)
    laptop, desk, _ = fleet.members
    for _ in range(2):
        for path in paths:
            fleet.write(laptop, path)
        fleet.sync(laptop)
        if desk.syncing.read(PATHS[0]) is None:
            fleet.settle()
    fleet.sync(desk, interference=Interference(between=("after-look", lambda: fleet.write(desk, "notes/x"))))
    told(fleet, right)


@pytest.mark.parametrize("right", [True, False])
def test_a_crash_between_taking_in_and_agreeing(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, right: bool) -> None:
    if not right:
        taking_in_and_agreeing_are_apart(monkeypatch)
    laptop, desk, _ = fleet.members
    fleet.write(laptop, "notes/x")
    fleet.sync(laptop)
    fleet.sync(desk, interference=Interference(crash_at=("after-apply" if right else AGREEING, 1)))
    assert fleet.counts["crashes"] == 1
    assert desk.syncing.read("notes/x") is not None
    fleet.delete(desk, "notes/x")
    fleet.settle()
    assert (laptop.syncing.read("notes/x") is None) == right
