"""Texts merged by lines: what neither side touched stays, what one side did is taken, the rest is asked."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conflicts.merging.alignment import blocks
from core.conflicts.merging.decisions import Choice, Decisions, resolve
from core.conflicts.merging.text_merge import Mark, lines, merge_text, word_changes
from core.conflicts.merging.three_way import Origin, regions

WORDS = st.sampled_from(["alpha", "beta", "gamma", "delta", "", "  x = 1", "}"])
TEXTS = st.lists(WORDS, max_size=12).map("\n".join) | st.lists(WORDS, max_size=12).map(
    lambda words: "".join(f"{word}\n" for word in words)
)


@st.composite
def edited(draw: st.DrawFn, base: str) -> str:
    """``base`` with some lines put in, taken out and changed."""
    made = lines(base)
    for number in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(made)))
        taken = draw(st.integers(0, 2))
        made[place : place + taken] = [f"{word}{number}\n" for word in draw(st.lists(WORDS, max_size=2))]
    return "".join(made)


@st.composite
def versions(draw: st.DrawFn) -> tuple[str, str, str]:
    """A base of different lines and two versions that were made of it, as happens in life."""
    base = "".join(f"{number} {word}\n" for number, word in enumerate(draw(st.lists(WORDS, max_size=10))))
    return base, draw(edited(base)), draw(edited(base))


ANY = st.tuples(TEXTS, TEXTS, TEXTS) | versions()


def all_at(decisions: Decisions, choice: Choice) -> object:
    return resolve(decisions.chosen(range(len(decisions.decisions)), choice)).content


def is_clean(decisions: Decisions) -> bool:
    return not decisions.open


@given(ANY)
def test_the_hunks_are_all_three_texts(texts: tuple[str, str, str]) -> None:
    base, local, remote = texts
    decisions = merge_text(base, local, remote)
    assert "".join(str(each.base) for each in decisions.decisions) == base
    assert all_at(decisions, Choice.LOCAL) == local
    assert all_at(decisions, Choice.REMOTE) == remote


@given(TEXTS, TEXTS)
def test_with_one_side_unchanged_the_other_is_the_result(base: str, changed: str) -> None:
    for local, remote in ((changed, base), (base, changed), (changed, changed)):
        decisions = merge_text(base, local, remote)
        assert resolve(decisions).content == changed
        assert is_clean(decisions)
        assert all(each.auto for each in decisions.decisions)


@given(ANY)
def test_the_sides_can_be_exchanged(texts: tuple[str, str, str]) -> None:
    base, local, remote = texts
    one, other = merge_text(base, local, remote), merge_text(base, remote, local)
    assert one.open == other.open
    assert [(each.base, each.local, each.remote) for each in one.decisions] == [
        (each.base, each.remote, each.local) for each in other.decisions
    ]
    assert resolve(one).content == resolve(other).content


@given(ANY)
def test_no_line_is_invented_and_none_dropped_that_neither_side_changed(texts: tuple[str, str, str]) -> None:
    base, local, remote = (lines(text) for text in texts)
    for region in regions(base, local, remote):
        if region.origin is Origin.UNCHANGED:
            assert region.base == region.local == region.remote
    decisions = merge_text(*texts)
    if is_clean(decisions):
        result = Counter(lines(str(resolve(decisions).content)))
        was, mine, theirs = Counter(base), Counter(local), Counter(remote)
        for line in was | mine | theirs | result:
            least = min(mine[line], theirs[line], was[line])
            assert result[line] >= least - (was[line] - least), line
            assert result[line] <= mine[line] + theirs[line], line
            if mine[line] == was[line] == theirs[line] and was[line] == 1:
                assert result[line] == 1 or line in {*_moved(base, local), *_moved(base, remote)}


def _moved(base: list[str], side: list[str]) -> set[str]:
    kept = {base[block.first + number] for block in blocks(base, side) for number in range(block.length)}
    return set(base) - kept


@given(versions())
def test_what_was_merged_merges_to_itself(texts: tuple[str, str, str]) -> None:
    base, local, remote = texts
    decisions = merge_text(base, local, remote)
    if is_clean(decisions):
        merged = str(resolve(decisions).content)
        for one, other in ((merged, merged), (merged, remote), (local, merged)):
            again = merge_text(base, one, other)
            assert is_clean(again)
            assert resolve(again).content == merged


@given(ANY)
def test_both_sides_can_be_taken_where_they_differ(texts: tuple[str, str, str]) -> None:
    decisions = merge_text(*texts)
    both = decisions.chosen(decisions.open, Choice.BOTH_LOCAL_FIRST)
    assert not both.open
    for number in decisions.open:
        for side in (decisions.decisions[number].local, decisions.decisions[number].remote):
            assert str(side).rstrip("\n") in str(resolve(both).content)


BASE = "# Harbour\n\nThe lighthouse is lit.\nThe pier is long.\nThe boats are out.\n\nEnd.\n"


def test_edits_apart_from_each_other_are_both_taken() -> None:
    local = BASE.replace("lit", "dark")
    remote = BASE.replace("End.", "The end.")
    decisions = merge_text(BASE, local, remote)
    assert resolve(decisions).content == BASE.replace("lit", "dark").replace("End.", "The end.")
    assert resolve(decisions).is_complete


def test_the_same_edit_counts_once() -> None:
    local = BASE.replace("The pier", "A new line.\nThe pier").replace("lit", "dark")
    remote = BASE.replace("The pier", "A new line.\nThe pier").replace("End.", "The end.")
    content = resolve(merge_text(BASE, local, remote)).content
    assert content == local.replace("End.", "The end.")


def test_different_edits_of_a_line_are_asked_for_with_what_is_equal_around_them_settled() -> None:
    local = BASE.replace("The pier is long.", "The pier is short.\nIt is old.")
    remote = BASE.replace("The pier is long.", "The pier is broken.\nIt is old.")
    decisions = merge_text(BASE, local, remote)
    [number] = decisions.open
    asked = decisions.decisions[number]
    assert asked.path == "line 4"
    assert (asked.base, asked.local, asked.remote) == (
        "The pier is long.\n", "The pier is short.\n", "The pier is broken.\n",
    )  # fmt: skip
    assert "The pier is long.\nIt is old.\n" in str(resolve(decisions).content), "base stands for what is open"
    taken = resolve(decisions.chosen([number], Choice.BOTH_REMOTE_FIRST))
    assert "The pier is broken.\nThe pier is short.\nIt is old.\n" in str(taken.content)
    custom = resolve(decisions.chosen([number], Choice.CUSTOM, "The pier is gone."))
    assert custom.content == BASE.replace("The pier is long.", "The pier is gone.\nIt is old.")


def test_a_line_deleted_here_and_changed_there_is_asked_for() -> None:
    decisions = merge_text(BASE, BASE.replace("The pier is long.\n", ""), BASE.replace("pier", "quay"))
    [number] = decisions.open
    assert decisions.decisions[number].local == ""


def test_two_texts_without_a_base_are_one_where_they_are_equal() -> None:
    decisions = merge_text("", "a\nb\nc\n", "a\nx\nc\nd\n")
    asked = [decisions.decisions[number] for number in decisions.open]
    assert [(each.local, each.remote) for each in asked] == [("b\n", "x\n"), ("", "d\n")]
    assert resolve(decisions.chosen(decisions.open, Choice.REMOTE)).content == "a\nx\nc\nd\n"
    assert resolve(merge_text("", "a\nc\n", "a\nb\nc\nd\n")).content == "a\nb\nc\nd\n", "one has all of the other"


def test_two_blocks_put_in_at_one_place_are_asked_for_whatever_else_was_changed() -> None:
    base = "first (\n  one\n)\n\nlast (\n  two\n)\n"
    here = base.replace("one", "ONE") + "\nhere (\n  three\n)\n"
    there = base + "\nthere (\n  four\n)\n"
    for local, remote in ((here, there), (there, here)):
        decisions = merge_text(base, local, remote)
        assert decisions.open
        made = resolve(decisions.chosen(decisions.open, Choice.BOTH_LOCAL_FIRST))
        assert str(made.content).startswith("first (\n  ONE\n)\n\nlast (\n  two\n)\n")


@pytest.mark.parametrize("side", ["local", "remote"])
def test_other_line_ends_are_taken_without_a_conflict_in_every_line(side: str) -> None:
    windows = BASE.replace("\n", "\r\n")
    edited_text = BASE.replace("lit", "dark")
    local, remote = (windows, edited_text) if side == "local" else (edited_text, windows)
    assert resolve(merge_text(BASE, local, remote)).content == windows.replace("lit", "dark")


def test_only_line_feeds_end_lines() -> None:
    text = "a\x0bb\u2028c\x85d\re\r\nf"
    assert lines(text) == ["a\x0bb\u2028c\x85d\re\r\n", "f"]
    assert resolve(merge_text(text, text, text + "g")).content == text + "g"


def test_a_large_text_of_equal_lines_takes_no_time() -> None:
    base = "same\n" * 30_000
    local, remote = "first\n" + base, base + "last\n"
    assert resolve(merge_text(base, local, remote)).content == "first\n" + base + "last\n"
    swapped = "\n".join(str(number % 7) for number in range(20_000))
    assert resolve(merge_text(swapped, swapped[::-1], swapped)).content == swapped[::-1]


@given(TEXTS, TEXTS)
def test_word_changes_are_both_texts(base: str, side: str) -> None:
    words = word_changes(base, side)
    assert "".join(each.text for each in words if each.mark is not Mark.ADDED) == base
    assert "".join(each.text for each in words if each.mark is not Mark.REMOVED) == side
    assert all(each.text for each in words)


def test_word_changes_name_the_words() -> None:
    found = word_changes("The pier is long.\n", "The old pier is short.\n")
    assert [(each.mark, each.text) for each in found if each.mark is not Mark.KEPT] == [
        (Mark.ADDED, "old "), (Mark.REMOVED, "long"), (Mark.ADDED, "short"),
    ]  # fmt: skip


@given(st.lists(st.integers(0, 6), max_size=20), st.lists(st.integers(0, 6), max_size=20))
def test_what_belongs_together_is_equal_and_in_order(one: list[int], other: list[int]) -> None:
    first = second = 0
    for block in blocks(one, other):
        assert block.length > 0
        assert block.first >= first
        assert block.second >= second
        first, second = block.first + block.length, block.second + block.length
        assert one[block.first : first] == other[block.second : second]
    assert [(each.first, each.length) for each in blocks(one, one)] == ([(0, len(one))] if one else [])
