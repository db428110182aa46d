"""Everything that hooks left is taken in once and in its order, whoever is killed when, however many try at once."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hooking import AGENT, call_hook, event, spool_of, take_in

from core.agentfs.agentfs import AgentFS
from core.errors import ConfigurationError
from core.intake.spool import append
from core.intake.taking_in import Intake

CALLS = 700
ROUNDS = 4
LONGEST_LIFE_SECONDS = 0.02


def _fill(root: Path, count: int) -> None:
    call_hook(root, {**event("claude-code", "PostToolUse"), "tool_use_id": "call-0000"})
    (line,) = (json.dumps(each).encode() for each in spool_of(root))
    path = root / "intake" / "calls.jsonl"
    more = [line.replace(b"call-0000", b"call-%04d" % number) for number in range(1, count)]
    path.write_bytes(path.read_bytes() + b"\n".join(more) + b"\n")


def _engine_to_be_killed(root: Path) -> tuple[int, int]:
    """A process that takes in for ever, and a pipe on which it says when it begins."""
    ready, begun = os.pipe()
    if process := os.fork():
        os.close(begun)
        return process, ready
    try:
        agentfs = AgentFS(root)
        assert agentfs.guard.rules
        os.write(begun, b".")
        while True:
            Intake(agentfs).take_in()
    finally:
        os._exit(1)


def _count(root: Path) -> int:
    """How many calls are in, by a connection that is closed again: SQLite does not bear to be carried over a fork."""
    with closing(sqlite3.connect(root / "agentfs.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM tool_calls").fetchone()[0])


def _taken(agentfs: AgentFS) -> list[str]:
    """What the client called the calls, in the order in which they were taken in."""
    rows = agentfs.database.connection().execute("SELECT external_id FROM tool_calls ORDER BY rowid")
    return [row["external_id"] for row in rows]


def test_an_engine_killed_while_it_takes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.intake.spool_reading.CHUNK_BYTES", 4096)
    with closing(AgentFS(tmp_path / "another")) as another:
        # So that what taking in needs is loaded before the first process is forked.
        _fill(another.root, 1)
        take_in(another)
    AgentFS(tmp_path).close()
    _fill(tmp_path, CALLS)
    generator = random.Random(5)
    counts = [0]
    while counts[-1] < CALLS and len(counts) <= ROUNDS:
        process, ready = _engine_to_be_killed(tmp_path)
        assert os.read(ready, 1) == b"."
        os.close(ready)
        while _count(tmp_path) == counts[-1]:
            threading.Event().wait(0.002)
        # Chance decides where in a transaction, or between two, it dies.
        threading.Event().wait(generator.random() * LONGEST_LIFE_SECONDS)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        counts.append(_count(tmp_path))
    assert len(counts) > 2
    with closing(AgentFS(tmp_path)) as agentfs:
        take_in(agentfs)
        assert _taken(agentfs) == [f"call-{number:04}" for number in range(CALLS)]
        assert agentfs.sessions.all()[0].calls == CALLS
        assert len(agentfs.agents.all()) == 1
        assert agentfs.audit_check.verify().whole


def test_several_that_take_in_at_once_while_hooks_come(agentfs: AgentFS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.intake.spool_reading.KEPT_BYTES", 2000)
    monkeypatch.setattr("core.intake.spool_reading.CHUNK_BYTES", 1500)
    payload = event("claude-code", "PostToolUse")
    over = threading.Event()

    def engine() -> None:
        with_own = AgentFS(agentfs.root)
        intake = Intake(with_own)
        while not over.is_set():
            intake.take_in()
            over.wait(0.001)
        with_own.close()

    with ThreadPoolExecutor(9) as pool:
        engines = [pool.submit(engine) for _ in range(3)]
        clients = [
            pool.submit(call_hook, agentfs.root, {**payload, "tool_use_id": f"call-{number:04}", "context": False})
            for number in range(150)
        ]
        assert {each.result() for each in clients} == {""}
        over.set()
        for each in engines:
            each.result()
    take_in(agentfs)
    assert sorted(_taken(agentfs)) == [f"call-{number:04}" for number in range(150)]
    assert agentfs.audit_check.verify().whole


def test_a_hook_killed_while_it_writes_leaves_the_next_one_room(agentfs: AgentFS) -> None:
    _fill(agentfs.root, 3)
    last = json.dumps(spool_of(agentfs.root)[-1])
    path = agentfs.root / "intake" / "calls.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    assert take_in(agentfs) == 2
    append(str(agentfs.root), last.replace("call-0002", "call-0009").encode())
    assert take_in(agentfs) == 2
    assert _taken(agentfs) == ["call-0000", "call-0001", "call-0009"]


def test_what_cannot_be_taken_in_waits_and_what_is_bad_does_not_hold_up_the_rest(agentfs: AgentFS) -> None:
    _fill(agentfs.root, 2)
    (agentfs.root / "privacy_config.yml").write_text("privacy: [broken")
    with pytest.raises(ConfigurationError):
        take_in(agentfs)
    assert _taken(agentfs) == []
    (agentfs.root / "privacy_config.yml").unlink()
    handed = {**spool_of(agentfs.root)[0], "event": "handed", "agent_id": "nobody", "messages": [1]}
    append(str(agentfs.root), json.dumps(handed).encode())
    append(str(agentfs.root), json.dumps(spool_of(agentfs.root)[0]).replace("call-0000", "call-0005").encode())
    assert take_in(agentfs) == 4
    assert _taken(agentfs) == ["call-0000", "call-0001", "call-0005"]
    assert agentfs.agents.get(AGENT).door == "hook"
