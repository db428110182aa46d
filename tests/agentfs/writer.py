"""One of many processes that work in the same workspace: writer.py ROOT NAME OPERATIONS SEED.

Each operation that is done is acknowledged by one line of JSON on stdout, written before the next one begins.
"""

from __future__ import annotations

import json
import os
import random
import sys
from contextlib import suppress
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy
from core.errors import LeaseHeld, NotFound, StateConflict, Unreachable

POLICY = AgentPolicy(max_agents=64)
BOARD = "board"
COUNTER = "counter"
RESOURCES = ("src/**", "src/app.py", "docs/*", "resource:db")


def main(root: Path, name: str, operations: int, seed: int) -> None:
    """Do so many operations of every kind, chosen by chance."""
    agentfs = AgentFS(root, POLICY)
    person = Actor(ActorKind.PERSON, "ada", "cli")
    agent_id = agentfs.agents.register(name, "research", owner="ada", by=person).agent.id
    worker = Writer(agentfs, Actor(ActorKind.AGENT, agent_id, "mcp"), random.Random(seed))
    works = (worker.put, worker.put, worker.add_one, worker.send, worker.lease, worker.beat)
    for _ in range(operations):
        try:
            acknowledged = worker.chance.choice(works)()
        except Unreachable:  # refused whole, after ten seconds in which fifteen others came first
            acknowledged = ["refused"]
        os.write(1, json.dumps(acknowledged).encode() + b"\n")
    agentfs.close()


class Writer:
    """What one agent does; every method answers what it acknowledges."""

    def __init__(self, agentfs: AgentFS, by: Actor, chance: random.Random) -> None:
        self._agentfs = agentfs
        self._by = by
        self.chance = chance

    def put(self) -> list[object]:
        key, value = f"k{self.chance.randrange(20)}", self.chance.random()
        state = self._agentfs.states.put(self._by.id, key, {"value": value}, by=self._by)
        return ["state", state.id, state.version, value]

    def add_one(self) -> list[object]:
        held = self._agentfs.states.get(BOARD, COUNTER)
        assert isinstance(held.value, int)
        try:
            state = self._agentfs.states.put(BOARD, COUNTER, held.value + 1, by=self._by, expect=held.version)
        except StateConflict:
            return ["lost"]
        return ["counted", state.id, state.version, state.value]

    def send(self) -> list[object]:
        to = self.chance.choice([overview.agent.name for overview in self._agentfs.agents.all()])
        content = self.chance.random()
        message = self._agentfs.messages.send(self._by.id, to, content, by=self._by)
        return ["message", message.id, message.sequence, content]

    def lease(self) -> list[object]:
        try:
            lease = self._agentfs.leases.take(self._by.id, self.chance.choice(RESOURCES), by=self._by, seconds=2)
        except LeaseHeld:
            return ["held"]
        if self.chance.random() < 0.8:
            with suppress(NotFound):  # it may have run out meanwhile
                self._agentfs.leases.release(self._by.id, lease.id, by=self._by)
        return ["lease", lease.id]

    def beat(self) -> list[object]:
        self._agentfs.agents.heartbeat(self._by.id, by=self._by)
        return ["beat"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
