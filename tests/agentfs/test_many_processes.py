"""Sixteen processes at once, four of them killed: whatever was acknowledged is there, and the trail is whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from acting import ADA, join
from writer import BOARD, COUNTER, POLICY

from core.agentfs.agentfs import AgentFS
from core.agentfs.globs import overlap

PROCESSES, KILLED, OPERATIONS = 16, 4, 10_000
LONGEST_SECONDS = 100.0


@dataclass
class Writing:
    """A process that writes, and the file of what it acknowledged; it is killed once that has so many lines."""

    process: subprocess.Popen[bytes]
    file: Path
    killed_at: int | None

    def acknowledged(self) -> list[list[object]]:
        """What it acknowledged, a line that it was killed in the middle of left out."""
        lines = self.file.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]


def start(root: Path, acknowledgements: Path, number: int, operations: int, killed_at: int | None) -> Writing:
    file = acknowledgements / str(number)
    program = [sys.executable, str(Path(__file__).with_name("writer.py"))]
    with file.open("wb") as output:
        process = subprocess.Popen(
            [*program, str(root), f"agent {number}", str(operations), str(number)],
            stdout=output,
            stderr=subprocess.PIPE,
        )
    return Writing(process, file, killed_at)


def run(agentfs: AgentFS, writings: list[Writing]) -> None:
    """Kill those that are to be killed at their moment and wait for the others, signing the head meanwhile."""
    end = time.monotonic() + LONGEST_SECONDS
    while running := [writing for writing in writings if writing.process.poll() is None]:
        assert time.monotonic() < end, "the processes did not come to an end"
        for writing in running:
            if writing.killed_at is not None and writing.file.read_bytes().count(b"\n") >= writing.killed_at:
                writing.process.kill()
        assert agentfs.audit_check.sign_head() == ""
        time.sleep(0.05)
    for writing in writings:
        _, complaint = writing.process.communicate()
        if writing.killed_at is None:
            assert writing.process.returncode == 0, complaint.decode()
        else:
            assert writing.process.returncode == -9, complaint.decode()


@pytest.mark.timeout(150)
def test_sixteen_processes_lose_nothing_and_four_killed_ones_nothing_they_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledgements = tmp_path / "acknowledged"
    acknowledgements.mkdir()
    root = tmp_path / "workspace"
    with closing(AgentFS(root, POLICY)) as agentfs:
        join(agentfs, BOARD)
        counter = agentfs.states.put(BOARD, COUNTER, 0, by=ADA)
        each = OPERATIONS // PROCESSES
        killed_at = {number: chance.randrange(each // 4, each * 3 // 4) for number in range(KILLED)}
        left = (OPERATIONS - sum(killed_at.values())) // (PROCESSES - KILLED) + 1
        writings = [
            start(root, acknowledgements, number, OPERATIONS if number < KILLED else left, killed_at.get(number))
            for number in range(PROCESSES)
        ]
        run(agentfs, writings)
        acknowledged = [line for writing in writings for line in writing.acknowledged()]
        assert len(acknowledged) >= OPERATIONS

        connection = agentfs.database.connection()
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        verdict = agentfs.audit_check.verify()
        assert (verdict.integrity, verdict.completeness) == ((), ())

        contents = dict(connection.execute("SELECT sha256, bytes FROM contents").fetchall())
        versions = {
            (row["state_id"], row["version"]): json.loads(contents[row["sha256"]])
            for row in connection.execute("SELECT state_id, version, sha256 FROM state_history")
        }
        messages = {
            (row["id"], row["sequence"]): json.loads(row["message_content"])
            for row in connection.execute("SELECT id, sequence, message_content FROM agent_communications")
        }
        leases = {row["id"] for row in connection.execute("SELECT id FROM leases")}
        counts = dict.fromkeys(("state", "counted", "lost", "message", "lease", "held", "beat", "refused"), 0)
        for kind, *rest in acknowledged:
            counts[str(kind)] += 1
            if kind == "state":
                assert versions[rest[0], rest[1]] == {"value": rest[2]}
            elif kind == "counted":
                assert versions[rest[0], rest[1]] == rest[2]
            elif kind == "message":
                assert messages[rest[0], rest[1]] == rest[2]
            elif kind == "lease":
                assert rest[0] in leases
        assert counts.pop("refused") < 10
        assert min(counts.values()) > 0, counts

        held = agentfs.states.get(BOARD, COUNTER)
        assert held.value == held.version - 1
        assert counts["counted"] <= held.version - counter.version <= counts["counted"] + KILLED
        assert [sequence for _, sequence in sorted(messages, key=lambda each: each[1])] == list(
            range(1, len(messages) + 1)
        )
        assert counts["message"] <= len(messages)
        check_counts(agentfs)
        check_leases(agentfs)


def check_counts(agentfs: AgentFS) -> None:
    """Versions are dense, and each agent is charged for exactly what it holds."""
    connection = agentfs.database.connection()
    for row in connection.execute(
        "SELECT count(*) AS n, min(version) AS a, max(version) AS z FROM state_history GROUP BY state_id"
    ):
        assert (row["a"], row["z"]) == (1, row["n"])
    for row in connection.execute(
        "SELECT state_bytes, (SELECT coalesce(sum(size), 0) FROM agent_states s WHERE s.agent_id = a.id) AS held"
        " FROM agents a"
    ):
        assert row["state_bytes"] == row["held"]


def check_leases(agentfs: AgentFS) -> None:
    """No two agents ever held what overlaps at the same time."""
    rows = (
        agentfs.database.connection()
        .execute(
            "SELECT agent_id, resource, acquired_at, min(expires_at, coalesce(ended_at, '9')) AS ended FROM leases"
        )
        .fetchall()
    )
    spans: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        spans.setdefault(row["resource"], []).append((row["acquired_at"], row["ended"], row["agent_id"]))
    for one, other in [*combinations(spans, 2), *((each, each) for each in spans)]:
        if one != other and (one.startswith("resource:") or other.startswith("resource:") or not overlap(one, other)):
            continue
        last: dict[str, str] = {}
        for acquired, ended, holder in sorted({*spans[one], *spans[other]}):
            assert all(theirs <= acquired for name, theirs in last.items() if name != holder)
            last[holder] = max(ended, last.get(holder, ""))
