"""Conflicts over the tools of agents: kept writes, contested leases, lists about one's own, ruling while asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tools_at_work import Bench, Connection, bench

from core.agent_model import AuditFilters
from core.agentfs.database import now, to_text
from core.conflicts.outcomes import RuledBy
from core.conflicts.records import ConflictStatus, ConflictStore
from core.serving.caller import Identity
from tests.agentfs.canaries import new_canary
from tests.workspace.engines import until


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One workspace for all tests here, in which the agent `judge` is asked before the person is."""
    root = tmp_path_factory.mktemp("conflicts") / "w"
    with bench(root, {"conflicts.supervisor_agent": "judge", "agents.max_concurrent": 16}) as opened:
        yield opened


def race(scout: Connection, key: str, *values: Any) -> Any:
    """The first two values one after the other, the third made of the first; what became of that."""
    for number, value in enumerate(values[:2]):
        scout.told("state_put", key=key, value=value, expect=number)
    return scout.told("state_put", key=key, value=values[2], expect=1, keep=True)


def test_a_write_that_comes_too_late_is_merged_or_kept(work: Bench) -> None:
    scout = work.agent("scout")
    refused = scout.refused("state_put", key="plain", value=1, expect=7)
    assert "--keep" in refused["hint"]
    merged = race(scout, "plan", {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2})
    assert (merged["version"], merged["kept"]) == (3, "merged with what came first, as version 3")
    assert scout.told("state_get", key="plan")["value"] == {"a": 2, "b": 2}
    kept = race(scout, "word", "one", "two", "three")
    assert kept["kept"] == f"kept as conflict {kept['conflict']}; version 2 stands until somebody rules"
    (line,) = scout.told("conflicts")["conflicts"]
    assert (line["id"], line["about"], line["kind"]) == (kept["conflict"], "word", "state")
    assert [(each["side"], each["who"], each["content"], each.get("stands")) for each in line["sides"]] == [
        ("base", "scout", '"one"', None), ("local", "scout", '"three"', None), ("remote", "scout", '"two"', True),
    ]  # fmt: skip
    assert "began" not in scout.told("state_put", key="fresh", value=1, expect=0, keep=True)
    assert scout.refused("state_put", key="fresh", value=1, keep=True)["hint"] == "Give `expect` with `keep`."


def test_an_agent_sees_its_own_conflicts_alone_and_nothing_that_is_sealed(work: Bench) -> None:
    owl, other, canary = work.agent("owl"), work.agent("other"), new_canary()
    race(owl, "key", "one", "two", f"TOKEN={canary}")
    (line,) = owl.told("conflicts")["conflicts"]
    assert (line["sealed"], line["sides"]) == (True, [])
    assert canary not in owl("conflicts").text
    assert other.told("conflicts") == {"conflicts": []}
    nobody = work.connect(Identity("owl"))
    assert nobody.refused("conflicts")["error"].startswith("The agent showed no key")
    assert nobody.refused("rule_conflict", id=line["id"], take="local", why="x")["error"].startswith("The agent showed")


def test_a_contested_lease_is_listed_by_both_and_ruled_on_by_who_is_asked(work: Bench) -> None:
    first, second, judge = work.agent("first"), work.agent("second"), work.agent("judge")
    first.told("lease", action="take", resource="src/lamp.py", reason="mending it")
    refused = second.refused("lease", action="take", resource="src/**", seconds=60)
    assert refused["error"].endswith(f"Conflict {refused['conflict']} is open: judge is asked to rule.")
    for each in (first, second, judge):
        (line,) = each.told("conflicts")["conflicts"]
        assert (line["id"], line["about"]) == (refused["conflict"], "src/lamp.py")
        assert [side["who"] for side in line["sides"]] == ["second", "first"]
        assert ("rule_until" in line) is (each is judge)
    asked = next(each for each in judge.told("inbox")["messages"] if each["type"] == "conflict.ask")
    assert asked["content"]["conflict"] == refused["conflict"]
    ruling = {"id": refused["conflict"], "take": "local", "why": "It is urgent."}
    assert "is not asked" in second.refused("rule_conflict", **ruling)["error"]
    assert judge.refused("rule_conflict", **{**ruling, "why": " "})["error"] == "A ruling needs a reason."
    assert judge.told("rule_conflict", **ruling) == {"id": refused["conflict"], "took": "local", "changed": True}
    outcome = ConflictStore(work.workspace.agentfs).get(refused["conflict"]).outcome
    assert outcome is not None
    assert (outcome.by, outcome.why) == (RuledBy.AGENT, "It is urgent.")
    assert [each["resource"] for each in second.told("lease", action="list")["leases"]] == ["src/**"]
    told = [each["content"]["text"] for each in first.told("inbox")["messages"]]
    assert told == [
        "The supervisor agent ruled: your lease on src/lamp.py has ended, second has src/** now. It is urgent."
    ]
    assert "is settled" in judge.refused("rule_conflict", **ruling)["error"]
    shown = work.workspace.agentfs.audit.matching(AuditFilters(action="conflict.show"))
    assert len(shown) == 1
    second.told("lease", action="release", resource="src/**")


def test_the_time_to_rule_ends_and_what_is_reserved_is_never_asked(work: Bench) -> None:
    scout, judge = work.agent("late"), work.agent("judge")
    kept = race(scout, "word", "one", "two", "three")
    assert kept["conflict"] in {each["id"] for each in judge.told("conflicts")["conflicts"]}
    reserved = race(scout, "decisions/x", "one", "two", "three")
    lines = {each["id"]: each for each in scout.told("conflicts")["conflicts"]}
    assert lines[reserved["conflict"]]["reserved"] == "critical data"
    assert reserved["conflict"] not in {each["id"] for each in judge.told("conflicts")["conflicts"]}
    ruling = {"take": "remote", "why": "It came first."}
    assert "is not asked" in judge.refused("rule_conflict", id=reserved["conflict"], **ruling)["error"]
    _end_time(work, kept["conflict"])
    assert "is over" in judge.refused("rule_conflict", id=kept["conflict"], **ruling)["error"]
    assert kept["conflict"] not in {each["id"] for each in judge.told("conflicts")["conflicts"]}


def test_the_engine_settles_what_ended_with_its_lease(work: Bench) -> None:
    holder, wanting = work.agent("holder"), work.agent("wanting")
    holder.told("lease", action="take", resource="lib/**")
    identifier = wanting.refused("lease", action="take", resource="lib/a.py")["conflict"]
    holder.told("lease", action="release", resource="lib/**")
    store = ConflictStore(work.workspace.agentfs)
    until(lambda: store.get(identifier).status is ConflictStatus.RESOLVED, "the end of the conflict")
    outcome = store.get(identifier).outcome
    assert outcome is not None
    assert (outcome.by, outcome.why) == (RuledBy.AUTOMATIC, "The lease of holder has ended: released.")
    assert identifier not in {each["id"] for each in wanting.told("conflicts")["conflicts"]}


def _end_time(work: Bench, identifier: str) -> None:
    """Write the record as if its time had ended a minute ago."""
    agentfs = work.workspace.agentfs
    store, record = ConflictStore(agentfs), ConflictStore(agentfs).get(identifier)
    assert record.asked is not None
    item = agentfs.items.at_path(record.item_path)
    assert item is not None
    earlier = datetime.fromisoformat(to_text(now() - timedelta(seconds=60)))
    with agentfs.database.transaction() as connection:
        store.put_within(
            connection,
            replace(record, asked=replace(record.asked, until=earlier)),
            owner=item.owner,
            found=item.sensitive,
            by=agentfs.agents.engine,
            action="conflict.open",
        )
