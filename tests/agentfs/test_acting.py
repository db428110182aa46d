"""Who may act in whose name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, MessageStatus
from core.agentfs.agentfs import AgentFS
from core.agentfs.message_log import PERSON
from core.errors import InvalidInput

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    opened = AgentFS(tmp_path / "w")
    for name in ("scout", "writer"):
        opened.agents.register(name, "research", owner="ada", by=ADA)
    yield opened
    opened.close()


def agent(agentfs: AgentFS, name: str) -> Actor:
    return Actor(ActorKind.AGENT, agentfs.agents.get(name).id, "cli")


ACTS: dict[str, Callable[[AgentFS, str, Actor, str], object]] = {
    "send": lambda agentfs, name, by, _: agentfs.messages.send(name, "type:research", "hi", by=by),
    "inbox": lambda agentfs, name, by, _: agentfs.messages.inbox(name, by=by),
    "acknowledge": lambda agentfs, name, by, message: agentfs.messages.mark(
        name, [message], MessageStatus.ACKNOWLEDGED, by=by
    ),
    "take": lambda agentfs, name, by, _: agentfs.leases.take(name, "src/new/**", by=by),
    "release": lambda agentfs, name, by, _: agentfs.leases.release(name, f"{name}/**", by=by),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_agent_acts_for_itself_and_the_person_for_every_agent(agentfs: AgentFS, act: str) -> None:
    message = agentfs.messages.send(PERSON, "scout", "hello", by=ADA)
    agentfs.leases.take("scout", "scout/**", by=ADA)
    with pytest.raises(InvalidInput, match="cannot act as another"):
        ACTS[act](agentfs, "scout", agent(agentfs, "writer"), message.id)
    ACTS[act](agentfs, "scout", agent(agentfs, "scout"), message.id)


@pytest.mark.parametrize("act", ["send", "inbox"])
def test_no_agent_acts_as_the_person(agentfs: AgentFS, act: str) -> None:
    with pytest.raises(InvalidInput, match="Only the person"):
        ACTS[act](agentfs, PERSON, agent(agentfs, "scout"), "")
    ACTS[act](agentfs, PERSON, ADA, "")


def test_a_state_is_written_by_others_too_and_tells_by_whom(agentfs: AgentFS) -> None:
    writer = agent(agentfs, "writer")
    agentfs.states.put("scout", "board", 1, by=agent(agentfs, "scout"))
    agentfs.states.put("scout", "board", 2, by=writer, expect=1)
    assert agentfs.states.history("scout", "board")[0].actor == writer.id
