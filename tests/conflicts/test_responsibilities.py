"""Which of two agents decides: the same whichever is named first, by patterns, then ranks, then policy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.conflicts.responsibilities import Claimant, decide, responsible_by, specificity

RANKS = ("validation", "documentation", "poc", "research")
PATTERNS = (
    "src/**",
    "src/api/**",
    "src/*/a.py",
    "src/api/*.py",
    "src/api/a.py",
    "**",
    "docs/",
    "resource:db",
    "./src/",
)
parts = st.sampled_from(PATTERNS)
names = st.lists(st.sampled_from(["src/api/a.py", "docs/x", "resource:db", "src/**", "other"]), min_size=1, max_size=2)
rules = st.lists(st.tuples(parts, st.sampled_from(["ada", "ben", "poc", "research"])), max_size=3)


def claimant(number: int) -> st.SearchStrategy[Claimant]:
    name = ("ada", "ben")[number]
    types = st.sampled_from(["poc", "research", "scribe"])
    return st.builds(Claimant, st.just(name), st.just(name), types, st.lists(parts, max_size=3).map(tuple))


@given(names, claimant(0), claimant(1), rules)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_it_makes_no_difference_who_is_named_first(
    named: list[str], one: Claimant, other: Claimant, policy: list[tuple[str, str]]
) -> None:
    ruling = decide(named, one, other, ranks=RANKS, policy=policy)
    assert decide(named, other, one, ranks=RANKS, policy=policy) == ruling
    turned = [Claimant(each.id, each.name, each.type, tuple(reversed(each.responsibilities))) for each in (one, other)]
    assert decide(named[::-1], *turned, ranks=RANKS, policy=policy) == ruling
    assert decide(named, one, one, ranks=RANKS, policy=policy) is None
    if ruling is not None:
        assert ruling.winner in (one.id, other.id)
        assert ruling.why.endswith(".")


@given(names, claimant(0), claimant(1), rules)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_who_is_responsible_decides_before_everything_else(
    named: list[str], one: Claimant, other: Claimant, policy: list[tuple[str, str]]
) -> None:
    patterns = [responsible_by(named, each) for each in (one, other)]
    weights = [specificity(each) if each is not None else None for each in patterns]
    ruling = decide(named, one, other, ranks=RANKS, policy=policy)
    if weights[0] != weights[1]:
        first = weights[1] is None or (weights[0] is not None and weights[0] > weights[1])
        assert ruling is not None
        assert ruling.winner == (one.id if first else other.id)
    elif one.type != other.type:
        best = min((one, other), key=lambda each: RANKS.index(each.type) if each.type in RANKS else len(RANKS))
        assert ruling is not None
        assert ruling.winner == best.id
    elif not policy:
        assert ruling is None


def test_the_more_is_said_the_more_specific_it_is() -> None:
    ordered = ["**", "*", "src/**", "src/*", "src/api/**", "src/*/a.py", "src/api/*.py"]
    weights = [specificity(each) for each in [*ordered, "src/api/a.py"]]
    assert weights == sorted(weights)
    assert len(set(weights)) == len(weights)
    assert specificity("./src/") == specificity("src/**")


@pytest.mark.parametrize(
    ("policy", "winner"),
    [
        ([], None),
        ([("src/**", "ben")], "ben"),
        ([("src/**", "ben"), ("src/api/**", "ada")], "ada"),
        ([("docs/**", "ben")], None),
        ([("src/**", "poc")], None),
        ([("src/**", "ada"), ("src/**", "ben")], "ada"),
    ],
)
def test_the_policy_decides_where_nothing_else_does(policy: list[tuple[str, str]], winner: str | None) -> None:
    one, other = Claimant("ada", "ada", "poc"), Claimant("ben", "ben", "poc")
    ruling = decide(["src/api/a.py"], one, other, ranks=RANKS, policy=policy)
    assert (ruling.winner if ruling is not None else None) == winner
