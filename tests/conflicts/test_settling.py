"""What rules make of a conflict: in one order, whichever side is which, and never against what the settings reserve."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import ConflictSettings
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.responsibilities import Claimant
from core.conflicts.settling import EDIT_WINS, Matter, settle
from core.model import Kind

DEFAULTS = ConflictSettings()
NOTE = "notes/harbour"
SCOUT = Claimant("1", "scout", "research", ("plan", "src/**"))
MASON = Claimant("2", "mason", "poc", ("docs/**",))
versions = st.none() | st.sampled_from(
    [b'{"a":1}', b'{"a":2}', b'{"a":1,"b":1}', b'{"a":1,"c":1}', b"one\ntwo\n", b"\0"]
)
agents = st.none() | st.sampled_from([SCOUT, MASON])
matters = st.builds(
    Matter,
    st.sampled_from([NOTE, "agents/01m896526fbtjzzw7vt90v8wpr/state/plan"]),
    st.sampled_from(["decision", "assumption", "state", "session"]),
    versions,
    versions,
    versions,
    st.just(True),
    st.booleans(),
    st.just(("plan",)),
    agents,
    agents,
)
choices = st.builds(
    ConflictSettings,
    st.sampled_from(["accept_all", "ask"]),
    st.sampled_from(["intelligent_merge", "ask"]),
    st.sampled_from(["supervisor_decides", "ask"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


def note(base: str | None, local: str | None, remote: str | None, **other: object) -> Matter:
    sides = (each.encode() if each is not None else None for each in (base, local, remote))
    return replace(Matter(NOTE, "decision", *sides), **other)  # type: ignore[arg-type]


@given(matters, choices)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_it_makes_no_difference_which_side_is_which(matter: Matter, chosen: ConflictSettings) -> None:
    turned = replace(
        matter,
        local=matter.remote,
        remote=matter.local,
        local_agent=matter.remote_agent,
        remote_agent=matter.local_agent,
    )
    one, other = settle(matter, chosen), settle(turned, chosen)
    if matter.kind != Kind.SESSION:
        assert (one.by, one.reserved, one.may_ask) == (other.by, other.reserved, other.may_ask)
        if one.took in (Took.LOCAL, Took.REMOTE) and matter.local != matter.remote:
            assert (one.content, {one.took, other.took}) == (other.content, {Took.LOCAL, Took.REMOTE})
    assert one.why
    assert one.is_settled or one.content is None
    if one.took in (Took.LOCAL, Took.REMOTE):
        assert one.content == (matter.local if one.took is Took.LOCAL else matter.remote)


@given(matters, choices)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_what_is_reserved_is_settled_only_where_there_is_no_question(matter: Matter, chosen: ConflictSettings) -> None:
    settlement = settle(matter, chosen)
    reserved = chosen.critical_data_changes and matter.critical
    reserved |= chosen.assumption_conflicts and matter.kind == Kind.ASSUMPTION
    no_question = matter.local == matter.remote or (
        None not in (matter.local, matter.remote) and matter.base in (matter.local, matter.remote)
    )
    if matter.kind == Kind.SESSION:
        assert settlement.by is RuledBy.AUTOMATIC
    elif no_question:
        assert (settlement.by, settlement.reserved) == (RuledBy.AUTOMATIC, "")
    elif reserved:
        assert not settlement.is_settled
        assert settlement.reserved
        assert not settlement.may_ask


@pytest.mark.parametrize(
    ("base", "local", "remote", "took", "content"),
    [
        ("a\n", "b\n", "b\n", Took.REMOTE, "b\n"),
        ("a\n", "a\n", "b\n", Took.REMOTE, "b\n"),
        ("a\n", "b\n", "a\n", Took.LOCAL, "b\n"),
        ("a\n", None, "b\n", Took.REMOTE, "b\n"),
        ("a\n", "b\n", None, Took.LOCAL, "b\n"),
        ("1\n2\n3\n", "1!\n2\n3\n", "1\n2\n3!\n", Took.MERGED, "1!\n2\n3!\n"),
        ('{"l":[1]}', '{"l":[1,2]}', '{"l":[1,3]}', Took.MERGED, '{"l":[1,2,3]}'),
        (None, '{"a":1}', '{"b":2}', Took.MERGED, '{"a":1,"b":2}'),
    ],
)
def test_what_rules_settle(base: str, local: str, remote: str, took: Took, content: str) -> None:
    settlement = settle(note(base, local, remote), DEFAULTS)
    assert (settlement.by, settlement.took) == (RuledBy.AUTOMATIC, took)
    assert settlement.content == content.encode()
    assert (settlement.why == EDIT_WINS) == (local is None or remote is None)


def test_what_the_settings_ask_about_is_not_merged() -> None:
    apart = note("1\n2\n3\n", "1!\n2\n3\n", "1\n2\n3!\n")
    both = note('{"l":[1]}', '{"l":[1,2]}', '{"l":[1,3]}')
    edits = replace(DEFAULTS, non_conflicting_edits="ask")
    additions = replace(DEFAULTS, complementary_changes="ask")
    for matter, chosen in product((apart, both), (edits, additions)):
        settlement = settle(matter, chosen)
        asks = (matter is apart) == (chosen is edits)
        assert settlement.is_settled is not asks
        assert not settlement.may_ask
    same_file = replace(DEFAULTS, same_file_conflicts=True)
    assert settle(apart, same_file).reserved == "same file"
    assert settle(both, same_file).is_settled


def test_nothing_is_merged_over_a_base_that_is_not_at_hand() -> None:
    matter = note(None, '{"a":1}', '{"b":2}', has_base=False)
    settlement = settle(matter, DEFAULTS)
    assert not settlement.is_settled
    assert settlement.may_ask
    assert settle(replace(matter, remote=matter.local), DEFAULTS).is_settled


def test_of_states_at_odds_the_agent_that_alone_is_responsible_has_its_way() -> None:
    matter = note('{"a":1}', '{"a":2}', '{"a":3}', names=("plan",), local_agent=SCOUT, remote_agent=MASON)
    settlement = settle(matter, DEFAULTS)
    assert (settlement.by, settlement.took) == (RuledBy.SUPERVISOR, Took.LOCAL)
    assert settlement.why == "scout is responsible for plan, and mason is not."
    both = replace(MASON, responsibilities=("plan",))
    for open_one in (
        replace(matter, remote_agent=both),
        replace(matter, remote_agent=None),
        replace(matter, remote_agent=SCOUT),
    ):
        assert settle(open_one, DEFAULTS).may_ask
    assert not settle(matter, replace(DEFAULTS, tool_boundary_conflicts="ask")).is_settled


def test_claims_are_ruled_on_and_never_merged() -> None:
    claims = Matter(
        "claims/src", "claim", None, b'{"agent":"1","x":1}', b'{"agent":"2","y":1}', False, True, ("src/a.py",), SCOUT
    )
    assert settle(claims, DEFAULTS).may_ask
    ruled = settle(replace(claims, remote_agent=MASON), DEFAULTS)
    assert (ruled.by, ruled.took, ruled.content) == (RuledBy.SUPERVISOR, Took.LOCAL, claims.local)
    asked = settle(replace(claims, remote_agent=MASON), replace(DEFAULTS, tool_boundary_conflicts="ask"))
    assert not asked.is_settled
    assert not asked.may_ask
