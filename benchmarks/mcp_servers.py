"""Sixteen MCP servers at once on one workspace, killed at random: is everything there that was acknowledged?

    uv run python benchmarks/mcp_servers.py [--servers 16] [--calls 2000] [--kills 40] [--seed 1]

Each client has an agent and a stdio server of its own, writes states, messages, documents and leases, and starts its
server anew when it was killed. In the end every answer that reached a client is looked for in the workspace, the audit
trail is verified, and the database is checked.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_clients import Gone, StdioClient

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.library.catalogue import find_document

PLACES = {"BAILIWICK_AGENTS_MAX_CONCURRENT": "64", "BAILIWICK_USER_ID": "ada"}


@dataclass(slots=True)
class Told:
    """What one client was told, and how long it took."""

    states: list[tuple[str, int, Any]] = field(default_factory=list)
    messages: list[tuple[str, Any]] = field(default_factory=list)
    notes: dict[str, tuple[int, str]] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0
    restarts: int = 0


class Client(threading.Thread):
    """One agent at work."""

    def __init__(self, root: Path, name: str, calls: int, seed: int) -> None:
        super().__init__(name=name)
        self.told = Told()
        self.server: StdioClient | None = None
        self._root = root
        self._calls = calls
        self._chance = random.Random(seed)

    def run(self) -> None:
        """Make the calls, each until it is answered."""
        done = 0
        while done < self._calls:
            try:
                if self.server is None:
                    self.server = StdioClient(self._root, "--agent", self.name, **PLACES)
                self._work(self.server)
                done += 1
            except Gone:
                self.server = None
                self.told.restarts += 1
        if self.server is not None:
            self.server.close()

    def _work(self, server: StdioClient) -> None:
        chance, value = self._chance, self._chance.random()
        kind = chance.choice(("state", "state", "state", "message", "note", "lease", "read"))
        started = time.perf_counter()
        if kind == "state":
            key = f"k{chance.randrange(20)}"
            if (answer := self._ask(server, "state_put", key=key, value={"value": value})) is not None:
                self.told.states.append((key, answer["version"], {"value": value}))
        elif kind == "message":
            if (answer := self._ask(server, "send", to=f"agent {chance.randrange(4)}", content=str(value))) is not None:
                self.told.messages.append((answer["id"], str(value)))
        elif kind == "note":
            title = f"note {chance.randrange(5)} of {self.name}"
            if (answer := self._ask(server, "note", title=title, text=f"It is {value}.")) is not None:
                self.told.notes[answer["id"]] = (answer["version"], f"It is {value}.")
        elif kind == "lease":
            self._ask(server, "lease", action="take", resource=f"src/{chance.randrange(8)}/**", seconds=2)
        else:
            self._ask(server, "inbox", limit=5)
        self.told.milliseconds.append((time.perf_counter() - started) * 1000)

    def _ask(self, server: StdioClient, tool: str, /, **arguments: Any) -> Any:
        result = server.call(tool, **arguments)
        if result["isError"]:
            self.told.refused += 1
            return None
        return result["structuredContent"]


def main() -> None:
    """Work, kill, check, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=16)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "workspace"
        per_client = -(-options.calls // options.servers)
        clients = [Client(root, f"agent {n}", per_client, options.seed * 1000 + n) for n in range(options.servers)]
        started = time.perf_counter()
        for client in clients:
            client.start()
        kills = kill_at_random(clients, options.kills, random.Random(options.seed))
        for client in clients:
            client.join()
        seconds = time.perf_counter() - started
        lost = check(root, clients)
        report(clients, kills, seconds, lost)


def kill_at_random(clients: list[Client], wanted: int, chance: random.Random) -> int:
    """SIGKILL a server every quarter of a second or so, as long as there are any; answers how many."""
    kills = 0
    while kills < wanted and any(client.is_alive() for client in clients):
        time.sleep(chance.uniform(0.05, 0.45))
        server = chance.choice(clients).server
        if server is not None and server.process.poll() is None:
            server.process.kill()
            kills += 1
    return kills


def check(root: Path, clients: list[Client]) -> list[str]:
    """What was acknowledged and is not there, and what is damaged."""
    agentfs = AgentFS(root)
    by = Actor(ActorKind.PERSON, "ada", "benchmark")
    lost = []
    for client in clients:
        for key, version, value in client.told.states:
            if agentfs.states.value_at(client.name, key, version, by=by) != value:
                lost.append(f"state {key} {version} of {client.name}")
        for message_id, content in client.told.messages:
            if agentfs.messages.get(message_id, by=by).content != content:
                lost.append(f"message {message_id}")
        for document_id, (version, text) in client.told.notes.items():
            found = find_document(agentfs, document_id, by=by)
            # A write whose answer did not arrive any more may have come after it.
            if found.item.version < version or (
                found.item.version == version and found.content.passages[0].text != text
            ):
                lost.append(f"note {document_id}")
    verdict = agentfs.audit_check.verify()
    lost += [each.sentence for each in (*verdict.integrity, *verdict.completeness)]
    agentfs.close()
    with sqlite3.connect(root / "agentfs.db") as connection:
        damage = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    return lost + [each for each in damage if each != "ok"]


def report(clients: list[Client], kills: int, seconds: float, lost: list[str]) -> None:
    """Print the figures."""
    told = [client.told for client in clients]
    times = sorted(each for one in told for each in one.milliseconds)
    acknowledged = sum(len(one.states) + len(one.messages) + len(one.notes) for one in told)
    print(f"{len(clients)} servers, {len(times):,} calls in {seconds:.1f} s, {kills} of them killed")
    print(f"servers started: {len(clients) + sum(one.restarts for one in told)}")
    print(f"median {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms")
    print(f"{acknowledged:,} writes looked for, {sum(one.refused for one in told)} calls refused")
    print("lost or damaged: " + ("; ".join(lost) or "nothing"))


if __name__ == "__main__":
    main()
