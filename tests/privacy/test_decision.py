"""Who gets what: the table of every case, and that nothing private ever widens an answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import Kind, Level
from core.privacy import (
    Action,
    Audience,
    AudienceKind,
    DefaultLevel,
    FindingKind,
    PrivacyRules,
    PrivatePattern,
    Purpose,
    Share,
    Sharing,
    SharingControl,
    Subject,
    Summary,
    decide,
    explain,
)

MARA = "mara"
SECRET = Summary(((FindingKind.SECRET, 1),))
PERSONAL = Summary(((FindingKind.EMAIL, 2),))
OPEN = {AudienceKind.AGENT: "helper", AudienceKind.TEAM: "core", AudienceKind.PUBLIC: ""}
HELPER = Audience.agent("helper", MARA, frozenset({"core"}))
AUDIENCES = (
    Audience.own_devices(),
    HELPER,
    Audience.team("core", member=True),
    Audience.team("core", member=False),
    Audience.public(),
)
"""From the narrowest to the widest."""
RECORDS = (Audience.log(), Audience.error_message())
RANK = {Action.REFUSE: 0, Action.SEAL: 1, Action.REDACT: 2, Action.ALLOW: 3}
SIGNS = {"a": Action.ALLOW, "r": Action.REDACT, "s": Action.SEAL, "-": Action.REFUSE}


def rules(default: Sharing = Sharing.TEAM_ONLY, opt_in: bool = False) -> PrivacyRules:
    """Rules with one pattern and the same control for every controlled kind."""
    kinds = (Kind.RESEARCH_FINDING, Kind.CODE_EXAMPLE, Kind.IMPLEMENTATION_LOG, Kind.ASSUMPTION)
    controls = {kind: SharingControl(default, opt_in) for kind in kinds}
    return PrivacyRules(DefaultLevel.PRIVATE_UNTIL_SHARED, (PrivatePattern("internal/*", "file, line 3"),), controls)


def item(level: Level = Level.PRIVATE, kind: Kind = Kind.DOCUMENT, path: str = "notes/a.md", **more: object) -> Subject:
    """An item of Mara's."""
    return replace(Subject(path, kind, level, MARA), **more)  # type: ignore[arg-type]


def answers(of: PrivacyRules, subject: Subject, purpose: Purpose = Purpose.SHARE) -> str:
    """The actions for the five audiences, the log and the error message, as signs."""
    signs = {action: sign for sign, action in SIGNS.items()}
    return "".join(signs[decide(of, subject, each, purpose).action] for each in (*AUDIENCES, *RECORDS))


PUBLIC_SHARE = (Share(AudienceKind.PUBLIC),)
TEAM_SHARE = (Share(AudienceKind.TEAM, "core"),)
AGENT_SHARE = (Share(AudienceKind.AGENT, "helper"),)
OTHER_SHARES = (Share(AudienceKind.TEAM, "other"), Share(AudienceKind.AGENT, "stranger"))

