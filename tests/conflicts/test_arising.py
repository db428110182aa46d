"""Conflicts that arise: settled at once with a reason, left open, asked about, gone on with where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import PrivacySettings
from core.agentfs.policy import AgentPolicy
from core.config import ConflictSettings, defaults_folder, load_settings
from core.conflicts.arising import Arisen, arising_of
from core.conflicts.asking import ASK, require_asked
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.records import ConflictStatus, ConflictStore, Side
from core.errors import ConfigurationError, InvalidInput
from core.ids import sha256_hex
from core.model import Sensitivity

USER = "mara"
PERSON = Actor(ActorKind.PERSON, USER, "cli")
PATH = "notes/harbour"
BASE, FIRST, SECOND = b"Opens.\nNo dogs.\nEnd.\n", b"Opens!\nNo dogs.\nEnd.\n", b"Opens.\nNo dogs.\nThe end.\n"
OTHER = b"Closed.\nNo dogs.\nEnd.\n"


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    rules = (defaults_folder() / "privacy_config.yml",)
    opened = AgentFS(
        tmp_path / "w", AgentPolicy(max_agents=4), PERSON, PrivacySettings(rules, tmp_path / "keys", False, USER)
    )
    yield opened
    assert opened.audit_check.verify().whole
    opened.close()


def side(content: bytes | None, who: str = USER) -> Side:
    return Side(sha256_hex(content)[:16] if content is not None else None, content, None, who, "desk-device")


def arise(
    agentfs: AgentFS,
    local: Side,
    remote: Side,
    base: bytes | None = BASE,
    *,
    path: str = PATH,
    kind: str = "decision",
    critical: bool = False,
    found: Sensitivity = Sensitivity.NONE,
    agents: tuple[str, str] = ("", ""),
    **settings: Any,
) -> Arisen:
    arising = arising_of(agentfs, ConflictSettings(**settings), USER)
    with agentfs.database.transaction() as connection:
        return arising.arise_within(
            connection,
            path,
            kind,
            side(base) if base is not None else None,
            local,
            remote,
            owner=USER,
            found=found,
            critical=critical,
            by=PERSON,
            agents=agents,
        )


def register(agentfs: AgentFS, name: str, *responsibilities: str, kind: str = "poc") -> str:
    declared = {"responsibilities": list(responsibilities)}
    return agentfs.agents.register(name, kind, declared, owner=USER, by=PERSON).agent.id


def test_what_fits_is_settled_and_told_in_record_and_audit(agentfs: AgentFS) -> None:
    arisen = arise(agentfs, side(FIRST), side(SECOND))
    assert (arisen.writes, arisen.content) == (True, b"Opens!\nNo dogs.\nThe end.\n")
    record = ConflictStore(agentfs).get(arisen.record.id)
    outcome = record.outcome
    assert outcome is not None
    assert (record.status, outcome.by, outcome.took) == (ConflictStatus.RESOLVED, RuledBy.AUTOMATIC, Took.MERGED)
    assert outcome.why == "Each place was changed by one side alone, or by both alike."
    (told,) = [each for each in agentfs.audit.page(1, 99) if each.subject == record.id]
    assert told.action == "conflict.merge"
    assert told.details["result_sha256"] == sha256_hex(arisen.content or b"")
    assert told.details["local_sha256"] == sha256_hex(FIRST)
    assert "Opens" not in str(told.details)


def test_of_what_is_sealed_nothing_is_told_that_it_could_be_guessed_from(agentfs: AgentFS) -> None:
    agentfs.guard.prepare()
    arisen = arise(agentfs, side(FIRST), side(SECOND), found=Sensitivity.SECRET)
    item = agentfs.items.at_path(arisen.record.item_path)
    assert item is not None
    assert item.sealed
    told = [str(each.details) for each in agentfs.audit.page(1, 99)]
    for content in (BASE, FIRST, SECOND, arisen.content or b""):
        assert sha256_hex(content) not in str(item.metadata)
        assert not any(sha256_hex(content) in each for each in told)
    assert ConflictStore(agentfs).get(arisen.record.id).outcome == arisen.outcome


def test_what_is_open_goes_on_and_a_merge_of_others_does_not_close_it(agentfs: AgentFS) -> None:
    opened = arise(agentfs, side(OTHER), side(FIRST)).record
    assert opened.status is ConflictStatus.OPEN
    merged = arise(agentfs, side(SECOND), side(FIRST))
    assert (merged.writes, merged.outcome and merged.outcome.took) == (True, Took.MERGED)
    (entry,) = ConflictStore(agentfs).all()
    record = ConflictStore(agentfs).get(entry.id)
    assert (record.id, record.status) == (opened.id, ConflictStatus.OPEN)
    assert {each.content for each in record.sides} == {OTHER, FIRST, SECOND}
    assert "conflict.merge" in [each.action for each in agentfs.audit.page(1, 99)]


def test_what_was_settled_is_open_again_in_another_round(agentfs: AgentFS) -> None:
    settled = arise(agentfs, side(FIRST), side(SECOND))
    again = arise(agentfs, side(OTHER), side(FIRST)).record
    assert (again.id, again.status, again.round) == (settled.record.id, ConflictStatus.OPEN, 1)
    third = arise(agentfs, side(SECOND), side(SECOND)).record
    assert third.status is ConflictStatus.OPEN
    assert {each.content for each in third.sides} == {OTHER, FIRST, SECOND}


@pytest.mark.parametrize(
    ("kind", "critical", "reserved"), [("assumption", False, "assumption"), ("decision", True, "critical data")]
)
def test_what_is_reserved_waits_for_the_person_and_nobody_is_asked(
    agentfs: AgentFS, kind: str, critical: bool, reserved: str
) -> None:
    register(agentfs, "judge")
    arisen = arise(agentfs, side(FIRST), side(SECOND), kind=kind, critical=critical, supervisor_agent="judge")
    assert (arisen.writes, arisen.outcome) == (False, None)
    assert (arisen.record.reserved, arisen.record.asked) == (reserved, None)
    edit = arise(agentfs, side(None), side(SECOND), kind=kind, critical=critical, path="notes/other")
    assert edit.record.reserved == reserved


def test_the_agent_that_is_responsible_for_a_state_has_its_way(agentfs: AgentFS) -> None:
    scout, mason = register(agentfs, "scout", "plan"), register(agentfs, "mason", "src/**")
    path = f"agents/{scout}/state/plan"
    values = [f'{{"step":{number}}}'.encode() for number in (1, 2, 3)]
    sides = side(values[1], "mara · mason"), side(values[2], "mara · scout")
    ruled = arise(agentfs, *sides, base=values[0], path=path, kind="state", agents=(mason, scout))
    assert ruled.outcome is not None
    assert (ruled.outcome.by, ruled.outcome.took, ruled.writes) == (RuledBy.SUPERVISOR, Took.REMOTE, False)
    assert ruled.outcome.why == "scout is responsible for plan, and mason is not."
    person = arise(agentfs, *sides, base=values[0], path=f"{path}/2", kind="state", agents=(USER, scout))
    assert person.record.status is ConflictStatus.OPEN


def test_the_supervisor_agent_is_asked_for_a_while(agentfs: AgentFS) -> None:
    judge, scout = register(agentfs, "judge"), register(agentfs, "scout")
    record = arise(agentfs, side(OTHER), side(FIRST), supervisor_agent="judge", supervisor_seconds=30).record
    assert record.asked is not None
    assert (record.asked.agent, record.status) == ("judge", ConflictStatus.OPEN)
    (message,) = agentfs.messages.inbox("judge", by=Actor(ActorKind.AGENT, judge, "mcp"))
    assert message.type == ASK
    assert isinstance(message.content, dict)
    assert message.content["conflict"] == record.id
    asked, other = agentfs.agents.get(judge), agentfs.agents.get(scout)
    require_asked(record, asked, record.asked.until)
    with pytest.raises(InvalidInput, match="is over"):
        require_asked(record, asked, record.asked.until + timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="not asked"):
        require_asked(record, other, record.asked.until)
    with pytest.raises(InvalidInput, match="not asked"):
        require_asked(replace(record, reserved="critical data"), asked, record.asked.until)
    with pytest.raises(InvalidInput, match="settled"):
        require_asked(replace(record, status=ConflictStatus.RESOLVED), asked, record.asked.until)
    # Nobody judges what is at odds with itself, nor who is not here.
    for asks in ({"agents": (judge, "")}, {"supervisor_agent": "nobody"}):
        told: dict[str, Any] = {"supervisor_agent": "judge", "path": "notes/other", **asks}
        assert arise(agentfs, side(OTHER), side(FIRST), **told).record.asked is None


def test_the_settings_are_those_of_the_file_and_checked(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}).conflicts == ConflictSettings()
    chosen = load_settings(tmp_path, {"BAILIWICK_CONFLICTS_POLICY": "docs/**=writer, src/**=poc"}).conflicts
    assert chosen.policy_rules == (("docs/**", "writer"), ("src/**", "poc"))
    assert chosen.rank_order == ("validation", "documentation", "poc", "research")
    for name, value in (("POLICY", "docs/**"), ("COMPLEMENTARY_CHANGES", "never"), ("SUPERVISOR_SECONDS", "0")):
        with pytest.raises(ConfigurationError):
            load_settings(tmp_path, {f"BAILIWICK_CONFLICTS_{name}": value})
