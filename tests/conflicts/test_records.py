"""Records of conflicts: read as written, and the same on every device in whichever order they meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import (
    Asked,
    ConflictRecord,
    ConflictStatus,
    Side,
    conflict_id,
    merged,
    read_record,
    ruled,
    write_record,
)
from core.errors import InvalidInput

PATH = "decisions/lamp"
START = datetime(2026, 1, 1, tzinfo=UTC)
OUTCOME = Outcome(RuledBy.PERSON, Took.LOCAL, "It is newer.", "mara", "desk", START, None, "1", "2", "1")
outcomes = st.sampled_from([OUTCOME, replace(OUTCOME, who="ben", at=START + timedelta(minutes=1))])
DELETED = Side(None)
"""A deletion is one thing, whoever did it: it has neither content nor header."""
sides = st.builds(
    Side,
    st.none() | st.sampled_from(["a", "b", "c", "d"]),
    st.none() | st.binary(max_size=6),
    st.none() | st.just({"kind": "decision"}),
    st.sampled_from(["", "mara"]),
    st.sampled_from(["", "desk", "laptop"]),
    st.none() | st.just(START),
).map(lambda side: side if side.version is not None else DELETED)


@st.composite
def records(draw: st.DrawFn) -> ConflictRecord:
    opened = START + timedelta(minutes=draw(st.integers(0, 3)))
    status = draw(st.sampled_from(list(ConflictStatus)))
    return ConflictRecord(
        conflict_id(PATH, "base"),
        PATH,
        "decision",
        status,
        draw(st.none() | st.builds(Side, st.just("base"), st.none() | st.just(b"before"))),
        draw(sides),
        draw(sides),
        opened,
        opened + timedelta(minutes=draw(st.integers(0, 3))),
        tuple(draw(st.lists(sides, max_size=2))),
        draw(outcomes) if status is ConflictStatus.RESOLVED else None,
        asked=draw(st.none() | st.just(Asked("scout", START))) if status is ConflictStatus.OPEN else None,
        round=draw(st.integers(0, 2)),
        overruled=tuple(draw(st.lists(outcomes, max_size=1))),
    )


def versions(record: ConflictRecord) -> set[str | None]:
    return {each.version for each in (record.local, record.remote, *record.others)}


@given(records())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_record_is_read_as_it_was_written(record: ConflictRecord) -> None:
    assert read_record(write_record(record)) == record


@given(records(), records())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_two_records_become_the_same_one_on_both_sides_and_stay_it(one: ConflictRecord, other: ConflictRecord) -> None:
    both = merged(one, other)
    assert both == merged(other, one)
    assert versions(both) == versions(one) | versions(other)
    latest = [each for each in (one, other) if each.round == max(one.round, other.round)]
    resolved = [each for each in latest if each.status is ConflictStatus.RESOLVED]
    unruled = any(
        each.status is ConflictStatus.OPEN and not {each.local.version, each.remote.version} <= versions(ruling)
        for each in (one, other)
        for ruling in resolved
    )
    assert both.round == max(one.round, other.round) + (bool(resolved) and unruled)
    rulings = {each.outcome for each in (one, other)} | {*one.overruled, *other.overruled}
    assert {both.outcome, *both.overruled} | {None} == rulings | {None}
    assert (both.status is ConflictStatus.RESOLVED) == (bool(resolved) and not unruled)
    again = merged(both, one)
    assert again == merged(again, both) == merged(again, one)


def test_what_is_no_record_is_refused() -> None:
    whole = write_record(
        ConflictRecord("i", PATH, "decision", ConflictStatus.OPEN, None, Side("a", b"x"), Side(None), START, START)
    )
    for data in (
        b"",
        b"[]",
        whole.replace(b'"v":1', b'"v":2'),
        whole.replace(b'"open"', b'"ajar"'),
        whole.replace(b'"content":"x"', b'"content":"y"'),
        b'{"v":1}',
    ):
        with pytest.raises(InvalidInput):
            read_record(data)


def test_a_ruling_on_what_was_resolved_overrules_the_one_before_on_every_device() -> None:
    opened = ConflictRecord("i", PATH, "decision", ConflictStatus.OPEN, None, Side("a"), Side("b"), START, START)
    first = ruled(opened, OUTCOME)
    second = ruled(first, replace(OUTCOME, why="It is better.", at=START + timedelta(minutes=1)))
    assert second.overruled == (OUTCOME,)
    assert merged(first, second) == merged(second, opened) == second
