"""Claims: what another agent's lease refuses is a conflict, that the supervisor rules on or a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.agent_model import Actor, ActorKind, Importance, LeaseMode
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from core.agentfs.policy import AgentPolicy
from core.config import ConflictSettings
from core.conflicts.arising import Arising
from core.conflicts.claiming import Claiming
from core.conflicts.ended_claims import settle_ended
from core.conflicts.merging.decisions import Choice
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore
from core.conflicts.service import ConflictService
from core.conflicts.summaries import Applied
from core.errors import InvalidInput, LeaseHeld
from tests.agentfs.acting import pass_time

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    """A workspace of Ada's with room for four agents."""
    settings = replace(privacy_settings(tmp_path / "w", user="ada"), key_files=tmp_path / "keys")
    opened = AgentFS(tmp_path / "w", AgentPolicy(max_agents=4), ADA, settings)
    yield opened
    opened.close()


def join(agentfs: AgentFS, name: str, type: str = "coding", *patterns: str) -> Actor:  # noqa: A002 - the column's name
    capabilities: dict[str, Any] = {"responsibilities": list(patterns)} if patterns else {}
    agent = agentfs.agents.register(name, type, capabilities, owner="ada", by=ADA).agent
    return Actor(ActorKind.AGENT, agent.id, "mcp")


def claiming(agentfs: AgentFS, **settings: Any) -> Claiming:
    return Claiming(agentfs, Arising(agentfs, ConflictSettings(**settings)))


def told(agentfs: AgentFS, agent: Actor) -> list[tuple[str, str]]:
    """The type and text of what Bailiwick told the agent, and that all of it is of importance."""
    messages = agentfs.messages.inbox(agent.id, by=agent, unread_only=False)
    assert all(each.importance is Importance.HIGH and each.sender_id is None for each in messages)
    return [(each.type, each.content["text"]) for each in messages if isinstance(each.content, dict)]  # type: ignore[misc]


def only(agentfs: AgentFS) -> ConflictRecord:
    (entry,) = ConflictStore(agentfs).all()
    return ConflictStore(agentfs).get(entry.id)


def holders(agentfs: AgentFS) -> list[tuple[str, str, LeaseMode]]:
    return [(each.agent, each.resource, each.mode) for each in agentfs.leases.held()]


