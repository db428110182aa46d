"""Whatever is wrong, a hook ends well for its client: exit code 0, nothing said, one line in the log."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hooking import ADA, AGENT, call_hook, event, hook_process, log_of, spool_of, take_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.agentfs.agentfs import AgentFS
from core.config import workspace_folder
from core.intake import hook
from core.intake.payloads import CLIENTS, EVENTS

PROMPT = event("claude-code", "UserPromptSubmit")


def _no_spool(root: Path) -> None:
    (root / "intake").write_text("a file in its place")


def _no_database(root: Path) -> None:
    (root / "agentfs.db").write_bytes(b"no database at all" * 400)


def _newer(root: Path) -> None:
    with sqlite3.connect(root / "agentfs.db") as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "said", "kept"),
    [
        (_no_spool, "Not a directory", 0),
        (_no_database, "the database could not be read (DatabaseError)", 1),
        (_newer, "the workspace has another version (schema 9999)", 1),
        (lambda root: (root / "agentfs.db").unlink(), "there is no database in the workspace", 1),
    ],
    ids=["spool", "damaged", "newer", "gone"],
)
def test_a_workspace_in_trouble(tmp_path: Path, spoil: Callable[[Path], None], said: str, kept: int) -> None:
    AgentFS(tmp_path).close()
    spoil(tmp_path)
    assert call_hook(tmp_path, PROMPT) == ""
    (line,) = log_of(tmp_path)
    assert line.endswith(f"hook claude-code: {said}")
    assert kept == (len(spool_of(tmp_path)) if kept else 0)


def test_a_workspace_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = hook_process(tmp_path / "gone", json.dumps(PROMPT).encode())
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.endswith(b"hook claude-code: there is no workspace\n")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_held_alone_delays_nothing_but_messages(agentfs: AgentFS) -> None:
    agentfs.close()
    other = sqlite3.connect(agentfs.root / "agentfs.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    assert call_hook(agentfs.root, PROMPT) == ""
    other.close()
    assert log_of(agentfs.root)[0].endswith("the database could not be read (OperationalError)")
    assert [each["event"] for each in spool_of(agentfs.root)] == ["prompt"]


@pytest.mark.parametrize(
    "told",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe\x00", b'{"hook_event_name": 3}', b"[" * 100_000, b"9" * 10_000],
    ids=["nothing", "torn", "list", "null", "no-text", "no-event", "nested", "number"],
)
def test_what_is_not_understood(agentfs: AgentFS, told: bytes) -> None:
    assert call_hook(agentfs.root, told) == ""
    assert len(log_of(agentfs.root)) == 1
    assert spool_of(agentfs.root) == []


def test_ten_megabytes_are_taken_and_what_is_too_large_is_read_to_its_end(agentfs: AgentFS) -> None:
    large = {**event("claude-code", "PostToolUse"), "tool_response": "x" * 10_000_000}
    assert call_hook(agentfs.root, large) == ""
    (record,) = spool_of(agentfs.root)
    assert len(json.dumps(record)) < 1000
    with tempfile.TemporaryFile() as source:
        source.truncate(hook.LARGEST_PAYLOAD + 1)
        hook.run(["codex", "--workspace", str(agentfs.root)], source.fileno(), 1)
        assert os.lseek(source.fileno(), 0, os.SEEK_CUR) == hook.LARGEST_PAYLOAD + 1
    assert log_of(agentfs.root)[0].endswith("hook codex: what it told is too large")


def test_a_full_disk_leaves_no_part_of_a_line(agentfs: AgentFS) -> None:
    call_hook(agentfs.root, PROMPT)
    size = (agentfs.root / "intake" / "calls.jsonl").stat().st_size
    (agentfs.root / "logs").mkdir()
    (agentfs.root / "logs" / "hook.log").touch()

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))

    done = hook_process(agentfs.root, json.dumps(PROMPT).encode(), preexec_fn=fill)
    assert (done.returncode, done.stdout) == (0, b"")
    assert len(spool_of(agentfs.root)) == 1
    assert log_of(agentfs.root)[0].endswith("hook claude-code: the disk is full")
    call_hook(agentfs.root, PROMPT)
    assert len(spool_of(agentfs.root)) == 2


def test_a_client_that_never_ends_what_it_tells_and_one_without_input(agentfs: AgentFS) -> None:
    command = [sys.executable, "-m", "tui", "hook", "claude-code", "--workspace", str(agentfs.root)]
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        closed = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, check=False)
        assert (closed.returncode, closed.stdout, closed.stderr) == (0, b"", b"")
        assert waiting.wait(60) == 0
        assert waiting.stdout is not None
        assert waiting.stdout.read() == b""
    assert time.monotonic() - began >= hook.SECONDS
    assert [line.partition(": ")[2] for line in log_of(agentfs.root)] == ["Bad file descriptor", "it took too long"]


def test_whoever_never_said_where_means_the_usual_workspace(tmp_path: Path) -> None:
    cases: tuple[dict[str, str], ...] = (
        {},
        {"XDG_DATA_HOME": str(tmp_path / "data")},
        {"XDG_DATA_HOME": "relative"},
        {"BAILIWICK_HOME": str(tmp_path / "home")},
    )
    for number, variables in enumerate(cases):
        with pytest.MonkeyPatch.context() as patch:
            for name in ("XDG_DATA_HOME", "BAILIWICK_HOME"):
                patch.delenv(name, raising=False)
            for name, value in {"HOME": str(tmp_path / str(number)), **variables}.items():
                patch.setenv(name, value)
            root = workspace_folder(None)
            root.mkdir(parents=True)
            with tempfile.TemporaryFile() as source:
                source.write(json.dumps(PROMPT).encode())
                source.seek(0)
                hook.run(["codex"], source.fileno(), 1)
            assert len(spool_of(root)) == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_events = st.sampled_from(sorted(EVENTS))
_payloads = st.fixed_dictionaries(
    {"hook_event_name": _events | _json},
    optional={
        name: _json | st.text()
        for name in (
            "session_id", "cwd", "project", "transcript_path", "agent_id", "context", "tool_name", "tool_use_id",
            "tool_input", "tool_response", "duration_ms", "error", "is_interrupt", "type", "thread-id",
        )
    },
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.binary(max_size=60) | _json | _payloads, client=st.sampled_from(CLIENTS))
def test_anything_at_all(agentfs: AgentFS, told: Any, client: str) -> None:
    before = len(spool_of(agentfs.root)), len(log_of(agentfs.root))
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    assert call_hook(agentfs.root, data, client) == ""
    after = len(spool_of(agentfs.root)), len(log_of(agentfs.root))
    assert sum(after) > sum(before)
    assert take_in(agentfs) == after[0] - before[0] if after[0] > before[0] else True
    assert all("Traceback" not in line for line in log_of(agentfs.root))


def test_after_all_that_the_chain_is_whole(agentfs: AgentFS) -> None:
    for strange in ({"cwd": "/" + "x" * 5000, "session_id": "y" * 5000}, {"session_id": "\ud800"}):
        call_hook(agentfs.root, {**PROMPT, **strange})
    take_in(agentfs)
    agentfs.messages.send("person", agentfs.agents.all()[0].agent.name, "hello", by=ADA)
    assert agentfs.audit_check.verify().whole
    assert AGENT not in [each.agent.name for each in agentfs.agents.all()[:1]]
