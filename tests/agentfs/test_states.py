"""Versioned state: compare-and-set, history, differences, restore, expiry, quota, listing, and what JSON survives."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from acting import ADA, join, pass_time, reopened
from hypothesis import given, settings
from hypothesis import strategies as st

from core.agent_model import StateOperation, StateVersion
from core.agentfs.agentfs import AgentFS
from core.agentfs.contents import INLINE_BYTES
from core.agentfs.policy import AgentPolicy
from core.errors import InvalidInput, NotFound, QuotaExceeded, StateConflict
from core.ids import sha256_hex
from core.json_diff import Difference, JSONChange, differences
from core.model import JSONValue, Kind

PATIENCE_SECONDS = 20.0
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON: st.SearchStrategy[JSONValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
    | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=20,
)


def exact(value: JSONValue) -> str:
    """A text that differs wherever two JSON values do, 1, 1.0 and True apart; the order of keys aside."""
    return json.dumps(value, sort_keys=True)


def operations(history: list[StateVersion]) -> list[tuple[int, StateOperation]]:
    return [(entry.version, entry.operation) for entry in history]


# Compare and set


def test_versions_count_up_and_every_write_says_what_is_there_now(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    first = agentfs.states.put("nia", "plan", {"b": 1, "a": [1.0, None]}, by=nia)
    second = agentfs.states.put("nia", "plan", "done", by=nia, expect=1)
    assert (first.version, second.version) == (1, 2)
    assert first.id == second.id
    assert first.size == len('{"a":[1.0,null],"b":1}')
    held = agentfs.states.get(nia.id, "plan")
    assert held == second
    assert (held.value, held.agent_id, held.key, held.expires_at) == ("done", nia.id, "plan", None)


def test_a_lost_race_tells_the_value_and_version_that_won(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.states.put("nia", "plan", 1, by=nia, expect=0)
    agentfs.states.put("nia", "plan", {"by": "sam"}, by=sam, expect=1)
    with pytest.raises(StateConflict, match="plan was expected at version 1, but version 2 is current") as lost:
        agentfs.states.put("nia", "plan", "mine", by=nia, expect=1)
    assert lost.value.facts == {"value": {"by": "sam"}, "version": 2}
    with pytest.raises(StateConflict) as lost:
        agentfs.states.put("nia", "plan", "mine", by=nia, expect=0)
    assert lost.value.facts["version"] == 2
    with pytest.raises(StateConflict):
        agentfs.states.delete("nia", "plan", by=nia, expect=1)
    with pytest.raises(StateConflict):
        agentfs.states.restore("nia", "plan", 1, by=nia, expect=1)
    assert agentfs.states.get("nia", "plan").value == {"by": "sam"}
    assert len(agentfs.states.history("nia", "plan")) == 2


def test_a_version_expected_where_there_is_no_value_is_a_lost_race(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(StateConflict, match="expected at version 1, but there is no value") as lost:
        agentfs.states.put("nia", "plan", 1, by=nia, expect=1)
    assert lost.value.facts == {"value": None, "version": 0}
    with pytest.raises(NotFound):
        agentfs.states.history("nia", "plan")


def test_of_many_threads_that_add_one_none_is_lost(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "count", 0, by=nia)

    def add() -> None:
        for _ in range(10):
            while True:
                held = agentfs.states.get("nia", "count")
                assert isinstance(held.value, int)
                try:
                    agentfs.states.put("nia", "count", held.value + 1, by=nia, expect=held.version)
                    break
                except StateConflict:
                    continue

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = agentfs.states.get("nia", "count")
    assert (held.value, held.version) == (40, 41)


# History


def test_history_keeps_every_version_with_who_wrote_it(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam", session_id="s1")
    agentfs.states.put("nia", "plan", "a", by=nia)
    agentfs.states.put("nia", "plan", "b", by=sam)
    agentfs.states.delete("nia", "plan", by=ADA)
    agentfs.states.restore("nia", "plan", 1, by=ADA, expect=0)
    newest, deleted, second, first = agentfs.states.history("nia", "plan")
    assert operations([newest, deleted, second, first]) == [
        (4, StateOperation.RESTORE),
        (3, StateOperation.DELETE),
        (2, StateOperation.PUT),
        (1, StateOperation.PUT),
    ]
    assert [entry.actor for entry in (first, second, deleted)] == [nia.id, sam.id, "ada"]
    assert (first.session_id, second.session_id) == (None, "s1")
    assert first.sha256 == newest.sha256 == sha256_hex(b'"a"')
    assert deleted.sha256 is None
    assert (newest.restored_from, second.restored_from) == (1, None)
    assert first.at <= second.at <= deleted.at <= newest.at
    assert agentfs.states.value_at("nia", "plan", 2) == "b"
    with pytest.raises(NotFound, match=r"Version 3 of plan holds no value \(delete\)"):
        agentfs.states.value_at("nia", "plan", 3)
    with pytest.raises(NotFound, match="plan has no version 5") as refusal:
        agentfs.states.value_at("nia", "plan", 5)
    assert refusal.value.hint == "Versions 1 to 4 are there."


def test_a_deleted_key_is_absent_and_counts_on(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "plan", 1, by=nia)
    assert agentfs.states.delete("nia", "plan", by=nia, expect=1) == 2
    with pytest.raises(NotFound, match="nia has no state plan"):
        agentfs.states.get("nia", "plan")
    with pytest.raises(NotFound):
        agentfs.states.delete("nia", "plan", by=nia)
    with pytest.raises(StateConflict):
        agentfs.states.put("nia", "plan", 2, by=nia, expect=2)
    assert agentfs.states.put("nia", "plan", 2, by=nia, expect=0).version == 3


@pytest.mark.parametrize("size", [10, INLINE_BYTES - 2, INLINE_BYTES])
def test_old_values_of_any_size_stay_readable(agentfs: AgentFS, size: int) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "big", "x" * size, by=nia)
    agentfs.states.put("nia", "big", "y" * size, by=nia)
    agentfs.states.delete("nia", "big", by=nia)
    agentfs.contents.discard_unused([sha256_hex(json.dumps("x" * size).encode())])
    assert agentfs.states.value_at("nia", "big", 1) == "x" * size
    assert agentfs.states.restore("nia", "big", 2, by=nia).value == "y" * size


def test_an_equal_value_is_a_version_too(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    assert [agentfs.states.put("nia", "plan", 1, by=nia).version for _ in range(3)] == [1, 2, 3]


# Differences


def test_a_difference_names_each_place(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "plan", {"a/b": 1, "kept": [1, 2, 3], "gone": None, "~": True}, by=nia)
    agentfs.states.put("nia", "plan", {"a/b": 1.0, "kept": [1, 5], "new": {}, "~": 1}, by=nia)
    assert agentfs.states.diff("nia", "plan", 1, 2) == [
        JSONChange("/a~1b", Difference.CHANGED, 1, 1.0),
        JSONChange("/gone", Difference.REMOVED, None, None),
        JSONChange("/kept/1", Difference.CHANGED, 2, 5),
        JSONChange("/kept/2", Difference.REMOVED, 3, None),
        JSONChange("/~0", Difference.CHANGED, True, 1),
        JSONChange("/new", Difference.ADDED, None, {}),
    ]


def applied(before: JSONValue, changes: list[JSONChange]) -> JSONValue:
    """``before`` with the changes made, by their JSON Pointers alone; what is removed goes last place first."""
    root: list[JSONValue] = [json.loads(json.dumps(before))]
    removals = [change for change in changes if change.difference is Difference.REMOVED]
    others = [change for change in changes if change.difference is not Difference.REMOVED]
    for change in [*reversed(removals), *others]:
        steps = ["0", *(step.replace("~1", "/").replace("~0", "~") for step in change.path.split("/")[1:])]
        holder: JSONValue = root
        for step in steps[:-1]:
            holder = holder[int(step)] if isinstance(holder, list) else holder[step]  # type: ignore[index]
        if isinstance(holder, list):
            place = int(steps[-1])
            holder[place : place + 1] = [] if change.difference is Difference.REMOVED else [change.after]
        else:
            assert isinstance(holder, dict)
            if change.difference is Difference.REMOVED:
                del holder[steps[-1]]
            else:
                holder[steps[-1]] = change.after
    return root[0]


@settings(max_examples=200, deadline=None)
@given(before=JSON, after=JSON)
def test_the_differences_lead_from_one_value_to_the_other(before: JSONValue, after: JSONValue) -> None:
    changes = differences(before, after)
    assert exact(applied(before, changes)) == exact(after)
    assert (changes == []) == (exact(before) == exact(after))


# Expiry


def test_an_expired_value_reads_as_absent_and_its_end_is_a_version(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    held = agentfs.states.put("nia", "token", "t", by=nia, expires_in=60)
    assert held.expires_at is not None
    assert agentfs.states.expire() == 0
    pass_time(agentfs.database, 61)
    with pytest.raises(NotFound):
        agentfs.states.get("nia", "token")
    with pytest.raises(NotFound):
        agentfs.states.delete("nia", "token", by=nia)
    assert agentfs.states.all("nia") == []
    assert agentfs.states.expire() == 1
    assert agentfs.states.expire() == 0
    newest = agentfs.states.history("nia", "token")[0]
    assert (newest.version, newest.operation, newest.actor) == (2, StateOperation.EXPIRE, agentfs.device)
    assert agentfs.states.value_at("nia", "token", 1) == "t"
    assert agentfs.items.get(held.id).deleted  # type: ignore[union-attr]


@pytest.mark.parametrize("engine_was_there", [True, False])
def test_a_write_after_expiry_goes_on_from_no_value(agentfs: AgentFS, engine_was_there: bool) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "token", "t", by=nia, expires_in=60)
    pass_time(agentfs.database, 61)
    if engine_was_there:
        agentfs.states.expire()
    with pytest.raises(StateConflict, match="there is no value") as lost:
        agentfs.states.put("nia", "token", "u", by=nia, expect=1)
    assert lost.value.facts == {"value": None, "version": 0}
    assert agentfs.states.put("nia", "token", "u", by=nia, expect=0).version == 3
    assert operations(agentfs.states.history("nia", "token")) == [
        (3, StateOperation.PUT),
        (2, StateOperation.EXPIRE),
        (1, StateOperation.PUT),
    ]


def test_a_write_without_an_expiry_stays(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "token", 1, by=nia, expires_in=60)
    agentfs.states.put("nia", "token", 2, by=nia)
    pass_time(agentfs.database, 61)
    assert agentfs.states.expire() == 0
    assert agentfs.states.get("nia", "token").value == 2


def test_a_moment_comes_by_itself(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "token", 1, by=nia, expires_in=0.05)
    end = time.monotonic() + PATIENCE_SECONDS
    while agentfs.states.all("nia"):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert agentfs.states.expire() == 1


@pytest.mark.parametrize("seconds", [0, -1, 11 * 366 * 86400, float("nan"), float("inf")])
def test_an_expiry_that_is_no_time_is_refused(agentfs: AgentFS, seconds: float) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(InvalidInput, match="expiry"):
        agentfs.states.put("nia", "token", 1, by=nia, expires_in=seconds)


# Quota

SMALL = AgentPolicy(value_bytes=100, state_bytes=150)


def test_a_value_larger_than_allowed_is_refused_whole(tmp_path: Path) -> None:
    with reopened(tmp_path, SMALL) as agentfs:
        nia = join(agentfs, "nia")
        agentfs.states.put("nia", "fits", "x" * 98, by=nia)
        before = (agentfs.items.position(), agentfs.audit.head())
        with pytest.raises(QuotaExceeded, match="The value of large is 101 bytes; at most 100"):
            agentfs.states.put("nia", "large", "x" * 99, by=nia)
        with pytest.raises(NotFound):
            agentfs.states.history("nia", "large")
        assert (agentfs.items.position(), agentfs.audit.head()) == before


def test_an_agents_states_together_are_bounded(tmp_path: Path) -> None:
    with reopened(tmp_path, SMALL) as agentfs:
        nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
        agentfs.states.put("nia", "a", "x" * 78, by=nia)
        agentfs.states.put("sam", "a", "x" * 78, by=sam)
        before = (agentfs.items.position(), agentfs.audit.head())
        with pytest.raises(QuotaExceeded, match="With b, the states of nia would be 160 bytes; 150 are allowed"):
            agentfs.states.put("nia", "b", "x" * 78, by=nia)
        assert (agentfs.items.position(), agentfs.audit.head()) == before
        assert [state.key for state in agentfs.states.all("nia")] == ["a"]
        agentfs.states.put("nia", "b", "x" * 68, by=nia)
        with pytest.raises(QuotaExceeded):
            agentfs.states.put("nia", "c", 1, by=nia)


def test_deletion_and_expiry_give_their_bytes_back(tmp_path: Path) -> None:
    with reopened(tmp_path, SMALL) as agentfs:
        nia = join(agentfs, "nia")
        agentfs.states.put("nia", "a", "x" * 98, by=nia)
        agentfs.states.delete("nia", "a", by=nia)
        agentfs.states.put("nia", "b", "x" * 98, by=nia, expires_in=60)
        pass_time(agentfs.database, 61)
        agentfs.states.expire()
        agentfs.states.put("nia", "c", "x" * 98, by=nia)
        with pytest.raises(QuotaExceeded):
            agentfs.states.restore("nia", "a", 1, by=nia)
        agentfs.states.put("nia", "c", "x" * 48, by=nia)
        assert agentfs.states.restore("nia", "a", 1, by=nia).version == 3


def test_what_takes_less_is_never_refused(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy()) as agentfs:
        nia = join(agentfs, "nia")
        agentfs.states.put("nia", "a", "x" * 1000, by=nia)
        agentfs.states.put("nia", "b", "x" * 1000, by=nia)
    with reopened(tmp_path, SMALL) as agentfs:
        assert agentfs.states.put("nia", "a", "x" * 1000, by=nia).version == 2
        assert agentfs.states.put("nia", "a", "x" * 900, by=nia).version == 3
        with pytest.raises(QuotaExceeded):
            agentfs.states.put("nia", "a", "x" * 901, by=nia)
        assert agentfs.states.delete("nia", "b", by=nia) == 2
        assert agentfs.states.put("nia", "a", "x" * 50, by=nia).version == 4
        assert agentfs.states.put("nia", "a", "x" * 60, by=nia).version == 5


# Listing, kinds, keys


def test_states_are_listed_by_key_prefix_and_paged(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    keys = ["a", "plan/1", "plan/2", "plan/10", "plan_x", "plan%", "PLAN/3", "ü/1", "日本/1"]
    for key in keys:
        agentfs.states.put("nia", key, key, by=nia)
    assert [state.key for state in agentfs.states.all("nia")] == sorted(keys)
    assert [state.key for state in agentfs.states.all("nia", "plan/")] == ["plan/1", "plan/10", "plan/2"]
    assert [state.key for state in agentfs.states.all("nia", "plan_")] == ["plan_x"]
    assert [state.key for state in agentfs.states.all("nia", "plan%")] == ["plan%"]
    assert [state.key for state in agentfs.states.all("nia", "日本")] == ["日本/1"]
    assert agentfs.states.all("nia", "nothing") == []
    paged: list[str] = []
    while page := agentfs.states.all("nia", after=paged[-1] if paged else "", limit=2):
        assert len(page) <= 2
        paged += [state.key for state in page]
    assert paged == sorted(keys)
    assert [state.key for state in agentfs.states.all("nia", "plan/", after="plan/1", limit=1)] == ["plan/10"]


@pytest.mark.parametrize(
    ("key", "type_", "kind", "critical"),
    [
        ("findings/x", "poc", Kind.RESEARCH_FINDING, False),
        ("examples/x", "research", Kind.CODE_EXAMPLE, False),
        ("logs/a/b", "research", Kind.IMPLEMENTATION_LOG, False),
        ("assumptions/x", "research", Kind.ASSUMPTION, False),
        ("decisions/x", "research", Kind.DECISION, True),
        ("plan", "research", Kind.RESEARCH_FINDING, False),
        ("plan", "poc", Kind.CODE_EXAMPLE, False),
        ("plan", "validation", Kind.IMPLEMENTATION_LOG, False),
        ("plan", "documentation", Kind.STATE, False),
        ("critical/x", "documentation", Kind.STATE, True),
        ("plan/critical/x", "documentation", Kind.STATE, True),
        ("uncritical", "documentation", Kind.STATE, False),
    ],
)
def test_kind_and_critical_follow_from_key_and_type(
    agentfs: AgentFS, key: str, type_: str, kind: Kind, critical: bool
) -> None:
    nia = join(agentfs, "nia", type_)
    state = agentfs.states.put("nia", key, 1, by=nia)
    assert (state.kind, state.critical) == (kind, critical)
    item = agentfs.items.get(state.id)
    assert item is not None
    assert (item.kind, item.critical, item.owner, item.sha256) == (kind, critical, "ada", sha256_hex(b"1"))
    assert item.path == f"agents/{nia.id}/state/{key}"


def test_kind_and_critical_that_were_given_stay(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "decisions/x", 1, by=nia, kind=Kind.ASSUMPTION, critical=False)
    kept = agentfs.states.put("nia", "decisions/x", 2, by=nia)
    assert (kept.kind, kept.critical) == (Kind.ASSUMPTION, False)
    assert agentfs.states.put("nia", "decisions/x", 3, by=nia, critical=True).critical
    assert agentfs.states.get("nia", "decisions/x").critical


@pytest.mark.parametrize("key", ["", " a", "a ", "a\nb", "a\x00", "x" * 513, "\ud800"])
def test_unusable_keys(agentfs: AgentFS, key: str) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(InvalidInput, match="cannot be a state's key"):
        agentfs.states.put("nia", key, 1, by=nia)


# JSON

numbers = itertools.count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> AgentFS:
    """One workspace for all examples, each with a key of its own."""
    agentfs = AgentFS(tmp_path_factory.mktemp("shared"))
    join(agentfs, "nia")
    return agentfs


@settings(max_examples=150, deadline=None)
@given(value=JSON)
def test_any_json_comes_back_as_it_was(shared: AgentFS, value: JSONValue) -> None:
    key = f"k{next(numbers)}"
    state = shared.states.put("nia", key, value, by=ADA)
    assert exact(state.value) == exact(value)
    assert exact(shared.states.get("nia", key).value) == exact(value)
    assert exact(shared.states.value_at("nia", key, 1)) == exact(value)
    assert shared.states.get("nia", key).size == state.size
    shared.states.put("nia", key, None, by=ADA)
    shared.states.restore("nia", key, 1, by=ADA)
    assert exact(shared.states.get("nia", key).value) == exact(value)


@pytest.mark.parametrize(
    "value",
    [1.0, -0.0, 1, True, 1e300, 5e-324, 0.1 + 0.2, 2**63, -(2**64), 10**1000, "\x00", "\u2028", "😀", "1.0", "null"],
    ids=repr,
)
def test_values_that_databases_like_to_bend(agentfs: AgentFS, value: JSONValue) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "k", value, by=nia)
    held = agentfs.states.get("nia", "k").value
    assert type(held) is type(value)
    assert repr(held) == repr(value)


def nested(depth: int) -> JSONValue:
    value: JSONValue = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], {"a": -float("inf")}, "\ud800", {"\ud800": 1}, b"x", {1}, 10**5000, nested(100_000)],
    ids=["nan", "inf", "-inf", "surrogate", "key", "bytes", "set", "large", "deep"],
)
def test_what_is_not_json_is_refused(agentfs: AgentFS, value: JSONValue) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(InvalidInput, match="not JSON"):
        agentfs.states.put("nia", "k", value, by=nia)
    assert agentfs.states.all("nia") == []


def deep_in(depth: int, work: Callable[[], object]) -> object:
    """What ``work`` gives when it is called by something that is called by something …"""
    return deep_in(depth - 1, work) if depth else work()


def test_whatever_is_accepted_can_be_read_by_a_caller_deep_in_its_work(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    for depth in (129, 500, 900):
        with pytest.raises(InvalidInput, match="nested more than 128 levels"):
            agentfs.states.put("nia", "k", nested(depth), by=nia)
    agentfs.states.put("nia", "k", nested(128), by=nia)
    agentfs.states.put("nia", "k", [nested(127), 2], by=nia)
    agentfs.states.put("nia", "wide", [[]] * 5000, by=nia)
    assert deep_in(500, lambda: agentfs.states.get("nia", "k").value) == [nested(127), 2]
    changes = deep_in(500, lambda: agentfs.states.diff("nia", "k", 1, 2))
    assert changes == [JSONChange("/1", Difference.ADDED, None, 2)]
