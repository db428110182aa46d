"""A workspace where agents work, at a moment that stands still."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest

from core.agent_model import Actor, ActorKind, AgentStatus
from core.agentfs.agentfs import AgentFS
from tui import moments

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
PERSON = Actor(ActorKind.PERSON, "ada", "dashboard")


class Clock:
    """Stands at ``moment`` until it is moved."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have AgentFS and the dashboard ask this clock."""
        monkeypatch.setattr(moments, "now", self)
        for name, module in list(sys.modules.items()):
            if name.startswith("core.agentfs.") and hasattr(module, "now"):
                monkeypatch.setattr(module, "now", self)


def acting(agent_id: str, session_id: str | None = None) -> Actor:
    """The agent itself, through the mcp door."""
    return Actor(ActorKind.AGENT, agent_id, "mcp", session_id=session_id)


def fill(agentfs: AgentFS, clock: Clock) -> dict[str, str]:
    """Five agents: busy, active, in error, inactive and waiting; returns their ids by name."""
    agentfs.agents.places.policy = type(agentfs.agents.policy)(max_agents=4)
    clock.moment = NOW - timedelta(hours=3)
    ids: dict[str, str] = {}
    for name, kind, capabilities in (
        ("surveyor", "research", {"responsibilities": ["docs/**", "topic:search"], "tools": ["grep_docs", "fetch"]}),
        ("mason", "poc", {"responsibilities": ["src/**"], "tools": {"pytest": {"args": ["-q"]}}}),
        ("assayer", "validation", {}),
        ("scribe", "documentation", {}),
        ("glazier", "poc", {}),
    ):
        ids[name] = agentfs.agents.register(
            name, kind, capabilities, owner="ada", by=PERSON, client="editor 1.4"
        ).agent.id
        clock.move(60)
    session = agentfs.sessions.start(ids["surveyor"], by=acting(ids["surveyor"]), title="Where search is slow")
    surveyor = acting(ids["surveyor"], session.id)
    clock.moment = NOW - timedelta(minutes=20)
    for key, value in (
        ("decisions/index", {"chosen": "one index per library", "because": ["smaller", "rebuilt alone"]}),
        ("findings/latency", {"p50_ms": 12, "p95_ms": 48, "notes": "cold cache\nis the worst case"}),
        ("findings/recall", {"at_10": 0.93, "queries": 240}),
        ("plan/today", {"steps": [{"do": "measure", "done": False}, {"do": "report", "done": False}], "by": "noon"}),
        ("status", "measuring"),
    ):
        agentfs.states.put(ids["surveyor"], key, value, by=surveyor)
        clock.move(30)
    agentfs.states.put(
        ids["surveyor"],
        "plan/today",
        {"steps": [{"do": "measure", "done": True}, {"do": "report", "done": False}], "note": "half way"},
        by=surveyor,
    )
    agentfs.states.put(ids["mason"], "logs/build", {"passed": 41, "failed": 0}, by=acting(ids["mason"]))
    clock.moment = NOW - timedelta(seconds=90)
    call = agentfs.sessions.begin_call(ids["surveyor"], "fetch", by=surveyor)
    clock.move(0.42)
    agentfs.sessions.finish_call(call, by=surveyor)
    agentfs.leases.take(ids["surveyor"], "docs/**", by=surveyor, seconds=600, reason="rewriting the search pages")
    agentfs.leases.take(ids["mason"], "resource:port-8080", by=acting(ids["mason"]))
    failing = acting(ids["assayer"])
    call = agentfs.sessions.begin_call(ids["assayer"], "pytest", by=failing)
    agentfs.sessions.finish_call(call, by=failing, error="2 of 41 tests failed")
    agentfs.messages.send("mason", "surveyor", "Is the port free again?", by=acting(ids["mason"]))
    clock.moment = NOW - timedelta(seconds=40)
    agentfs.agents.heartbeat(ids["mason"], by=acting(ids["mason"]))
    agentfs.agents.heartbeat(ids["assayer"], by=failing, status=AgentStatus.ERROR, note="2 of 41 tests failed")
    agentfs.agents.heartbeat(ids["glazier"], by=acting(ids["glazier"]))
    clock.moment = NOW - timedelta(seconds=4)
    agentfs.sessions.begin_call(ids["surveyor"], "grep_docs", by=surveyor)
    clock.moment = NOW
    return ids
