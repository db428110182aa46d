"""Operations a second of AgentFS: beside plain SQLite that writes the same rows, and beside the agentfs-sdk package.

    uv run python benchmarks/agentfs.py [--rounds 7] [--operations 300] [--no-peer] [--cache DIR] [--messages 1000000]

Every operation is a transaction of its own, in WAL mode and synced to the disk (``synchronous = FULL``). Plain SQLite
writes rows that AgentFS wrote before: prepared data, the same tables, indexes and triggers, on one connection. The
candidates take turns, one round each; numbers are medians of the rounds. The peer is installed once, in an environment
of its own in the cache folder, and left out with a sentence when that cannot be done.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from core.agent_model import Actor, ActorKind, MessageFilters
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy

HERE = Path(__file__).resolve().parent
PERSON = Actor(ActorKind.PERSON, "ada", "cli")
PEER = "agentfs-sdk==0.6.4"
WRITERS = 16
VALUE = {"plan": "Write the tests first, then the code.", "step": 3, "done": False, "files": ["a.py", "b.py"]}
MORE_ROWS = {
    "state set": ("contents", "journal", "items", "audit", "agent_states", "state_history"),
    "message send": ("contents", "journal", "items", "audit", "agent_communications", "message_receipts"),
    "audit append": ("audit",),
}


WITHOUT_ROWID = {"contents": "sha256", "state_history": "state_id, version", "message_receipts": "agent_id, sequence"}


@dataclass(slots=True)
class Measured:
    """Operations a second of one thing by one candidate, a number for each round."""

    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def time(self, operation: str, candidate: str, count: int, work: Callable[[], object]) -> None:
        """Run ``work``, which does ``count`` operations."""
        started = time.perf_counter()
        work()
        self.add(operation, candidate, count / (time.perf_counter() - started))

    def add(self, operation: str, candidate: str, rate: float) -> None:
        """Note a rate measured elsewhere."""
        self.rates.setdefault((operation, candidate), []).append(rate)

    def median(self, operation: str, candidate: str) -> float:
        """The median rate; 0 where nothing was measured."""
        rates = self.rates.get((operation, candidate))
        return statistics.median(rates) if rates else 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compare the speed of AgentFS with plain SQLite and a peer.")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds (default 7)")
    parser.add_argument("--operations", type=int, default=300, help="operations a round (default 300)")
    parser.add_argument("--messages", type=int, default=1_000_000, help="rows of the long message log")
    parser.add_argument("--no-peer", action="store_true", help=f"leave out {PEER}")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(platformdirs.user_cache_dir("bailiwick")) / "benchmarks",
        help="where the peer is installed",
    )
    options = parser.parse_args()
    if options.rounds < 1 or options.operations < 1 or options.messages < 200:
        parser.error("at least one round of one operation, and 200 messages")
    peer = None if options.no_peer else install(options.cache)
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="bailiwick-agentfs-") as folder:
        scratch = Path(folder)
        for number in range(options.rounds + 1):
            counted = measured if number else Measured()
            run_round(counted, options.operations, scratch / f"round-{number}", number)
            if peer is not None:
                run_peer(counted, peer, options.operations, scratch / f"peer-{number}")
        print_rounds(measured, options.rounds, options.operations, peer is not None)
        print_together(scratch, options.rounds, options.operations)
        print_long_log(scratch / "long", options.messages, options.rounds)


# One process


def run_round(measured: Measured, count: int, folder: Path, number: int) -> None:
    """AgentFS does the operations, and SQLite then writes the same rows into a database that was at the same point."""
    order = list(MORE_ROWS)
    random.Random(number).shuffle(order)
    for operation in order:
        root = folder / operation.replace(" ", "-")
        with closing(AgentFS(root)) as agentfs:
            work = prepared(agentfs, operation, count)
            checkpoint(agentfs.database.connection())
            shutil.copytree(root, root.with_suffix(".plain"))
            measured.time(operation, "AgentFS", count, work)
            if operation == "state set":
                measured.time("state get", "AgentFS", count, lambda: get_all(agentfs, count))
        run_plain(measured, operation, count, root)
    shutil.rmtree(folder)


def run_plain(measured: Measured, operation: str, count: int, root: Path) -> None:
    """SQLite writes what AgentFS wrote at ``root`` into the copy that was made before."""
    copy = root.with_suffix(".plain") / "agentfs.db"
    with closing(plain_connection(copy)) as connection:
        transactions = list(written(root / "agentfs.db", copy, MORE_ROWS[operation], count))
        checkpoint(connection)
        measured.time(operation, "plain SQLite", count, lambda: write_all(connection, transactions))
        if operation == "state set":
            keys = [f"key {number}" for number in range(count)]
            measured.time("state get", "plain SQLite", count, lambda: read_all(connection, keys))


def prepared(agentfs: AgentFS, operation: str, count: int) -> Callable[[], object]:
    """What does ``count`` operations of a kind when it is called."""
    by = Actor(ActorKind.AGENT, agentfs.agents.register("nia", "research", owner="ada", by=PERSON).agent.id, "mcp")
    agentfs.agents.register("sam", "research", owner="ada", by=PERSON)

    def set_all() -> None:
        for number in range(count):
            agentfs.states.put("nia", f"key {number}", {**VALUE, "number": number}, by=by)

    def send_all() -> None:
        for number in range(count):
            agentfs.messages.send("nia", "sam", {**VALUE, "number": number}, by=by)

    def append_all() -> None:
        for number in range(count):
            agentfs.audit.record(by, "search.run", "all", {"query_sha256": f"{number:064}", "hits": 10})

    return {"state set": set_all, "message send": send_all, "audit append": append_all}[operation]


def get_all(agentfs: AgentFS, count: int) -> None:
    """Read every state once."""
    for number in range(count):
        agentfs.states.get("nia", f"key {number}")


def plain_connection(path: Path) -> sqlite3.Connection:
    """SQLite as a careful program without AgentFS would open it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


