"""Which step follows from three versions: laws of every combination, and trees that were made of one another."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.sync.planner import Step, step_for

VERSIONS = (None, "a", "b", "c")
Tree = dict[str, str]

paths = st.sampled_from(["x", "y", "z", "x/y", "w"])
trees = st.dictionaries(paths, st.sampled_from("abc"), max_size=5)
edits = st.lists(st.tuples(paths, st.sampled_from([None, "a", "b", "c", "d"])), max_size=4)


def perturbed(tree: Tree, changes: list[tuple[str, str | None]]) -> Tree:
    held = dict(tree)
    for path, version in changes:
        if version is None:
            held.pop(path, None)
        else:
            held[path] = version
    return held


def after(step: Step, local: str | None, remote: str | None) -> str | None:
    """What is here once the step was done."""
    return local if step in (Step.NOTHING, Step.KEEP) else remote


@pytest.mark.parametrize(("local", "base", "remote"), product(VERSIONS, repeat=3))
def test_laws_of_every_combination(local: str | None, base: str | None, remote: str | None) -> None:
    step = step_for(local, base, remote)
    here = after(step, local, remote)
    assert here in (local, remote)
    assert (step is Step.NOTHING) == (local == remote)
    if local == base:
        assert here == remote, "what only the remote changed is taken"
    if remote == base:
        assert here == local, "what only this side changed stays"
    if local not in (None, base) and here != local:
        assert step is Step.CONFLICT, "an edit is replaced only where it is kept as one side of a conflict"
    if remote not in (None, base) and here != remote:
        raise AssertionError("an edit of the remote is never passed over")
    changed_differently = None not in (local, remote) and base not in (local, remote) and local != remote
    assert (step is Step.CONFLICT) == changed_differently
    assert (step is Step.CONFLICT) == (step_for(remote, base, local) is Step.CONFLICT), "both sides see it alike"
    assert step_for(here, remote, remote) in (Step.NOTHING, Step.KEEP), "done once, it is done"


@settings(max_examples=300, deadline=None)
@given(trees, edits, edits, st.randoms(use_true_random=False))
def test_trees_made_of_one_another_come_level_in_any_order(
    base: Tree,
    here_edits: list[tuple[str, str | None]],
    there_edits: list[tuple[str, str | None]],
    chance: random.Random,
) -> None:
    local, remote = perturbed(base, here_edits), perturbed(perturbed(base, here_edits[:1]), there_edits)
    conflicts = set()
    order = sorted({*base, *local, *remote})
    chance.shuffle(order)
    for path in order:
        step = step_for(local.get(path), base.get(path), remote.get(path))
        if step is Step.CONFLICT:
            conflicts.add(path)
        result = after(step, local.get(path), remote.get(path))
        local.pop(path, None)
        if result is not None:
            local[path] = result
    # Both agree on the remote now; what differs still goes up, based on it, and there only the base moves.
    agreed = dict(remote)
    for path in {*local, *agreed}:
        if local.get(path) != agreed.get(path):
            assert step_for(agreed.get(path), agreed.get(path), local.get(path)) in (Step.TAKE, Step.DROP)
            agreed = perturbed(agreed, [(path, local.get(path))])
    assert agreed == local
    touched = {path for path, _ in here_edits} & {path for path, _ in here_edits[:1] + there_edits}
    assert conflicts <= touched, "who changed another path is in no conflict"