def test_without_a_rule_the_refusal_says_who_is_asked_and_trying_again_adds_nothing(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    door = claiming(agentfs)
    door.take("nia", "src/**", by=nia, reason="refactoring")
    with pytest.raises(LeaseHeld) as refusal:
        door.take("sam", "src/app.py", by=sam)
    record = only(agentfs)
    assert (record.kind, record.path, record.status) == ("claim", "claims/src/**", ConflictStatus.OPEN)
    assert (record.local.who, record.remote.who) == ("sam", "nia")
    assert refusal.value.message.endswith(
        f"nia holds src/** (exclusive) for 300 s more (refactoring). Conflict {record.id} is open:"
        " the person is asked to rule."
    )
    assert (refusal.value.facts["conflict"], refusal.value.facts["holder"]) == (record.id, "nia")
    position = agentfs.items.position()
    for reason in ("now", "really"):
        with pytest.raises(LeaseHeld):
            door.take("sam", "src/app.py", by=sam, seconds=60, reason=reason)
    assert agentfs.items.position() == position
    kim = join(agentfs, "kim")
    with pytest.raises(LeaseHeld):
        door.take("kim", "src/lamp.py", by=kim)
    record = only(agentfs)
    assert {each.who for each in record.sides} == {"nia", "sam", "kim"}
    service = ConflictService(agentfs, "ada")
    assert [each.id for each in service.about(sam.id)] == [record.id]
    assert agentfs.audit_check.verify().whole


def test_the_supervisor_gives_it_to_who_is_responsible_and_both_hear_why(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam", "coding", "src/app.py")
    door = claiming(agentfs)
    door.take("nia", "src/**", by=nia)
    lease = door.take("sam", "src/app.py", by=sam, seconds=60)
    assert (lease.agent, lease.resource, lease.seconds) == ("sam", "src/app.py", 60)
    assert holders(agentfs) == [("sam", "src/app.py", LeaseMode.EXCLUSIVE)]
    record = only(agentfs)
    assert record.status is ConflictStatus.RESOLVED
    assert record.outcome is not None
    assert (record.outcome.by, record.outcome.took) == (RuledBy.SUPERVISOR, Took.LOCAL)
    why = record.outcome.why
    assert told(agentfs, nia) == [
        ("claim.ruled", f"The supervisor ruled: your lease on src/** has ended, sam has src/app.py now. {why}")
    ]
    assert told(agentfs, sam) == [
        ("claim.ruled", f"The supervisor ruled for you: you hold src/app.py (exclusive) for 60 s. {why}")
    ]
    # The other way round the ruling stands, however often it is tried.
    for _ in range(2):
        with pytest.raises(LeaseHeld, match="Ruled for sam: ") as refusal:
            door.take("nia", "src/**", by=nia)
        assert str(refusal.value.facts["ruling"]) in refusal.value.message
    assert len(ConflictStore(agentfs).all()) == 2
    assert ConflictStore(agentfs).count_open() == 0
    assert agentfs.audit_check.verify().whole


def test_what_was_open_about_a_lease_ends_with_the_ruling_that_ends_it(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam", "coding", "src/app.py")
    kim = join(agentfs, "kim")
    door = claiming(agentfs)
    door.take("nia", "src/**", by=nia)
    for agent, resource in ((kim, "src/lens.py"), (sam, "src/lamp.py")):
        with pytest.raises(LeaseHeld, match="is open: the person is asked"):
            door.take(agent.id, resource, by=agent)
    assert door.take("sam", "src/app.py", by=sam).agent == "sam"
    record = only(agentfs)
    assert record.status is ConflictStatus.RESOLVED
    assert {each.who for each in record.sides} == {"nia", "sam", "kim"}
    assert told(agentfs, nia)[0][1].endswith("sam is responsible for src/app.py, and nia is not.")
    assert settle_ended(agentfs) == 0
    assert door.take("kim", "src/lens.py", by=kim).agent == "kim"
    assert agentfs.audit_check.verify().whole


def test_nobody_loses_a_lease_for_what_is_not_got(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam", "coding", "docs/**", "src/**")
    kim = join(agentfs, "kim", "coding", "src/a.py")
    door = claiming(agentfs)
    door.take("nia", "docs/a.md", by=nia)
    door.take("kim", "src/a.py", by=kim)
    with pytest.raises(LeaseHeld, match="Ruled for kim"):
        door.take("sam", "**", by=sam)
    assert {each[0] for each in holders(agentfs)} == {"nia", "kim"}
    assert told(agentfs, nia) == told(agentfs, sam) == []
    assert [each.path for each in ConflictStore(agentfs).all()] == ["claims/src/a.py"]


def test_who_showed_no_key_takes_nothing_and_asks_nobody(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam", "coding", "src/**")
    claiming(agentfs).take("nia", "src/**", by=nia)
    with pytest.raises(LeaseHeld) as refusal:
        claiming(agentfs).take("sam", "src/**", by=replace(sam, verified=False))
    assert "conflict" not in refusal.value.facts
    assert ConflictStore(agentfs).all() == []


@pytest.mark.parametrize("choice", [Choice.LOCAL, Choice.REMOTE])
def test_a_person_rules_and_everyone_hears(agentfs: AgentFS, choice: Choice) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    door, service = claiming(agentfs, tool_boundary_conflicts="ask"), ConflictService(agentfs, "ada")
    door.take("nia", "src/**", by=nia, mode=LeaseMode.SHARED)
    with pytest.raises(LeaseHeld):
        door.take("sam", "src/", by=sam, seconds=60)
    opened = service.open(only(agentfs).id)
    assert len(opened.open) == 1
    applied = service.apply(opened.choose_open(choice), by=ADA, why="It is urgent.")
    assert isinstance(applied, Applied)
    assert applied.changed is (choice is Choice.LOCAL)
    given, left = ("sam", nia) if choice is Choice.LOCAL else ("nia", sam)
    assert [each[0] for each in holders(agentfs)] == [given]
    ((kind, text),) = told(agentfs, left)
    assert kind == "claim.ruled"
    assert text.startswith("The person ruled: ")
    assert text.endswith("It is urgent.")
    assert told(agentfs, sam if left is nia else nia)[0][1].startswith("The person ruled for you: you hold src/**")
    if choice is Choice.LOCAL:
        service.undo_applied(applied.id, by=ADA)
        assert [each[0] for each in holders(agentfs)] == ["nia"]
        assert settle_ended(agentfs) == 0
        assert service.count_open() == 1


def test_a_claim_of_another_device_is_not_ruled_on_here(agentfs: AgentFS, tmp_path: Path) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    door = claiming(agentfs)
    door.take("nia", "src/**", by=nia)
    with pytest.raises(LeaseHeld):
        door.take("sam", "src/**", by=sam)
    record = only(agentfs)
    settings = replace(privacy_settings(tmp_path / "x", user="ada"), key_files=tmp_path / "keys")
    other = AgentFS(tmp_path / "x", AgentPolicy(max_agents=4), ADA, settings)
    with other.database.transaction() as connection:
        ConflictStore(other).put_within(
            connection, record, owner="ada", found=agentfs.items.at_path(record.item_path).sensitive,  # type: ignore[union-attr]
            by=ADA, action="conflict.open",
        )  # fmt: skip
    service = ConflictService(other, "ada")
    with pytest.raises(InvalidInput, match="on another device"):
        service.apply(service.open(record.id).choose_open(Choice.REMOTE), by=ADA)
    assert service.count_open() == 1
    assert settle_ended(other) == 0
    other.close()


@pytest.mark.parametrize("how", ["released", "expired", "its agent was retired", "claimant"])
def test_what_has_ended_needs_no_ruling(agentfs: AgentFS, how: str) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    door = claiming(agentfs)
    door.take("nia", "src/**", by=nia, seconds=60)
    with pytest.raises(LeaseHeld):
        door.take("sam", "src/**", by=sam)
    assert settle_ended(agentfs) == 0
    if how == "released":
        agentfs.leases.release("nia", "src/**", by=nia)
    elif how == "expired":
        pass_time(agentfs.database, 61)
        agentfs.leases.end_expired()
    else:
        agentfs.agents.retire("sam" if how == "claimant" else "nia", by=ADA)
    assert settle_ended(agentfs) == 1
    assert settle_ended(agentfs) == 0
    outcome = only(agentfs).outcome
    assert outcome is not None
    assert outcome.by is RuledBy.AUTOMATIC
    expected = "Who else wanted it was retired." if how == "claimant" else f"The lease of nia has ended: {how}."
    assert outcome.why == expected


def test_several_may_share_and_each_lease_is_a_question_of_its_own(agentfs: AgentFS) -> None:
    nia, sam, kim = join(agentfs, "nia"), join(agentfs, "sam"), join(agentfs, "kim")
    door, service = claiming(agentfs), ConflictService(agentfs, "ada")
    for agent in (nia, sam):
        door.take(agent.id, "resource:port 80%;\\", by=agent, mode=LeaseMode.SHARED)
    for _ in range(2):
        with pytest.raises(LeaseHeld):
            door.take("kim", "resource:port 80%;\\", by=kim)
    (entry,) = ConflictStore(agentfs).all()
    assert entry.path.startswith("claims/resource:port 80%25%3B%5C;")
    opened = service.open(entry.id)
    assert [each.who for each in (opened.local, opened.remote)] == ["kim", "nia"]
    service.apply(opened.choose_open(Choice.LOCAL), by=ADA)
    assert [each[0] for each in holders(agentfs)] == ["kim"]
    assert len(told(agentfs, nia)) == len(told(agentfs, sam)) == 1


def test_what_a_private_pattern_names_is_sealed_and_locked_keys_refuse_as_ever(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    door = claiming(agentfs)
    door.take("nia", "credentials/lamp.txt", by=nia)
    with pytest.raises(LeaseHeld):
        door.take("sam", "credentials/lamp.txt", by=sam)
    item = agentfs.items.at_path(only(agentfs).item_path)
    assert item is not None
    assert item.sealed
    agentfs.keys.lock()
    with pytest.raises(LeaseHeld) as refusal:
        door.take("sam", "credentials/lamp.txt", by=sam)
    assert "conflict" not in refusal.value.facts