Row = tuple[object, ...]
Transaction = list[tuple[str, Row]]


def written(source: Path, before: Path, tables: Sequence[str], count: int) -> Iterator[Transaction]:
    """The rows that AgentFS added to ``tables`` since ``before``, as the insertions of each of its transactions."""
    with closing(sqlite3.connect(source)) as after, closing(sqlite3.connect(before)) as earlier:
        added: dict[str, list[Row]] = {}
        statements: dict[str, str] = {}
        for table in tables:
            known = set(earlier.execute(f"SELECT * FROM {table}"))  # noqa: S608 - our own tables
            order = WITHOUT_ROWID.get(table, "rowid")
            rows = after.execute(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
            added[table] = [row for row in rows if row not in known]
            statements[table] = f"INSERT INTO {table} VALUES ({', '.join('?' * len(added[table][0]))})"  # noqa: S608
        for number in range(count):
            yield [(statements[table], added[table][number]) for table in tables]


def write_all(connection: sqlite3.Connection, transactions: Sequence[Transaction]) -> None:
    """Every transaction, committed by itself."""
    for transaction in transactions:
        connection.execute("BEGIN IMMEDIATE")
        for statement, row in transaction:
            connection.execute(statement, row)
        connection.execute("COMMIT")


def read_all(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Every state once, its JSON read."""
    (agent,) = connection.execute("SELECT id FROM agents WHERE name = 'nia'").fetchone()
    statement = "SELECT * FROM agent_states WHERE agent_id = ? AND state_key = ?"
    for key in keys:
        json.loads(connection.execute(statement, (agent, key)).fetchone()[3])


def checkpoint(connection: sqlite3.Connection) -> None:
    """Begin with an empty log, so that no candidate pays for what was written before."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


# The peer

PEER_PROGRAM = """
import asyncio, json, sys, time
from agentfs_sdk import AgentFS, AgentFSOptions

async def main(path, count, value):
    agent = await AgentFS.open(AgentFSOptions(path=path))
    async def kv_set():
        for number in range(count):
            await agent.kv.set(f"key {number}", {**value, "number": number})
    async def kv_get():
        for number in range(count):
            await agent.kv.get(f"key {number}")
    async def record():
        for number in range(count):
            await agent.tools.record("search", 1.0, 2.0, {"query_sha256": f"{number:064}"}, {"hits": 10})
    rates = {}
    for name, work in (("state set", kv_set), ("state get", kv_get), ("audit append", record)):
        started = time.perf_counter()
        await work()
        rates[name] = count / (time.perf_counter() - started)
    await agent.close()
    print(json.dumps(rates))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
"""


def install(cache: Path) -> Path | None:
    """The peer's Python in its own environment, made now if need be; ``None``, with a sentence, when it cannot be."""
    folder = cache / PEER
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    uv = shutil.which("uv")
    if uv is None:
        print(f"{PEER} is left out: uv, which installs it, was not found.", file=sys.stderr)
        return None
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), PEER],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].strip()
            print(f"{PEER} is left out: it could not be installed ({reason}).", file=sys.stderr)
            return None
    (folder / "ready").touch()
    return python


