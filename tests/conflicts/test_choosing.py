"""Choosing: every act can be taken back and done again, and a decision is known again by its three sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conflicts.merging.decisions import ABSENT, Choice, Choosing, resolve
from core.conflicts.merging.json_merge import merge_json
from core.conflicts.merging.text_merge import merge_text
from core.errors import InvalidInput

DECISIONS = merge_json(
    {"a": 1, "b": [1], "c": 1, "d": 1},
    {"a": 2, "b": [2], "c": 1, "e": 5},
    {"a": 3, "b": [3], "c": 2, "d": 2, "e": 6},
)
ACTS = st.tuples(
    st.sets(st.integers(0, len(DECISIONS.decisions) - 1)),
    st.sampled_from([Choice.LOCAL, Choice.REMOTE, Choice.BASE, Choice.UNRESOLVED, Choice.CUSTOM]),
    st.sampled_from([1, "x", None]),
)


@given(st.lists(ACTS, max_size=8), st.integers(0, 10), st.integers(0, 10))
def test_acts_are_undone_and_redone_in_order(acts, back: int, forth: int) -> None:
    states = [Choosing(DECISIONS)]
    for numbers, choice, custom in acts:
        following = states[-1].choose(numbers, choice, custom)
        if following != states[-1]:
            states.append(following)
    at = states[-1]
    place = len(states) - 1
    for _ in range(back):
        at, place = at.undo(), max(0, place - 1)
        assert at.decisions == states[place].decisions
    for _ in range(forth):
        expected = at.can_redo
        at = at.redo()
        place += expected
        assert at.decisions == states[place].decisions
    assert at.can_undo == (place > 0)
    assert at.can_redo == (place < len(states) - 1)


def test_a_new_act_ends_what_could_be_redone() -> None:
    choosing = Choosing(DECISIONS).choose([0], Choice.LOCAL).undo()
    assert choosing.can_redo
    assert not choosing.choose([0], Choice.REMOTE).can_redo


def test_everything_open_is_chosen_as_one_act_and_nothing_else_is_touched() -> None:
    choosing = Choosing(DECISIONS).choose_open(Choice.REMOTE)
    assert not choosing.decisions.open
    assert resolve(choosing.decisions).content == {"a": 3, "b": [3], "c": 2, "d": 2, "e": 6}
    assert [each.auto for each in choosing.decisions.decisions] == [each.auto for each in DECISIONS.decisions]
    assert choosing.undo().decisions == DECISIONS


def test_both_sides_are_chosen_where_that_can_be() -> None:
    choosing = Choosing(DECISIONS).choose_open(Choice.BOTH_REMOTE_FIRST)
    content = resolve(choosing.decisions).content
    assert content["b"] == [3, 2]  # type: ignore[index, call-overload]
    assert len(choosing.decisions.open) == len(DECISIONS.open) - 1
    with pytest.raises(InvalidInput, match="Of a one side can be taken, not both"):
        choosing.choose([0], Choice.BOTH_LOCAL_FIRST)


def test_what_was_merged_can_be_chosen_otherwise() -> None:
    number = next(number for number, each in enumerate(DECISIONS.decisions) if each.auto)
    chosen = DECISIONS.chosen([number], Choice.BASE)
    assert not chosen.decisions[number].auto
    assert chosen.decisions[number].outcome() == DECISIONS.decisions[number].base


def test_a_decision_is_known_again_as_long_as_its_sides_are_the_same() -> None:
    keys = [each.key for each in DECISIONS.decisions]
    assert len(set(keys)) == len(keys)
    assert [each.key for each in DECISIONS.chosen(range(len(keys)), Choice.LOCAL).decisions] == keys
    moved = merge_json(
        {"a": 1, "b": [1], "c": 1, "d": 1},
        {"a": 2, "b": [2], "c": 1, "e": 5},
        {"a": 4, "b": [3], "c": 2, "d": 2, "e": 6},
    )
    assert [each.path for each in moved.decisions if each.key not in keys] == ["a"]


def test_hand_written_choices_have_to_be_of_the_kind() -> None:
    hunks = merge_text("a\n", "b\n", "c\n")
    with pytest.raises(InvalidInput, match="is text"):
        hunks.chosen([0], Choice.CUSTOM, 5)
    assert resolve(hunks.chosen([0], Choice.CUSTOM, "d")).content == "d"
    assert resolve(hunks.chosen([0], Choice.CUSTOM, "")).content == ""
    assert resolve(merge_json({"a": 1}, {"a": 2}, {"a": 3}).chosen([0], Choice.CUSTOM, ABSENT)).content == {}
