"""What is asked, and how legs become one order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.model import Filters
from core.search.fusion import fuse
from core.search.query import Query, parse_inline, parse_where
from core.search.versions import nearest_version, same_version

LEG = st.lists(st.integers(0, 30), unique=True, max_size=15)


def test_a_query_too_long_is_one_sentence_with_the_numbers() -> None:
    with pytest.raises(InvalidInput, match="10,000 characters") as refusal:
        Query("x" * 10_000)
    assert refusal.value.hint


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_query_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        Query(text)


@pytest.mark.parametrize("limit", [0, -1, 10_000])
def test_a_senseless_number_of_hits_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInput, match="number of hits"):
        Query("x", limit=limit)


def test_typed_filters_leave_the_words() -> None:
    words, filters = parse_inline('lib:textual ver:8.2.8 scroll  "two words" lang:python where:format=rst std::vector')
    assert words == 'scroll "two words" std::vector'
    assert filters == Filters("python", "textual", "8.2.8", (("format", "rst"),))


@given(st.text(max_size=80))
def test_any_typed_text_is_understood_somehow(text: str) -> None:
    words, filters = parse_inline(text)
    assert isinstance(words, str)
    if ":" not in text:
        assert (words.split(), filters) == (text.split(), Filters())


def test_where_takes_key_and_value() -> None:
    assert parse_where(("a=b", "c=d=e", "f=")) == (("a", "b"), ("c", "d=e"), ("f", ""))
    for wrong in ("a", "=b"):
        with pytest.raises(InvalidInput):
            parse_where((wrong,))


@given(LEG, LEG)
def test_fusion_keeps_every_slot_once_and_scores_between_nought_and_one(left: list[int], right: list[int]) -> None:
    fused = fuse([left, right], [1.0, 1.0])
    assert sorted(slot for slot, _ in fused) == sorted(set(left) | set(right))
    assert all(0 < score <= 1 for _, score in fused)
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)


@given(LEG)
def test_fusing_a_leg_with_itself_changes_no_order(leg: list[int]) -> None:
    assert [slot for slot, _ in fuse([leg, leg], [1.0, 1.0])] == leg


def test_first_in_both_legs_scores_one() -> None:
    assert fuse([[7, 1], [7, 2]], [1.0, 1.0])[0] == (7, pytest.approx(1.0))


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("8.2.8", "8.2.8"),
        ("8.2", "8.2.8"),
        ("8", "8.2.8"),
        ("8.1.5", "8.1"),
        ("10", "9.0"),
        ("1", "7.0"),
        ("9.1", "9.0"),
    ],
)
def test_the_nearest_version(asked: str, nearest: str) -> None:
    assert nearest_version(asked, ["8.2.8", "8.1", "7.0", "9.0", ""]) == nearest


def test_nothing_is_near_nothing() -> None:
    assert nearest_version("1.0", ["", ""]) is None


@pytest.mark.parametrize(
    ("left", "right"), [("1.2", "1.2.0"), ("v1.2", "1.2"), ("main", "Main"), ("2024-01", "2024-01")]
)
def test_spellings_of_one_version(left: str, right: str) -> None:
    assert same_version(left, right)
    assert not same_version(left, right + ".1")
