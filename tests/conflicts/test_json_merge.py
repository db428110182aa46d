"""JSON merged place by place: by key, by identity, as sequences; what was not touched stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conflicts.merging.decisions import ABSENT, Choice, Decision, DecisionKind, Decisions, resolve, same
from core.conflicts.merging.json_merge import merge_json
from core.model import JSONValue

SCALARS = (
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", "", "one\ntwo\nthree\n"]) | st.just(1.0)
)
KEYED = st.dictionaries(st.sampled_from(["x", "y"]), SCALARS, max_size=2)


def keyed_list(elements: list[tuple[object, dict[str, JSONValue]]]) -> list[JSONValue]:
    return [{"id": identity, **rest} for identity, rest in elements]  # type: ignore[dict-item]


LISTS = st.lists(SCALARS, max_size=5) | st.lists(
    st.tuples(st.integers(1, 5) | st.sampled_from(["1", "p"]), KEYED), max_size=4, unique_by=lambda each: str(each)[:4]
).map(keyed_list)
VALUES = st.recursive(
    SCALARS | LISTS, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4), max_leaves=8
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@st.composite
def changed(draw: st.DrawFn, value: JSONValue) -> JSONValue:
    """``value`` with some places changed."""
    made = copy.deepcopy(value)
    for _ in range(draw(st.integers(0, 2))):
        at = made
        while isinstance(at, dict | list) and at and draw(st.booleans()):
            keys = list(at) if isinstance(at, dict) else range(len(at))
            inner = at[draw(st.sampled_from(keys))]  # type: ignore[index, call-overload]
            if not isinstance(inner, dict | list):
                break
            at = inner
        if isinstance(at, dict):
            if at and draw(st.booleans()):
                at.pop(draw(st.sampled_from(sorted(at))))
            else:
                at[draw(st.sampled_from("abcdx"))] = draw(SCALARS | LISTS)
        elif isinstance(at, list):
            act = draw(st.sampled_from(["insert", "remove", "move"]))
            if act == "insert":
                at.insert(draw(st.integers(0, len(at))), draw(SCALARS))
            elif at:
                element = at.pop(draw(st.integers(0, len(at) - 1)))
                if act == "move":
                    at.insert(draw(st.integers(0, len(at))), element)
        else:
            made = draw(SCALARS)
    return made


@st.composite
def versions(draw: st.DrawFn) -> tuple[JSONValue, JSONValue, JSONValue]:
    base = draw(OBJECTS | LISTS)
    return base, draw(changed(base)), draw(changed(base))


ANY = st.tuples(OBJECTS | LISTS | SCALARS, OBJECTS | LISTS | SCALARS, OBJECTS | LISTS | SCALARS) | versions()


def at_all(decisions: Decisions, choice: Choice) -> JSONValue:
    return resolve(decisions.chosen(range(len(decisions.decisions)), choice)).content  # type: ignore[return-value]


def settled(decisions: Decisions) -> JSONValue:
    assert not decisions.open
    return resolve(decisions).content  # type: ignore[return-value]


def unordered(value: JSONValue) -> object:
    """``value`` with the order of lists left out."""
    if isinstance(value, dict):
        return {key: unordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted((unordered(each) for each in value), key=repr)
    return (type(value).__name__, value)


def leaves(value: JSONValue, path: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], object]]:
    """Every scalar by its keys; places in lists are left out."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, (*path, "[]"))
    else:
        yield path, (type(value).__name__, value)


@given(ANY)
def test_choosing_one_side_everywhere_gives_that_side(values: tuple[JSONValue, JSONValue, JSONValue]) -> None:
    base, local, remote = values
    decisions = merge_json(base, local, remote)
    assert same(at_all(decisions, Choice.LOCAL), local)
    assert same(at_all(decisions, Choice.REMOTE), remote)
    # An object or list that both sides added stays, empty.
    assert sorted(leaves(at_all(decisions, Choice.BASE)), key=repr) == sorted(leaves(base), key=repr)


@given(OBJECTS | LISTS, OBJECTS | LISTS)
def test_with_one_side_unchanged_the_other_is_the_result(base: JSONValue, other: JSONValue) -> None:
    for local, remote in ((other, base), (base, other), (other, other)):
        decisions = merge_json(base, local, remote)
        assert same(settled(decisions), other)
        assert all(each.auto for each in decisions.decisions)
    assert merge_json(base, base, base).decisions == ()


@given(ANY)
def test_the_sides_can_be_exchanged_up_to_order(values: tuple[JSONValue, JSONValue, JSONValue]) -> None:
    base, local, remote = values
    one, other = merge_json(base, local, remote), merge_json(base, remote, local)
    assert len(one.open) == len(other.open)
    if not one.open:
        assert unordered(settled(one)) == unordered(settled(other))