# Signs: own devices, agent, team member, other team, public, log, error message.
TABLE: list[tuple[str, Subject, str]] = [
    ("private", item(), "sa-----"),
    ("private of another agent", item(agent="planner"), "s------"),
    ("private of this agent", item(agent="helper"), "sa-----"),
    ("team", item(Level.TEAM), "aaa--rr"),
    ("team, of another agent", item(Level.TEAM, agent="planner"), "aaa--rr"),
    ("public but not shared", item(Level.PUBLIC), "aaa--rr"),
    ("private, shared with the public", item(shares=PUBLIC_SHARE), "saaaa--"),
    ("private, shared with the team", item(shares=TEAM_SHARE), "saaa---"),
    ("private of another agent, shared with the agent", item(agent="planner", shares=AGENT_SHARE), "sa-----"),
    ("private of another agent, shared with others", item(agent="planner", shares=OTHER_SHARES), "s------"),
    ("team, shared with others", item(Level.TEAM, shares=OTHER_SHARES), "aaa--rr"),
    ("public and shared", item(Level.PUBLIC, shares=PUBLIC_SHARE), "aaaaarr"),
    ("opted out of the team", item(Level.TEAM, opt_outs=("core",)), "aa---rr"),
    ("opted out of every team", item(Level.TEAM, opt_outs=("*",)), "aa---rr"),
    ("opted out of every team but this one", item(Level.TEAM, opt_outs=("*",), shares=TEAM_SHARE), "aaaa-rr"),
    ("opted out of every team, shared with others", item(Level.TEAM, opt_outs=("*",), shares=OTHER_SHARES), "aa---rr"),
    ("opted out of every team, shared with the public", item(opt_outs=("*",), shares=PUBLIC_SHARE), "sa-----"),
    ("private of another agent, shared with the team", item(agent="planner", shares=TEAM_SHARE), "saaa---"),
    ("opted out of another team", item(Level.TEAM, opt_outs=("other",)), "aaa--rr"),
    ("opted out, yet shared", item(Level.TEAM, opt_outs=("core",), shares=PUBLIC_SHARE), "aa---rr"),
    ("a secret in it", item(Level.PUBLIC, findings=SECRET, shares=PUBLIC_SHARE), "s------"),
    ("a secret in the agent's own", item(agent="helper", findings=SECRET), "sa-----"),
    ("personal data in it", item(Level.TEAM, findings=PERSONAL), "aaa--rr"),
    ("a private path", item(Level.PUBLIC, path="x/internal/a", shares=PUBLIC_SHARE), "s------"),
    ("critical", item(Level.TEAM, critical=True), "aaa--rr"),
]


