"""check_access: strategy.md's reasons, over users, teams, agents and owners."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.access import Asker, check_access
from core.config import defaults_folder
from core.model import Kind, Level, Operation
from core.privacy import (
    PRIVACY_FILE,
    Action,
    AudienceKind,
    FindingKind,
    PrivacyRules,
    Share,
    Subject,
    Summary,
    load_rules,
)

RULES: PrivacyRules = load_rules([defaults_folder() / PRIVACY_FILE])
SECRET = Summary(((FindingKind.SECRET, 1),))


def item(level: Level = Level.PRIVATE, kind: Kind = Kind.STATE, **values: object) -> Subject:
    return replace(Subject("agents/1/state/plan", kind, level, "ada", agent="scout"), **values)  # type: ignore[arg-type]


def answer(asker: Asker, subject: Subject, operation: Operation = Operation.READ) -> str:
    decision = check_access(RULES, asker, subject, operation)
    return f"{decision.action}: {decision.reason}"


ADA, TOM = Asker("ada"), Asker("tom")
TEAMMATE = Asker("tom", teams=frozenset({"core"}))
SCOUT, CRITIC = Asker("ada", "scout"), Asker("ada", "critic")


@pytest.mark.parametrize(
    ("asker", "subject", "expected"),
    [
        (ADA, item(), "allow: Its owner"),
        (TOM, item(), "refuse: Private resource"),
        (TOM, item(Level.TEAM), "refuse: No team access"),
        (TEAMMATE, item(Level.TEAM), "allow: Team access"),
        (TEAMMATE, item(Level.TEAM, shares=(Share(AudienceKind.TEAM, "other"),)), "refuse: No team access"),
        (TEAMMATE, item(Level.TEAM, shares=(Share(AudienceKind.TEAM, "core"),)), "allow: Team access"),
        (TEAMMATE, item(Level.TEAM, opt_outs=("core",)), "refuse: No team access"),
        (TEAMMATE, item(Level.TEAM, opt_outs=("*",)), "refuse: No team access"),
        (TEAMMATE, item(Level.TEAM, opt_outs=("*",), shares=(Share(AudienceKind.TEAM, "core"),)), "allow: Team access"),
        (TOM, item(Level.PUBLIC), "allow: Public resource"),
        (TOM, item(Level.PUBLIC, findings=SECRET), "refuse: Private resource"),
        (TOM, item(Level.PUBLIC, path="x/credentials"), "refuse: Private resource"),
    ],
)
def test_users(asker: Asker, subject: Subject, expected: str) -> None:
    assert answer(asker, subject) == expected


@pytest.mark.parametrize(
    ("asker", "subject", "expected"),
    [
        (SCOUT, item(), "allow"),
        (SCOUT, item(findings=SECRET), "allow"),
        (CRITIC, item(), "refuse"),
        (CRITIC, item(findings=SECRET), "refuse"),
        (CRITIC, item(Level.TEAM, Kind.RESEARCH_FINDING), "allow"),
        (CRITIC, item(Level.TEAM, Kind.RESEARCH_FINDING, findings=SECRET), "refuse"),
        (CRITIC, item(Level.TEAM, Kind.IMPLEMENTATION_LOG), "refuse"),
        (CRITIC, item(shares=(Share(AudienceKind.AGENT, "critic"),)), "allow"),
        (CRITIC, item(shares=(Share(AudienceKind.AGENT, "other"),)), "refuse"),
        (CRITIC, item(shares=(Share(AudienceKind.TEAM, "core"),)), "refuse"),
        (replace(CRITIC, teams=frozenset({"core"})), item(shares=(Share(AudienceKind.TEAM, "core"),)), "allow"),
        (replace(CRITIC, teams=frozenset({"web"})), item(shares=(Share(AudienceKind.TEAM, "core"),)), "refuse"),
        (replace(CRITIC, retired=True), item(Level.TEAM, Kind.RESEARCH_FINDING), "refuse"),
        (replace(SCOUT, retired=True), item(), "refuse"),
        (replace(CRITIC, verified=False), item(Level.TEAM, Kind.RESEARCH_FINDING), "refuse"),
        (replace(SCOUT, verified=False), item(), "refuse"),
        (replace(CRITIC, user="tom"), item(Level.TEAM, Kind.RESEARCH_FINDING), "refuse"),
        (Asker("tom", "toms", teams=frozenset({"core"})), item(Level.TEAM, Kind.RESEARCH_FINDING), "redact"),
        (Asker("tom", "toms", teams=frozenset({"core"})), item(), "refuse"),
        (CRITIC, item(kind=Kind.DOCUMENT, agent=""), "allow"),
        (CRITIC, item(kind=Kind.DOCUMENT, agent="", findings=SECRET), "refuse"),
    ],
)
def test_agents(asker: Asker, subject: Subject, expected: str) -> None:
    assert check_access(RULES, asker, subject).action == expected


def test_who_gets_it_redacted_may_not_write_it() -> None:
    toms = Asker("tom", "toms", teams=frozenset({"core"}))
    subject = item(Level.TEAM, Kind.RESEARCH_FINDING)
    assert check_access(RULES, toms, subject).action is Action.REDACT
    assert not check_access(RULES, toms, subject, Operation.WRITE).is_allowed


@pytest.mark.parametrize(
    ("asker", "subject", "expected"),
    [
        (ADA, item(), "allow"),
        (CRITIC, item(Level.TEAM, Kind.RESEARCH_FINDING), "allow"),
        (CRITIC, item(kind=Kind.DOCUMENT, agent=""), "allow"),
        (CRITIC, item(shares=(Share(AudienceKind.AGENT, "critic"),)), "refuse"),
        (CRITIC, item(shares=(Share(AudienceKind.PUBLIC, in_full=True),)), "refuse"),
        (TOM, item(Level.PUBLIC), "refuse"),
        (TEAMMATE, item(Level.TEAM), "refuse"),
        (Asker("tom", "toms"), item(Level.PUBLIC, Kind.DOCUMENT, agent=""), "refuse"),
    ],
)
def test_writing_needs_the_same_user_and_no_share_gives_it(asker: Asker, subject: Subject, expected: str) -> None:
    assert check_access(RULES, asker, subject, Operation.WRITE).action == expected


askers = st.builds(
    Asker,
    st.sampled_from(["ada", "tom"]),
    st.sampled_from(["", "scout", "critic"]),
    st.booleans(),
    st.frozensets(st.sampled_from(["core", "web"])),
)
subjects = st.builds(
    Subject,
    st.sampled_from(["agents/1/state/plan", "x/api_keys", "internal/a"]),
    st.sampled_from(list(Kind)),
    st.sampled_from(list(Level)),
    st.sampled_from(["ada", "tom"]),
    agent=st.sampled_from(["", "scout"]),
    findings=st.sampled_from([Summary(), SECRET]),
)


@given(asker=askers, subject=subjects, operation=st.sampled_from(list(Operation)))
def test_sensitive_things_are_for_the_owner_and_the_very_agent(
    asker: Asker, subject: Subject, operation: Operation
) -> None:
    decision = check_access(RULES, asker, replace(subject, findings=SECRET), operation)
    own = asker.user == subject.owner and asker.agent in ("", subject.agent)
    assert own or not decision.is_allowed


@given(asker=askers, subject=subjects, team=st.sampled_from(["core", "web"]))
def test_a_share_never_takes_anything_away(asker: Asker, subject: Subject, team: str) -> None:
    before = check_access(RULES, asker, replace(subject, level=Level.PRIVATE))
    shared = replace(subject, level=Level.PRIVATE, shares=(Share(AudienceKind.TEAM, team),))
    assert check_access(RULES, asker, shared).is_allowed or not before.is_allowed


@given(asker=askers, subject=subjects, audience=st.sampled_from(["agent", "team", "public"]))
def test_a_share_gives_nobody_more_to_write(asker: Asker, subject: Subject, audience: str) -> None:
    name = {"agent": asker.agent, "team": "core", "public": ""}[audience]
    shared = replace(subject, shares=(Share(AudienceKind(audience), name, in_full=True),))
    decision = check_access(RULES, asker, shared, Operation.WRITE)
    assert decision == check_access(RULES, asker, subject, Operation.WRITE)
    assert decision.action in (Action.ALLOW, Action.REFUSE)
    assert asker.user == subject.owner or not decision.is_allowed


def test_the_defaults_are_the_strategys(tmp_path: Path) -> None:
    assert {kind: (control.default, control.allow_opt_in) for kind, control in RULES.controls.items()} == {
        Kind.RESEARCH_FINDING: ("anonymous", True),
        Kind.CODE_EXAMPLE: ("team_only", False),
        Kind.IMPLEMENTATION_LOG: ("private", False),
        Kind.ASSUMPTION: ("team_opt_out", True),
    }
