"""Reading and writing another's things is decided in one place, and each decision leaves a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, AuditFilters, AuditRecord
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from core.errors import AccessDenied
from core.ids import sha256_hex
from core.model import Kind, Level
from tests.agentfs.acting import ADA, join
from tests.agentfs.canaries import new_canary

TOM = Actor(ActorKind.PERSON, "tom", "cli")


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    settings = privacy_settings(tmp_path, user="ada")
    opened = AgentFS(tmp_path / "w", None, ADA, replace(settings, key_files=tmp_path / "keys"))
    yield opened
    opened.close()


def records(agentfs: AgentFS, action: str) -> list[AuditRecord]:
    return agentfs.audit.at(list(agentfs.audit.matching(AuditFilters(action=action))))


def test_an_agent_does_not_read_anothers_private_state(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), replace(join(agentfs, "critic"), peer="127.0.0.1:4711")
    state = agentfs.states.put("scout", "logs/today", "what I did", by=scout)
    agentfs.states.put("scout", "logs/today", "what I did then", by=scout)
    asked = (
        lambda: agentfs.states.get("scout", "logs/today", by=critic),
        lambda: agentfs.states.value_at("scout", "logs/today", 1, by=critic),
        lambda: agentfs.states.diff("scout", "logs/today", 1, 2, by=critic),
        lambda: agentfs.states.put("scout", "logs/today", "mine", by=critic),
        lambda: agentfs.states.put("scout", "logs/new", "mine", by=critic),
        lambda: agentfs.states.delete("scout", "logs/today", by=critic),
        lambda: agentfs.states.restore("scout", "logs/today", 1, by=critic),
    )
    for each in asked:
        with pytest.raises(AccessDenied, match="Private resource"):
            each()
    assert agentfs.states.all("scout", by=critic) == []
    refused = records(agentfs, "access.deny")
    assert len(refused) == len(asked)
    item = agentfs.items.get(state.id)
    assert item is not None
    assert (refused[0].actor, refused[0].subject) == (critic.id, state.id)
    assert refused[0].details == {
        "resource_sha256": sha256_hex(item.path.encode()),
        "operation": "read",
        "decision": "refuse",
        "rule": "level",
        "reason": "Private resource",
        "peer": "127.0.0.1:4711",
    } | {"rule": refused[0].details["rule"]}
    assert agentfs.states.get("scout", "logs/today", by=scout).version == 2
    assert agentfs.audit_check.verify().whole


def test_a_lost_race_tells_nothing_to_who_may_not_read(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    agentfs.states.put("scout", "logs/today", "private", by=scout)
    with pytest.raises(AccessDenied) as raised:
        agentfs.states.put("scout", "logs/today", "mine", by=critic, expect=7)
    assert "value" not in raised.value.facts


def test_what_another_agent_may_read_is_recorded_once(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    state = agentfs.states.put("scout", "findings/a", "a finding", by=scout)
    assert state.level is Level.TEAM
    for _ in range(3):
        assert agentfs.states.get("scout", "findings/a", by=critic).value == "a finding"
    assert [(each.actor, each.details["decision"]) for each in records(agentfs, "access.allow")] == [
        (critic.id, "allow")
    ]
    agentfs.states.put("scout", "findings/a", "a better one", by=critic)
    assert [state.value for state in agentfs.states.all("scout", by=critic)] == ["a better one"]


def test_a_sensitive_state_is_for_its_agent_and_its_owner(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    canary = new_canary()
    agentfs.states.put("scout", "findings/a", {"token": canary}, by=scout)
    agentfs.shares.put(agentfs.states.get("scout", "findings/a").id, "agent", critic.id, by=ADA, in_full=True)
    with pytest.raises(AccessDenied) as raised:
        agentfs.states.get("scout", "findings/a", by=critic)
    assert canary not in f"{raised.value} {raised.value.facts}"
    for own in (scout, ADA):
        assert agentfs.states.get("scout", "findings/a", by=own).value == {"token": canary}
    # Who opened what is sensitive is on record, its owner too.
    assert {each.actor for each in records(agentfs, "access.allow")} == {scout.id, ADA.id}


def test_another_user_gets_nothing_private(agentfs: AgentFS) -> None:
    scout = join(agentfs, "scout")
    agentfs.states.put("scout", "findings/a", "for the team", by=scout)
    agentfs.states.put("scout", "logs/a", "for me", by=scout)
    with pytest.raises(AccessDenied, match="No team access"):
        agentfs.states.get("scout", "findings/a", by=TOM)
    with pytest.raises(AccessDenied, match="Private resource"):
        agentfs.states.get("scout", "logs/a", by=TOM)


def test_findings_reach_the_agents_of_teammates_without_personal_data(tmp_path: Path) -> None:
    settings = privacy_settings(tmp_path, user="tom", teams=["core"])
    opened = AgentFS(tmp_path / "w", privacy=replace(settings, key_files=tmp_path / "keys"))
    scout = join(opened, "scout")
    visitor = opened.agents.register("visitor", "research", owner="tom", by=TOM).agent
    toms = Actor(ActorKind.AGENT, visitor.id, "mcp")
    opened.states.put("scout", "findings/a", {"who": "mara@lighthouse.dev", "what": "it works"}, by=scout)
    found = opened.states.get("scout", "findings/a", by=toms)
    assert (found.value, found.redacted) == ({"who": "<email-1>", "what": "it works"}, True)
    assert [state.value for state in opened.states.all("scout", by=toms)] == [found.value]
    with pytest.raises(AccessDenied, match="Only its owner"):
        opened.states.put("scout", "findings/a", found.value, by=toms)
    opened.close()
    # Which teams Tom is in is not known where Ada works.
    settings = replace(settings, user="ada", key_files=tmp_path / "keys")
    with (
        closing(AgentFS(tmp_path / "w", None, ADA, settings)) as adas,
        pytest.raises(AccessDenied, match="No team access"),
    ):
        adas.states.get("scout", "findings/a", by=toms)


def test_who_reads_by_a_share_changes_nothing(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout", "documentation"), join(agentfs, "critic")
    state = agentfs.states.put("scout", "memo", "to be read", by=scout)
    agentfs.shares.put(state.id, "agent", critic.id, by=ADA)
    assert agentfs.states.get("scout", "memo", by=critic).value == "to be read"
    for changing in (
        lambda: agentfs.states.put("scout", "memo", "mine", by=critic),
        lambda: agentfs.states.put("scout", "memo", "mine", by=critic, kind=Kind.RESEARCH_FINDING),
        lambda: agentfs.states.delete("scout", "memo", by=critic),
        lambda: agentfs.states.put("scout", "memo", "mine", by=TOM),
    ):
        with pytest.raises(AccessDenied):
            changing()
    assert agentfs.states.get("scout", "memo", by=ADA).version == 1


def test_only_its_agent_and_its_owner_say_what_a_state_is(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout", "documentation"), join(agentfs, "critic")
    agentfs.states.put("scout", "findings/a", 1, by=scout)
    assert agentfs.states.put("scout", "findings/a", 2, by=critic, kind=Kind.RESEARCH_FINDING).version == 2
    unproven = replace(scout, verified=False)
    for key, by in (("findings/a", critic), ("findings/b", critic), ("findings/a", unproven), ("new", unproven)):
        with pytest.raises(AccessDenied, match="Only its own agent and its owner say"):
            agentfs.states.put("scout", key, 3, by=by, kind=Kind.ASSUMPTION)
    with pytest.raises(AccessDenied, match="Private resource"):
        agentfs.states.put("scout", "new", 3, by=critic, kind=Kind.ASSUMPTION)
    for by in (scout, ADA):
        assert agentfs.states.put("scout", "findings/a", by.id, by=by, kind=Kind.ASSUMPTION).kind is Kind.ASSUMPTION
    # One that was deleted keeps its kind, so nobody writes it as another meanwhile.
    agentfs.states.put("scout", "findings/log", 1, by=scout, kind=Kind.IMPLEMENTATION_LOG)
    agentfs.states.delete("scout", "findings/log", by=scout)
    with pytest.raises(AccessDenied, match="Private resource"):
        agentfs.states.put("scout", "findings/log", 2, by=critic)


def test_a_retired_agent_reads_nothing_of_others_and_has_no_key(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    agentfs.states.put("scout", "findings/a", "for all", by=scout)
    key = agentfs.agents.read_key(critic.id)
    assert agentfs.states.get("scout", "findings/a", by=critic).value == "for all"
    agentfs.agents.retire("critic", by=ADA)
    with pytest.raises(AccessDenied, match="The agent is retired"):
        agentfs.states.get("scout", "findings/a", by=critic)
    assert agentfs.states.all("scout", by=critic) == []
    assert not agentfs.agents.verify_key(critic.id, key)
    assert records(agentfs, "access.deny")[-1].details["rule"] == "retired"
    assert agentfs.audit_check.verify().whole


def test_an_unverified_agent_is_not_believed(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), replace(join(agentfs, "critic"), verified=False)
    agentfs.states.put("scout", "findings/a", 1, by=scout)
    with pytest.raises(AccessDenied, match="showed no key"):
        agentfs.states.get("scout", "findings/a", by=critic)
    assert not records(agentfs, "access.deny")[0].verified


def test_messages_are_for_their_parties_and_the_owner(agentfs: AgentFS) -> None:
    scout, critic, other = join(agentfs, "scout"), join(agentfs, "critic"), join(agentfs, "other")
    message = agentfs.messages.send("scout", "critic", "between us", by=scout)
    for party in (scout, critic, ADA):
        assert agentfs.messages.get(message.id, by=party).content == "between us"
    for stranger in (other, TOM):
        with pytest.raises(AccessDenied, match="Private resource"):
            agentfs.messages.get(message.id, by=stranger)


def test_what_a_state_was_before_is_its_owners(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout", "documentation"), join(agentfs, "critic")
    canary = new_canary()
    agentfs.states.put("scout", "plan", {"token": canary}, by=scout)
    agentfs.states.put("scout", "plan", "clean", by=scout, kind=Kind.RESEARCH_FINDING)
    assert agentfs.states.get("scout", "plan", by=critic).value == "clean"
    for asked in (
        lambda: agentfs.states.value_at("scout", "plan", 1, by=critic),
        lambda: agentfs.states.value_at("scout", "plan", 2, by=critic),
        lambda: agentfs.states.diff("scout", "plan", 1, 2, by=critic),
        lambda: agentfs.states.history("scout", "plan", by=critic),
        lambda: agentfs.states.restore("scout", "plan", 1, by=critic),
    ):
        with pytest.raises(AccessDenied, match="Private resource"):
            asked()
    restored = agentfs.states.restore("scout", "plan", 1, by=scout)
    assert (restored.kind, restored.level, restored.sealed) == (Kind.STATE, Level.PRIVATE, True)


@pytest.mark.parametrize("stranger", ["unverified", "another person"])
def test_snapshots_show_and_restore_ones_own(agentfs: AgentFS, stranger: str) -> None:
    scout = join(agentfs, "scout")
    agentfs.states.put("scout", "plan", {"token": new_canary()}, by=scout)
    snapshot = agentfs.snapshots.take("before", by=ADA)
    agentfs.states.put("scout", "plan", 2, by=scout)
    by = TOM if stranger == "another person" else replace(scout, verified=False)
    assert agentfs.snapshots.compare(snapshot.id, by=by) == []
    assert agentfs.snapshots.restore(snapshot.id, by=by).changes == ()
    assert agentfs.states.get("scout", "plan", by=ADA).value == 2
    agentfs.messages.send("scout", "person", "for ada", by=scout)
    assert agentfs.messages.page(1, 1, by=by) == []
    assert len(agentfs.messages.page(1, 1, by=ADA)) == 1


def test_an_agent_compares_and_restores_its_own(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    for name, by in (("scout", scout), ("critic", critic)):
        agentfs.states.put(name, "logs/a", 1, by=by)
    snapshot = agentfs.snapshots.take("before", by=ADA)
    for name, by in (("scout", scout), ("critic", critic)):
        agentfs.states.put(name, "logs/a", 2, by=by)
    assert {each.agent for each in agentfs.snapshots.compare(snapshot.id, by=critic)} == {"critic"}
    agentfs.snapshots.restore(snapshot.id, by=critic)
    assert agentfs.states.get("scout", "logs/a", by=ADA).value == 2
    assert agentfs.states.get("critic", "logs/a", by=ADA).value == 1


def test_a_share_goes_with_its_item(agentfs: AgentFS) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    state = agentfs.states.put("scout", "logs/a", "shared", by=scout)
    agentfs.shares.put(state.id, "agent", critic.id, by=ADA)
    with pytest.raises(AccessDenied):  # the control of implementation logs allows no more
        agentfs.states.get("scout", "logs/a", by=critic)
    plain = agentfs.states.put("scout", "assumptions/a", "shared", by=scout)
    agentfs.shares.put(plain.id, "agent", critic.id, by=ADA)
    assert agentfs.states.get("scout", "assumptions/a", by=critic).value == "shared"
    agentfs.states.delete("scout", "assumptions/a", by=scout)
    assert agentfs.shares.of(plain.id) == []