def run_peer(measured: Measured, python: Path, count: int, folder: Path) -> None:
    """One round of the peer, in a process of its own, on a new database."""
    folder.mkdir(parents=True)
    command = [str(python), "-c", PEER_PROGRAM, str(folder / "peer.db"), str(count), json.dumps(VALUE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{PEER} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}", file=sys.stderr)
    else:
        for operation, rate in json.loads(done.stdout).items():
            measured.add(operation, PEER, rate)
    shutil.rmtree(folder)


def print_rounds(measured: Measured, rounds: int, count: int, with_peer: bool) -> None:
    """The table of one process."""
    name = PEER.replace("==", " ")
    print(f"\n### One process ({rounds} rounds of {count:,}; operations a second, median)\n")
    print(f"| operation | AgentFS | plain SQLite, same rows | ratio | {name} | ratio |\n|---|---|---|---|---|---|")
    for operation in ("state set", "state get", "message send", "audit append"):
        ours, plain = measured.median(operation, "AgentFS"), measured.median(operation, "plain SQLite")
        peer = measured.median(operation, PEER)
        told = f"{peer:,.0f} | {ours / peer:.1f}x" if peer else "not measured | " if with_peer else "left out | "
        if operation == "message send":
            told = "has none | "
        print(f"| {operation} | {ours:,.0f} | {plain:,.0f} | {ours / plain:.2f} | {told} |")


# Sixteen processes

WRITER_PROGRAM = """
import sys, time
from pathlib import Path
from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy

agentfs = AgentFS(Path(sys.argv[1]), AgentPolicy(max_agents=64))
person = Actor(ActorKind.PERSON, "ada", "cli")
by = Actor(ActorKind.AGENT, agentfs.agents.register(sys.argv[2], "research", owner="ada", by=person).agent.id, "mcp")
print("ready", flush=True)
sys.stdin.readline()
longest = 0.0
for number in range(int(sys.argv[3])):
    started = time.perf_counter()
    agentfs.states.put(by.id, f"key {number}", {"number": number}, by=by)
    longest = max(longest, time.perf_counter() - started)
print(longest, flush=True)
"""


def print_together(scratch: Path, rounds: int, count: int) -> None:
    """The table of writers at once."""
    print(f"\n### Writers at once ({rounds} rounds of {count:,} state sets each)\n")
    print("| processes | operations a second, all together | longest wait of any, ms: median / worst round |")
    print("|---|---|---|")
    for processes in (1, WRITERS):
        rates, waits = [], []
        for number in range(rounds):
            rate, longest = together(scratch / f"together-{processes}-{number}", processes, count)
            rates.append(rate)
            waits.append(1000 * longest)
        print(
            f"| {processes} | {statistics.median(rates):,.0f} | {statistics.median(waits):,.0f} / {max(waits):,.0f} |"
        )


def together(root: Path, processes: int, count: int) -> tuple[float, float]:
    """Let so many processes write at once; the answer is their rate and the longest any of them waited, in seconds."""
    AgentFS(root, AgentPolicy(max_agents=64)).close()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER_PROGRAM, str(root), f"agent {number}", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
        )
        for number in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    waits = [float(process.communicate()[0]) for process in running]
    rate = processes * count / (time.perf_counter() - started)
    shutil.rmtree(root)
    return rate, max(waits)


# A long log


def print_long_log(root: Path, messages: int, rounds: int) -> None:
    """The table of a message log with very many rows."""
    with closing(AgentFS(root)) as agentfs:
        fill(agentfs, messages)
        choose = random.Random(1)
        page, at, filtered, text = [], [], [], []
        for number in range(rounds * 20):
            first = choose.randrange(1, messages - 100)
            page.append(milliseconds(lambda first=first: agentfs.messages.page(first, first + 99)))
            some = sorted(choose.sample(range(1, messages), 100))
            at.append(milliseconds(lambda some=some: agentfs.messages.at(some)))
            if number % 20 == 0:
                filtered.append(milliseconds(lambda: agentfs.messages.matching(MessageFilters(type="finding"))))
                text.append(milliseconds(lambda: agentfs.messages.matching(MessageFilters(text="step 99999"))))
        print(f"\n### A log of {messages:,} messages (milliseconds)\n")
        print("| reading | median | worst |\n|---|---|---|")
        for name, times in (
            ("a page of 100 anywhere", page),
            ("100 messages from all over the log", at),
            ("places of all messages of one type (one in ten)", filtered),
            ("places of all messages with a text", text),
        ):
            print(f"| {name} | {statistics.median(times):,.2f} | {max(times):,.2f} |")


def milliseconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def fill(agentfs: AgentFS, messages: int) -> None:
    """Put so many messages into the log past everything else, which only reading needs."""
    ids = [agentfs.agents.register(name, "research", owner="ada", by=PERSON).agent.id for name in ("nia", "sam")]
    with agentfs.database.transaction() as connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
            " INSERT INTO agent_communications (id, from_agent, to_agent, message_type, message_content, timestamp,"
            " thread_id) SELECT printf('%026d', i), iif(i % 2, :nia, :sam), iif(i % 2, :sam, :nia),"
            " iif(i % 10, 'note', 'finding'),"
            ' printf(\'{"text":"Message %d about the parser, its tests and what is left","step":"step %d"}\', i, i),'
            " '2026-01-01T00:00:00.000000+00:00', printf('%026d', i / 10) FROM n",
            {"count": messages, "nia": ids[0], "sam": ids[1]},
        )
        connection.execute(
            "INSERT INTO message_receipts (agent_id, sequence, queued_at)"
            " SELECT to_agent, sequence, timestamp FROM agent_communications ORDER BY to_agent, sequence"
        )


if __name__ == "__main__":
    main()