@given(versions())
def test_nothing_is_invented_and_nothing_dropped_that_neither_side_changed(
    values: tuple[JSONValue, JSONValue, JSONValue],
) -> None:
    base, local, remote = values
    decisions = merge_json(base, local, remote)
    if decisions.open or any(each.choice is Choice.CUSTOM for each in decisions.decisions):
        return
    result = set(leaves(settled(decisions)))
    mine, theirs, was = set(leaves(local)), set(leaves(remote)), set(leaves(base))
    assert result <= mine | theirs
    assert result >= mine & theirs & was


def repeats_itself(value: JSONValue) -> bool:
    """Whether a list holds something twice: which of the two is which, nobody can tell."""
    if isinstance(value, list):
        return len({repr(each) for each in value}) < len(value) or any(repeats_itself(each) for each in value)
    return isinstance(value, dict) and any(repeats_itself(each) for each in value.values())


@given(versions())
def test_what_was_merged_merges_to_itself(values: tuple[JSONValue, JSONValue, JSONValue]) -> None:
    base, local, remote = values
    decisions = merge_json(base, local, remote)
    if not decisions.open and not any(repeats_itself(each) for each in values):
        merged = settled(decisions)
        for one, other in ((merged, merged), (merged, remote), (local, merged)):
            assert unordered(settled(merge_json(base, one, other))) == unordered(merged)


def only(decisions: Decisions) -> Decision:
    [number] = decisions.open
    return decisions.decisions[number]


BASE: JSONValue = {
    "title": "Harbour",
    "tasks": [{"id": 41, "status": "open", "who": "mara"}, {"id": 42, "status": "open"}],
    "tags": ["sea", "boats"],
    "plan": {"steps": 3, "done": False},
}


def with_changes(**changes: JSONValue) -> dict[str, JSONValue]:
    made = copy.deepcopy(BASE)
    assert isinstance(made, dict)
    return {**made, **changes}


def test_changes_of_different_places_are_both_taken() -> None:
    local = with_changes(title="Old harbour", plan={"steps": 3, "done": True})
    remote = with_changes(plan={"steps": 4, "done": False}, weather="calm")
    decisions = merge_json(BASE, local, remote)
    expected = with_changes(title="Old harbour", plan={"steps": 4, "done": True}, weather="calm")
    assert settled(decisions) == expected
    assert {each.path: each.choice for each in decisions.decisions} == {
        "title": Choice.LOCAL,
        "plan.steps": Choice.REMOTE,
        "plan.done": Choice.LOCAL,
        "weather": Choice.REMOTE,
    }


def test_elements_are_matched_by_identity_wherever_they_stand() -> None:
    local = with_changes(tasks=[{"id": 42, "status": "done"}, {"id": 41, "status": "open", "who": "mara"}])
    remote = with_changes(
        tasks=[{"id": 41, "status": "open", "who": "tom"}, {"id": 43, "status": "new"}, {"id": 42, "status": "open"}]
    )
    decisions = merge_json(BASE, local, remote)
    assert settled(decisions)["tasks"] == [  # type: ignore[index, call-overload]
        {"id": 42, "status": "done"},
        {"id": 41, "status": "open", "who": "tom"},
        {"id": 43, "status": "new"},
    ]
    paths = {each.path: each.kind for each in decisions.decisions}
    assert paths["tasks[id=42].status"] is DecisionKind.VALUE
    assert paths["tasks"] is DecisionKind.LIST_ORDER


def test_what_both_changed_differently_is_asked_for_by_its_path() -> None:
    local = with_changes(tasks=[{"id": 41, "status": "done", "who": "mara"}, {"id": 42, "status": "open"}])
    remote = with_changes(tasks=[{"id": 41, "status": "late", "who": "mara"}, {"id": 42, "status": "open"}])
    asked = only(merge_json(BASE, local, remote))
    assert (asked.path, asked.kind) == ("tasks[id=41].status", DecisionKind.VALUE)
    assert (asked.base, asked.local, asked.remote) == ("open", "done", "late")