@pytest.mark.parametrize(("subject", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_items_without_a_control(subject: Subject, expected: str) -> None:
    assert answers(rules(), subject) == expected


FULL = (Share(AudienceKind.PUBLIC, in_full=True),)
CONTROLS: list[tuple[Sharing, bool, tuple[Share, ...], str]] = [
    (Sharing.PRIVATE, False, (), "sa-----"),
    (Sharing.PRIVATE, False, PUBLIC_SHARE, "sa-----"),
    (Sharing.PRIVATE, True, PUBLIC_SHARE, "saaaa--"),
    (Sharing.PRIVATE, True, TEAM_SHARE, "saaa---"),
    (Sharing.ANONYMOUS, False, (), "sar--rr"),
    (Sharing.ANONYMOUS, False, PUBLIC_SHARE, "sarrrrr"),
    (Sharing.ANONYMOUS, False, FULL, "sarrrrr"),
    (Sharing.ANONYMOUS, True, PUBLIC_SHARE, "sarrrrr"),
    (Sharing.ANONYMOUS, True, FULL, "saaaarr"),
    (Sharing.TEAM_ONLY, False, (), "aaa--rr"),
    (Sharing.TEAM_ONLY, False, PUBLIC_SHARE, "aaa--rr"),
    (Sharing.TEAM_ONLY, True, PUBLIC_SHARE, "aaaaarr"),
    (Sharing.TEAM_OPT_OUT, False, (), "aaa--rr"),
    (Sharing.TEAM_OPT_OUT, True, PUBLIC_SHARE, "aaaaarr"),
]


@pytest.mark.parametrize(("default", "opt_in", "shares", "expected"), CONTROLS)
def test_controls(default: Sharing, opt_in: bool, shares: tuple[Share, ...], expected: str) -> None:
    subject = item(Level.TEAM, Kind.ASSUMPTION, shares=shares)
    assert answers(rules(default, opt_in), subject) == expected


def test_anonymous_findings_are_redacted_for_all_but_agents_of_their_owner() -> None:
    subject = item(Level.TEAM, Kind.RESEARCH_FINDING, agent="planner")
    assert answers(rules(Sharing.ANONYMOUS), subject) == "sar--rr"
    toms = decide(rules(Sharing.ANONYMOUS), subject, Audience.agent("helper", "tom"), Purpose.ANSWER)
    assert toms.action is Action.REDACT


def test_a_private_level_is_stronger_than_an_open_control() -> None:
    assert answers(rules(Sharing.TEAM_OPT_OUT), item(Level.PRIVATE, Kind.ASSUMPTION)) == "sa-----"


def test_an_agent_of_somebody_else_gets_nothing_private() -> None:
    assert decide(rules(), item(), Audience.agent("helper", "tom"), Purpose.ANSWER).action is Action.REFUSE


def test_what_is_shared_with_a_team_is_for_the_agents_of_its_members() -> None:
    subject = item(agent="planner", shares=TEAM_SHARE)
    for user, teams, action in (
        (MARA, {"core"}, Action.ALLOW),
        (MARA, {"other"}, Action.REFUSE),
        (MARA, set(), Action.REFUSE),
        ("tom", {"core"}, Action.ALLOW),
    ):
        audience = Audience.agent("helper", user, frozenset(teams))
        assert decide(rules(), subject, audience, Purpose.ANSWER).action is action


def test_sync_publishes_nothing() -> None:
    subject = item(Level.PUBLIC, shares=PUBLIC_SHARE)
    assert answers(rules(), subject, Purpose.SYNC) == "aaaa-rr"
    assert decide(rules(), subject, Audience.public(), Purpose.SYNC).rule == "purpose"


def test_a_log_for_anybody_holds_what_a_log_holds() -> None:
    subject = item(Level.PUBLIC, shares=PUBLIC_SHARE)
    assert answers(rules(), subject, Purpose.LOG) == "rrrrrrr"
    assert answers(rules(), item(), Purpose.LOG) == "-------"


def test_the_decision_names_its_rule_and_reason() -> None:
    private = decide(rules(), item(path="internal/a"), Audience.public(), Purpose.PUSH)
    assert private.rule == "private_pattern"
    assert private.reason == (
        "Its path matches the private pattern 'internal/*' (file, line 3): nobody but its owner gets it."
    )
    barred = decide(rules(), item(Level.TEAM, Kind.CODE_EXAMPLE, shares=PUBLIC_SHARE), Audience.public(), Purpose.SHARE)
    assert barred.rule == "sharing_control"
    assert barred.reason == "code_examples are team_only and explicit sharing may not go further."
    assert decide(rules(), item(findings=SECRET), Audience.public(), Purpose.PUSH).rule == "secret_found"


def test_explain_lists_every_rule_and_marks_one() -> None:
    subject = item(Level.TEAM, Kind.CODE_EXAMPLE, path="internal/a", findings=SECRET, opt_outs=("core",))
    considered = explain(rules(), subject, Audience.team("core", member=True), Purpose.PUSH)
    assert [each.rule for each in considered] == [
        "secret_found",
        "private_pattern",
        "opt_out",
        "level",
        "sharing_control",
    ]
    assert [each.decided for each in considered] == [True, False, False, False, False]


shares = st.lists(
    st.builds(
        Share,
        st.sampled_from([AudienceKind.AGENT, AudienceKind.TEAM, AudienceKind.PUBLIC]),
        st.sampled_from(["", "core", "helper", "other"]),
        st.booleans(),
    ),
    max_size=3,
).map(tuple)
subjects = st.builds(
    Subject,
    path=st.sampled_from(["a.md", "internal/a.md"]),
    kind=st.sampled_from(list(Kind)),
    level=st.sampled_from(list(Level)),
    owner=st.just(MARA),
    critical=st.booleans(),
    agent=st.sampled_from(["", "helper", "planner"]),
    findings=st.sampled_from([Summary(), SECRET, PERSONAL]),
    shares=shares,
    opt_outs=st.lists(st.sampled_from(["core", "other", "*"]), max_size=2).map(tuple),
)
all_rules = st.builds(rules, st.sampled_from(list(Sharing)), st.booleans())
audiences = st.sampled_from(
    [
        *AUDIENCES,
        *RECORDS,
        Audience.agent("helper", "tom"),
        Audience.agent("helper", MARA),
        Audience.team("other", member=True),
    ]
)
purposes = st.sampled_from(list(Purpose))


def rank(of: PrivacyRules, subject: Subject, audience: Audience, purpose: Purpose) -> int:
    """How open the answer is."""
    return RANK[decide(of, subject, audience, purpose).action]


@given(all_rules, subjects, audiences, purposes)
def test_privacy_never_widens_an_answer(
    of: PrivacyRules, subject: Subject, audience: Audience, purpose: Purpose
) -> None:
    asked = rank(of, subject, audience, purpose)
    more_private = {Level.PUBLIC: Level.TEAM, Level.TEAM: Level.PRIVATE, Level.PRIVATE: Level.PRIVATE}[subject.level]
    assert rank(of, replace(subject, level=more_private), audience, purpose) <= asked
    assert rank(of, replace(subject, findings=SECRET), audience, purpose) <= asked
    assert rank(of, replace(subject, path="internal/x"), audience, purpose) <= asked
    assert rank(of, replace(subject, opt_outs=(*subject.opt_outs, "core")), audience, purpose) <= asked
    assert rank(replace(of, patterns=(*of.patterns, PrivatePattern("*"))), subject, audience, purpose) <= asked
    for each in subject.shares:
        fewer = tuple(share for share in subject.shares if share is not each)
        assert rank(of, replace(subject, shares=fewer), audience, purpose) <= asked


@given(all_rules, subjects, purposes)
def test_a_wider_audience_never_gets_more(of: PrivacyRules, subject: Subject, purpose: Purpose) -> None:
    gets = [rank(of, subject, each, purpose) for each in AUDIENCES]
    if gets[0] == RANK[Action.SEAL]:
        gets[0] = RANK[Action.ALLOW]  # the owner's devices open what is sealed for them
    assert gets == sorted(gets, reverse=True)


@given(all_rules, subjects, audiences, purposes)
def test_what_always_holds(of: PrivacyRules, subject: Subject, audience: Audience, purpose: Purpose) -> None:
    decision = decide(of, subject, audience, purpose)
    own = audience.kind is AudienceKind.OWN_DEVICES
    assert decision.action is not Action.SEAL or own
    if own and subject.level is Level.PRIVATE:
        assert decision.action in (Action.SEAL, Action.REFUSE)
    if audience.kind is AudienceKind.PUBLIC and decision.action is not Action.REFUSE:
        assert any(share.audience is AudienceKind.PUBLIC for share in subject.shares)
    if audience.kind in (AudienceKind.LOG, AudienceKind.ERROR_MESSAGE):
        assert decision.action in (Action.REDACT, Action.REFUSE)
    sensitive = subject.findings.has_secret or subject.path.startswith("internal/")
    very_agent = audience.kind is AudienceKind.AGENT and (audience.name, audience.user) == (
        subject.agent,
        subject.owner,
    )
    if sensitive and not own and not very_agent:
        assert decision.action is Action.REFUSE
    assert sum(each.decided for each in explain(of, subject, audience, purpose)) == 1


def test_opting_in_never_passes_a_control_that_forbids_it() -> None:
    for default, kind, level in product(Sharing, (Kind.CODE_EXAMPLE, Kind.ASSUMPTION), Level):
        closed = rules(default, opt_in=False)
        for audience, purpose in product(AUDIENCES, Purpose):
            full = item(level, kind, shares=FULL)
            # what the control gives by itself to those who may have the kind at all
            most = rank(closed, item(Level.TEAM, kind, shares=()), audience, purpose)
            ceiling = max(most, RANK[Action.REDACT] if default is Sharing.ANONYMOUS else 0)
            assert rank(closed, full, audience, purpose) <= ceiling
