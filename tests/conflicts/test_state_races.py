"""A write of a state that comes too late and is kept: merged at once, or a conflict that goes on with each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from core.agentfs.policy import AgentPolicy
from core.config import ConflictSettings
from core.conflicts.arising import Arising
from core.conflicts.merging.decisions import Choice
from core.conflicts.outcomes import RuledBy
from core.conflicts.records import ConflictStatus, ConflictStore
from core.conflicts.service import ConflictService
from core.conflicts.state_races import Kept, StateRaces
from core.conflicts.summaries import Applied
from core.errors import AccessDenied, InvalidInput, StateConflict
from core.model import JSONValue
from tests.agentfs.canaries import files_with, new_canary

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    """A workspace of Ada's with room for four agents."""
    settings = replace(privacy_settings(tmp_path / "w", user="ada"), key_files=tmp_path / "keys")
    opened = AgentFS(tmp_path / "w", AgentPolicy(max_agents=4), ADA, settings)
    yield opened
    opened.close()


def join(agentfs: AgentFS, name: str) -> Actor:
    return Actor(ActorKind.AGENT, agentfs.agents.register(name, "coding", owner="ada", by=ADA).agent.id, "mcp")


def races(agentfs: AgentFS, **settings: Any) -> StateRaces:
    return StateRaces(agentfs, Arising(agentfs, ConflictSettings(**settings)))


def keep(agentfs: AgentFS, key: str, value: JSONValue, expect: int, by: Actor, **settings: Any) -> Kept:
    return races(agentfs, **settings).put("nia", key, value, by=by, expect=expect)


def now_at(agentfs: AgentFS, key: str) -> tuple[JSONValue, int]:
    state = agentfs.states.get("nia", key)
    return state.value, state.version


def test_what_fits_together_is_a_new_version_at_once_and_can_be_taken_back(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    first = keep(agentfs, "plan", {"a": 1, "b": 1}, 0, nia)
    assert (first.is_written, first.conflict, first.state and first.state.version) == (True, None, 1)
    keep(agentfs, "plan", {"a": 2, "b": 1}, 1, nia)
    kept = keep(agentfs, "plan", {"a": 1, "b": 3}, 1, ADA)
    assert kept.is_written
    assert now_at(agentfs, "plan") == ({"a": 2, "b": 3}, 3)
    assert kept.conflict is not None
    assert (kept.conflict.status, kept.conflict.outcome and kept.conflict.outcome.by) == (
        ConflictStatus.RESOLVED,
        RuledBy.AUTOMATIC,
    )
    assert [side and side.who for side in (kept.conflict.base, kept.conflict.local, kept.conflict.remote)] == [
        "nia", "ada", "nia",
    ]  # fmt: skip
    ConflictService(agentfs, "ada").undo_applied(kept.conflict.id, by=ADA)
    assert now_at(agentfs, "plan") == ({"a": 2, "b": 1}, 4)
    assert agentfs.audit_check.verify().whole


def test_what_does_not_fit_waits_and_later_losers_join_it(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    for number, value in enumerate(("one", "two")):
        keep(agentfs, "plan", value, number, nia)
    kept = [keep(agentfs, "plan", value, 1, ADA) for value in ("three", "four", "three")]
    assert [each.is_written for each in kept] == [False] * 3
    assert now_at(agentfs, "plan") == ("two", 2)
    (entry,) = ConflictStore(agentfs).all()
    record = ConflictStore(agentfs).get(entry.id)
    assert {each.content for each in record.sides} == {b'"two"', b'"three"', b'"four"'}
    service = ConflictService(agentfs, "ada")
    assert [each.id for each in service.about(nia.id)] == [entry.id]
    # Nobody is held up by it.
    assert keep(agentfs, "plan", "five", 2, nia).is_written
    applied = service.apply(service.open(entry.id).choose_open(Choice.LOCAL), by=ADA)
    assert isinstance(applied, Applied)
    assert now_at(agentfs, "plan") == ("three", 4)


def test_two_that_both_make_it_are_at_odds_too(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    keep(agentfs, "new", {"a": 1}, 0, nia)
    assert keep(agentfs, "new", {"a": 1}, 0, ADA).conflict is None
    assert keep(agentfs, "new", {"b": 1}, 0, ADA).is_written
    assert now_at(agentfs, "new") == ({"a": 1, "b": 1}, 2)
    assert not keep(agentfs, "new", {"a": 9}, 0, ADA).is_written


def test_a_value_that_was_deleted_meanwhile_comes_back(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    keep(agentfs, "plan", 1, 0, nia)
    agentfs.states.delete("nia", "plan", by=nia)
    assert keep(agentfs, "plan", 2, 1, ADA).is_written
    assert now_at(agentfs, "plan") == (2, 3)


def test_what_the_settings_reserve_waits_for_the_person(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    for key, reserved in (("decisions/x", "critical data"), ("assumptions/x", "assumption")):
        keep(agentfs, key, {"a": 1}, 0, nia)
        keep(agentfs, key, {"a": 2}, 1, nia)
        kept = keep(agentfs, key, {"a": 1, "b": 1}, 1, ADA)
        assert not kept.is_written
        assert kept.conflict is not None
        assert kept.conflict.reserved == reserved
    assert not keep(agentfs, "plain", 1, 0, nia).conflict


def test_refused_as_ever_where_there_was_no_such_version_or_who_asks_may_not(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    keep(agentfs, "plan", 1, 0, nia)
    with pytest.raises(StateConflict):
        keep(agentfs, "plan", 2, 9, nia)
    with pytest.raises(AccessDenied):
        keep(agentfs, "plan", 2, 0, sam)
    with pytest.raises(InvalidInput):
        keep(agentfs, "plan", float("nan"), 0, nia)
    assert ConflictStore(agentfs).all() == []
    assert now_at(agentfs, "plan") == (1, 1)


def test_a_secret_on_any_side_seals_the_conflict(agentfs: AgentFS, tmp_path: Path) -> None:
    nia, canary = join(agentfs, "nia"), new_canary()
    keep(agentfs, "plan", "one", 0, nia)
    keep(agentfs, "plan", "two", 1, nia)
    kept = keep(agentfs, "plan", {"note": f"TOKEN={canary}"}, 1, ADA)
    assert kept.conflict is not None
    item = agentfs.items.at_path(kept.conflict.item_path)
    assert item is not None
    assert item.sealed
    assert files_with(tmp_path, canary) == []
