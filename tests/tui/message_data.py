"""A workspace where agents and the person write to each other, with ids and times that stand still."""

from __future__ import annotations

import itertools
import sys

import pytest
from agent_data import PERSON, Clock, acting

from core.agent_model import Actor, ActorKind, Importance, Message, MessageStatus
from core.agentfs.agentfs import AgentFS


def hold_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have AgentFS count its ids instead of drawing them."""
    numbers = itertools.count(1)
    for name, module in list(sys.modules.items()):
        if name.startswith("core.agentfs.") and hasattr(module, "new_id"):
            monkeypatch.setattr(module, "new_id", lambda: f"01{next(numbers):024d}")


def register(agentfs: AgentFS) -> dict[str, str]:
    """Planner, coder and reviewer; returns their ids by name."""
    agentfs.agents.places.policy = type(agentfs.agents.policy)(max_agents=8)
    kinds = {"planner": "research", "coder": "poc", "reviewer": "validation"}
    return {name: agentfs.agents.register(name, kind, owner="ada", by=PERSON).agent.id for name, kind in kinds.items()}


def talk(agentfs: AgentFS, clock: Clock | None = None) -> dict[str, Message]:
    """Twelve messages of every kind; returns the ones worth naming."""

    def tick() -> None:
        if clock is not None:
            clock.move(7)

    ids = register(agentfs)
    planner, coder = acting(ids["planner"]), acting(ids["coder"])
    stranger = Actor(ActorKind.AGENT, ids["reviewer"], "hook", verified=False)
    messages = agentfs.messages
    said: dict[str, Message] = {}
    said["question"] = messages.send(
        "planner",
        "coder",
        {"text": "Which kettle boils fastest?\nTry them all.", "budget": 3, "models": ["steel", "glass"]},
        by=planner,
        type="question",
        importance=Importance.HIGH,
    )
    tick()
    said["answer"] = messages.send(
        "coder",
        "planner",
        "The steel one: 94 s for a litre.",
        by=coder,
        type="answer",
        reply_to=said["question"].id,
    )
    tick()
    messages.inbox("coder", by=coder)
    messages.mark("planner", [said["answer"].id], MessageStatus.ACKNOWLEDGED, by=planner)
    said["all"] = messages.send("reviewer", "everyone", {"text": "I review at noon."}, by=stranger)
    tick()
    said["type"] = messages.send(
        "coder", "type:research", {"status": "done", "pages": 12}, by=coder, type="finding", importance=Importance.LOW
    )
    for number in range(5):
        tick()
        messages.send("coder", "reviewer", f"Step {number}: {number * 3} litres of water are hot.", by=coder)
    tick()
    said["urgent"] = messages.send(
        "planner",
        "person",
        {"text": "May I order the steel kettle?", "price": 49.0, "currency": "EUR"},
        by=Actor(ActorKind.AGENT, ids["planner"], "mcp"),
        type="question",
        importance=Importance.URGENT,
    )
    tick()
    said["mine"] = messages.send("person", "coder", "Is the glass one quieter?", by=PERSON, type="question")
    tick()
    said["last"] = messages.send("coder", "planner", "All kettles are measured.", by=coder)
    tick()
    return said