@pytest.mark.parametrize(
    ("base", "local", "remote", "kind"),
    [
        ({}, {"a": 1}, {"a": 2}, DecisionKind.ADD_ADD),
        ({"a": 1}, {}, {"a": 2}, DecisionKind.DELETE_MODIFY),
        ({"a": 1}, {"a": 2}, {}, DecisionKind.DELETE_MODIFY),
        ({"a": 1}, {"a": "one"}, {"a": 2}, DecisionKind.TYPE),
        ({"a": 1}, {"a": True}, {"a": 2}, DecisionKind.TYPE),
        ({"a": {"b": 1}}, {"a": [1]}, {"a": {"b": 2}}, DecisionKind.TYPE),
        ({"a": 1}, {"a": 2}, {"a": 3}, DecisionKind.VALUE),
        ([1, 2], [1, 3], [1, 4], DecisionKind.VALUE),
        ([1, 2], [1], [1, 4], DecisionKind.DELETE_MODIFY),
        ([1], [1, 2, 3], [1, 3, 2], DecisionKind.ADD_ADD),
        ([{"id": 1, "a": 1}], [], [{"id": 1, "a": 2}], DecisionKind.DELETE_MODIFY),
    ],
)
def test_every_kind_of_conflict_is_named(
    base: JSONValue, local: JSONValue, remote: JSONValue, kind: DecisionKind
) -> None:
    decisions = merge_json(base, local, remote)
    assert decisions.decisions[decisions.open[0]].kind is kind


def test_a_true_is_no_one() -> None:
    decisions = merge_json({"a": 1}, {"a": True}, {"a": 1})
    assert same(settled(decisions), {"a": True})
    assert decisions.decisions[0].choice is Choice.LOCAL


def test_what_both_added_in_the_same_way_counts_once() -> None:
    local, remote = with_changes(tags=["sea", "boats", "pier"]), with_changes(tags=["sea", "boats", "pier", "quay"])
    assert settled(merge_json(BASE, local, remote))["tags"] == ["sea", "boats", "pier", "quay"]  # type: ignore[index, call-overload]


def test_what_both_put_in_at_one_place_is_kept_and_can_be_turned() -> None:
    local, remote = with_changes(tags=["sea", "boats", "pier"]), with_changes(tags=["sea", "boats", "quay"])
    decisions = merge_json(BASE, local, remote)
    assert settled(decisions)["tags"] == ["sea", "boats", "pier", "quay"]  # type: ignore[index, call-overload]
    [decision] = decisions.decisions
    assert (decision.auto, decision.choice, decision.has_both) == (True, Choice.BOTH_LOCAL_FIRST, True)
    turned = decisions.chosen([0], Choice.BOTH_REMOTE_FIRST)
    assert settled(turned)["tags"] == ["sea", "boats", "quay", "pier"]  # type: ignore[index, call-overload]


def test_two_orders_of_the_same_elements_are_asked_for() -> None:
    base = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    local = [base[1], base[0], base[2]]
    remote = [base[0], base[2], base[1], {"name": "d"}]
    decisions = merge_json(base, local, remote)
    asked = only(decisions)
    assert (asked.kind, asked.local) == (DecisionKind.LIST_ORDER, ["b", "a", "c"])
    number = decisions.open[0]

    def names(choice: Choice, custom: object = ABSENT) -> list[str]:
        made = settled(decisions.chosen([number], choice, custom))  # type: ignore[arg-type]
        return [each["name"] for each in made]  # type: ignore[index, misc, call-overload]

    assert names(Choice.LOCAL) == ["b", "d", "a", "c"]
    assert names(Choice.REMOTE) == ["a", "c", "b", "d"]
    assert names(Choice.BASE) == ["a", "b", "d", "c"]
    assert names(Choice.CUSTOM, ["d", "c", "b", "a"]) == ["d", "c", "b", "a"]


def test_objects_without_identity_are_merged_where_they_stand() -> None:
    base = [{"text": "a", "line": 1}, {"text": "a", "line": 2}]
    local = [{"text": "b", "line": 1}, {"text": "a", "line": 2}]
    remote = [{"text": "a", "line": 7}, {"text": "a", "line": 2}]
    assert settled(merge_json(base, local, remote)) == [{"text": "b", "line": 7}, {"text": "a", "line": 2}]


def test_a_text_of_several_lines_is_merged_by_line() -> None:
    base = {"notes": "one\ntwo\nthree\n"}
    decisions = merge_json(base, {"notes": "ONE\ntwo\nthree\n"}, {"notes": "one\ntwo\nTHREE\n"})
    assert settled(decisions) == {"notes": "ONE\ntwo\nTHREE\n"}
    assert decisions.decisions[0].auto
    assert (
        only(merge_json(base, {"notes": "1\ntwo\nthree\n"}, {"notes": "eins\ntwo\nthree\n"})).kind is DecisionKind.VALUE
    )


def test_paths_are_as_a_person_writes_them() -> None:
    base = {"a.b": {"c-d": [{"id": "x y", "v": 1}]}, "": 1}
    local = {"a.b": {"c-d": [{"id": "x y", "v": 2}]}, "": 2}
    assert [each.path for each in merge_json(base, local, base).decisions] == ['["a.b"].c-d[id=x y].v', '[""]']
