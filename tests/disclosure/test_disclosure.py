"""What may leave, to whom and in which form; sharing, opting out, and who was refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from core.disclosure.finding import find_item
from core.disclosure.release import release
from core.disclosure.report import explanation, preview, refusals, rules_report
from core.disclosure.sharing import share, unshare
from core.errors import AccessDenied, InvalidInput, Locked, NotFound
from core.model import Sensitivity
from core.privacy import Action, Audience, Purpose
from tests.agentfs.acting import ADA, join, pass_time
from tests.agentfs.canaries import new_canary

TEAM = Audience.team("core", member=True)
FINDING = {"who": "mara@lighthouse.dev", "token_count": 3, "what": "see /home/mara/notes"}


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    settings = privacy_settings(tmp_path / "w", user="ada", teams=["core"])
    opened = AgentFS(tmp_path / "w", None, ADA, replace(settings, key_files=tmp_path / "keys"))
    yield opened
    opened.close()


@pytest.fixture
def scout(agentfs: AgentFS) -> Actor:
    return join(agentfs, "scout", "documentation")


def leaves(agentfs: AgentFS, target: str, audience: Audience, purpose: Purpose = Purpose.SYNC) -> tuple[Action, bytes]:
    cleared = release(agentfs, find_item(agentfs, target), audience, purpose, by=ADA)
    return cleared.decision.action, cleared.data


def test_items_are_found_by_what_people_call_them(agentfs: AgentFS, scout: Actor) -> None:
    state = agentfs.states.put("scout", "findings/a", 1, by=scout)
    for target in (
        state.id,
        f"agents/{scout.id}/state/findings/a",
        "agents/scout/state/findings/a",
        "scout/findings/a",
    ):
        assert find_item(agentfs, target).id == state.id
    agentfs.states.delete("scout", "findings/a", by=scout)
    for target in (state.id, "scout/findings/a", "nobody/x", "", "a:b"):
        with pytest.raises(NotFound, match="There is no item"):
            find_item(agentfs, target)


def test_own_devices_get_private_things_sealed_to_the_key(agentfs: AgentFS, scout: Actor) -> None:
    canary = new_canary()
    agentfs.states.put("scout", "plain", {"a": "lighthouse"}, by=scout)
    agentfs.states.put("scout", "secret", {"token": canary}, by=scout)
    for key, content in (("plain", b"lighthouse"), ("secret", canary.encode())):
        action, data = leaves(agentfs, f"scout/{key}", Audience.own_devices())
        assert action is Action.SEAL
        assert content not in data
        assert data.startswith(b"age-encryption.org/v1")
        assert content in agentfs.guard.open(find_item(agentfs, f"scout/{key}").id, data)
    agentfs.keys.lock()
    with pytest.raises(Locked):
        leaves(agentfs, "scout/plain", Audience.own_devices())


def test_a_finding_leaves_without_personal_data(agentfs: AgentFS, scout: Actor) -> None:
    agentfs.states.put("scout", "findings/a", FINDING, by=scout)
    action, data = leaves(agentfs, "scout/findings/a", TEAM)
    assert action is Action.REDACT
    assert json.loads(data) == {"who": "<email-1>", "token_count": 3, "what": "see <home-1>/notes"}


def test_a_secret_that_was_missed_at_writing_is_found_at_the_door(agentfs: AgentFS, scout: Actor) -> None:
    canary = new_canary()
    state = agentfs.states.put("scout", "assumptions/a", "harmless", by=scout)
    with agentfs.database.transaction() as connection:
        digest = agentfs.contents.write(connection, json.dumps(canary).encode())
        connection.execute("UPDATE items SET sha256 = ? WHERE id = ?", (digest, state.id))
    with pytest.raises(AccessDenied, match="secret was found"):
        leaves(agentfs, state.id, TEAM)
    assert refusals(agentfs)[0].rule == "content"
    assert canary not in repr(refusals(agentfs))


def test_what_is_no_text_is_refused(agentfs: AgentFS, scout: Actor) -> None:
    state = agentfs.states.put("scout", "assumptions/a", "harmless", by=scout)
    with agentfs.database.transaction() as connection:
        digest = agentfs.contents.write(connection, b"\xff\xfe\x00")
        connection.execute("UPDATE items SET sha256 = ? WHERE id = ?", (digest, state.id))
    with pytest.raises(AccessDenied, match="cannot be classified"):
        leaves(agentfs, state.id, TEAM)


def test_a_refusal_is_told_and_recorded(agentfs: AgentFS, scout: Actor) -> None:
    agentfs.states.put("scout", "logs/a", "what I did", by=scout)
    with pytest.raises(AccessDenied, match="private and was not shared"):
        leaves(agentfs, "scout/logs/a", TEAM)
    told = refusals(agentfs)[0]
    assert (told.who, told.path, told.rule) == ("ada", "agents/scout/state/logs/a", "level")


def test_sharing_raises_what_the_controls_allow_and_nothing_else(agentfs: AgentFS, scout: Actor) -> None:
    agentfs.states.put("scout", "note", "a note", by=scout)
    agentfs.states.put("scout", "findings/a", FINDING, by=scout)
    agentfs.states.put("scout", "logs/a", "what I did", by=scout)
    agentfs.states.put("scout", "secret", new_canary(), by=scout)
    assert share(agentfs, "scout/note", "team:core", by=ADA).decision.action is Action.ALLOW
    assert leaves(agentfs, "scout/note", TEAM)[0] is Action.ALLOW
    with pytest.raises(AccessDenied):
        leaves(agentfs, "scout/note", Audience.team("other", member=True))
    assert share(agentfs, "scout/findings/a", "public", by=ADA).decision.action is Action.REDACT
    assert share(agentfs, "scout/findings/a", "public", by=ADA, in_full=True).decision.action is Action.ALLOW
    for target in ("scout/logs/a", "scout/secret"):
        with pytest.raises(InvalidInput, match="may not be shared"):
            share(agentfs, target, "team:core", by=ADA)
        assert agentfs.shares.of(find_item(agentfs, target).id) == []
    assert agentfs.audit_check.verify().whole


def test_a_dry_run_shares_nothing(agentfs: AgentFS, scout: Actor) -> None:
    state = agentfs.states.put("scout", "note", "a note", by=scout)
    assert share(agentfs, state.id, "team:core", by=ADA, dry_run=True).decision.action is Action.ALLOW
    assert agentfs.shares.of(state.id) == []


def test_unsharing_takes_back_and_opts_out_of_what_is_shared_by_itself(agentfs: AgentFS, scout: Actor) -> None:
    agentfs.states.put("scout", "note", "a note", by=scout)
    agentfs.states.put("scout", "assumptions/a", "it holds", by=scout)
    share(agentfs, "scout/note", "team:core", by=ADA)
    assert unshare(agentfs, "scout/note", by=ADA).removed == ("team core",)
    assert leaves(agentfs, "scout/assumptions/a", TEAM)[0] is Action.ALLOW
    assert unshare(agentfs, "scout/assumptions/a", "team:core", by=ADA).opted_out == ("team core",)
    for target in ("scout/note", "scout/assumptions/a"):
        with pytest.raises(AccessDenied):
            leaves(agentfs, target, TEAM)
        with pytest.raises(InvalidInput, match="not shared so"):
            unshare(agentfs, target, "team:core", by=ADA)
    share(agentfs, "scout/assumptions/a", "team:core", by=ADA)
    assert leaves(agentfs, "scout/assumptions/a", TEAM)[0] is Action.ALLOW


def kept_from_team(agentfs: AgentFS, target: str) -> str:
    decision = explanation(agentfs, target, "team:core").answers[0].decision
    return decision.rule if decision.action is Action.REFUSE else ""


def test_an_opt_out_outlives_what_it_was_said_of(agentfs: AgentFS, scout: Actor) -> None:
    target = "scout/assumptions/a"
    agentfs.states.put("scout", "assumptions/a", 1, by=scout)
    assert unshare(agentfs, target, by=ADA).opted_out == ("every team",)
    agentfs.states.delete("scout", "assumptions/a", by=scout)
    agentfs.states.put("scout", "assumptions/a", 2, by=scout, expires_in=60)
    assert kept_from_team(agentfs, target) == "opt_out"
    pass_time(agentfs.database, 61)
    agentfs.states.put("scout", "assumptions/a", 3, by=scout)
    assert kept_from_team(agentfs, target) == "opt_out"
    share(agentfs, target, "team:core", by=ADA)
    assert kept_from_team(agentfs, target) == ""
    agentfs.states.delete("scout", "assumptions/a", by=ADA)
    agentfs.states.put("scout", "assumptions/a", 4, by=scout)
    assert kept_from_team(agentfs, target) == "opt_out"


def test_a_team_is_excepted_from_an_opt_out_from_every_team(agentfs: AgentFS, scout: Actor) -> None:
    target, other = "scout/assumptions/a", Audience.team("other", member=True)
    agentfs.states.put("scout", "assumptions/a", "it holds", by=scout)
    unshare(agentfs, target, by=ADA)
    for refused in (lambda: leaves(agentfs, target, TEAM), lambda: leaves(agentfs, target, other)):
        with pytest.raises(AccessDenied, match="opted out"):
            refused()
    assert share(agentfs, target, "team:core", by=ADA).changed
    assert leaves(agentfs, target, TEAM)[0] is Action.ALLOW
    with pytest.raises(AccessDenied, match="opted out"):
        leaves(agentfs, target, other)
    assert share(agentfs, target, "public", by=ADA).changed
    assert leaves(agentfs, target, other)[0] is Action.ALLOW
    assert not [each for each in agentfs.shares.of(find_item(agentfs, target).id) if each.opted_out]
    assert agentfs.audit_check.verify().whole


def test_an_agent_does_not_undo_the_opt_out_of_its_user(agentfs: AgentFS, scout: Actor) -> None:
    agentfs.states.put("scout", "assumptions/a", 1, by=scout)
    for audience in ("", "team:core"):
        unshare(agentfs, "scout/assumptions/a", audience, by=ADA)
        for wider in ("team:core", "public"):
            with pytest.raises(AccessDenied, match="only its owner takes that back"):
                share(agentfs, "scout/assumptions/a", wider, by=scout)
        share(agentfs, "scout/assumptions/a", "public", by=ADA)
        unshare(agentfs, "scout/assumptions/a", "public", by=ADA)
    unshare(agentfs, "scout/assumptions/a", "team:core", by=scout)
    assert share(agentfs, "scout/assumptions/a", "team:core", by=scout).changed


@pytest.mark.parametrize("team", ["*", "a\nb", " core", "x" * 201, "ghp_a8Kd02LmQz7Xw93VbN5tRy6Uc1Pe4Sf0Gh2J"])
def test_what_cannot_be_a_team_is_refused_before_it_is_kept(agentfs: AgentFS, scout: Actor, team: str) -> None:
    item = agentfs.states.put("scout", "assumptions/a", 1, by=scout)
    for said in (share, unshare):
        with pytest.raises(InvalidInput):
            said(agentfs, item.id, f"team:{team}", by=ADA)
    assert agentfs.shares.all() == []


def test_a_team_share_is_no_share_with_the_owners_agents_outside_it(agentfs: AgentFS, scout: Actor) -> None:
    critic = join(agentfs, "critic")
    agentfs.states.put("scout", "note", "a note", by=scout)
    share(agentfs, "scout/note", "team:strangers", by=ADA)
    with pytest.raises(AccessDenied, match="Private resource"):
        agentfs.states.get("scout", "note", by=critic)
    share(agentfs, "scout/note", "team:core", by=ADA)
    assert agentfs.states.get("scout", "note", by=critic).value == "a note"
    with pytest.raises(AccessDenied):
        agentfs.states.delete("scout", "note", by=critic)
    with pytest.raises(AccessDenied):
        agentfs.states.put("scout", "note", "mine", by=critic)


def test_only_the_owner_shares(agentfs: AgentFS, scout: Actor) -> None:
    critic = join(agentfs, "critic")
    agentfs.states.put("scout", "note", "a note", by=scout)
    for other in (critic, Actor(ActorKind.PERSON, "tom", "cli"), replace(scout, verified=False)):
        with pytest.raises(AccessDenied, match="Only its owner"):
            share(agentfs, "scout/note", "public", by=other)
    assert share(agentfs, "scout/note", "agent:critic", by=scout).changed
    assert agentfs.states.get("scout", "note", by=critic).value == "a note"
    agentfs.agents.retire("critic", by=ADA)
    with pytest.raises(InvalidInput, match="critic is retired"):
        share(agentfs, "scout/note", "agent:critic", by=ADA)
    unshare(agentfs, "scout/note", "agent:critic", by=ADA)
    assert agentfs.shares.all() == []


def test_what_is_taken_back_is_read_no_more(agentfs: AgentFS, scout: Actor) -> None:
    critic = join(agentfs, "critic")
    agentfs.states.put("scout", "note", "a note", by=scout)
    share(agentfs, "scout/note", "agent:critic", by=ADA)
    unshare(agentfs, "scout/note", by=ADA)
    with pytest.raises(AccessDenied):
        agentfs.states.get("scout", "note", by=critic)


def test_an_explanation_names_the_rule_for_every_audience(agentfs: AgentFS, scout: Actor) -> None:
    join(agentfs, "critic")
    agentfs.states.put("scout", "credentials/a", "x", by=scout)
    told = explanation(agentfs, "scout/credentials/a")
    assert (told.path, told.item.sensitive) == ("agents/scout/state/credentials/a", Sensitivity.PATTERN)
    answers = {each.name: (each.decision.action, each.decision.rule) for each in told.answers}
    assert answers == {
        "your own devices": ("seal", "private_pattern"),
        "agent scout": ("allow", "private_pattern"),
        "agent critic": ("refuse", "private_pattern"),
        "team core": ("refuse", "private_pattern"),
        "everybody": ("refuse", "private_pattern"),
        "logs": ("refuse", "private_pattern"),
    }
    assert all(sum(each.decided for each in answer.considered) == 1 for answer in told.answers)


def test_the_rules_tell_what_each_pattern_catches(agentfs: AgentFS, scout: Actor) -> None:
    agentfs.states.put("scout", "credentials/a", "x", by=scout)
    agentfs.states.put("scout", "token", new_canary(), by=scout)
    told = rules_report(agentfs)
    caught = {each.pattern.text: len(each.paths) for each in told.patterns}
    assert caught["credentials"] == 1
    assert [each.pattern.text for each in told.patterns if each.matches_nothing] == [
        each for each in caught if each != "credentials"
    ]
    assert (told.items, told.sealed) == (2, 2)
    assert (told.sensitive[Sensitivity.SECRET], told.sensitive[Sensitivity.PATTERN]) == (1, 1)


def test_a_preview_counts_what_would_leave(agentfs: AgentFS, scout: Actor) -> None:
    for key, value in (("findings/a", FINDING), ("examples/a", "code"), ("logs/a", "log"), ("secret", new_canary())):
        agentfs.states.put("scout", key, value, by=scout)
    told = preview(agentfs, TEAM, Purpose.SYNC)
    assert told.counts == {Action.REDACT: 1, Action.ALLOW: 1, Action.REFUSE: 2}
    assert [decision.action for _, decision in told.first] == [Action.ALLOW, Action.REDACT]  # by path
    assert preview(agentfs, TEAM, Purpose.SYNC, lambda: True).counts == {}
