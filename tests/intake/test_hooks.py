"""What a client tells its hook: kept without its content, taken in as what the agent did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hooking import ADA, AGENT, CLIENTS, call_hook, event, hook_process, recorded, spool_of, take_in

from core.agent_model import AgentStatus, ToolCall
from core.agentfs.activity import NO_END
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_json
from core.ids import sha256_hex
from core.intake.spool import append
from core.intake.spool_reading import KEPT_BYTES
from core.intake.taking_in import Intake

CALLS = {
    "claude-code": [("Bash", 2310, ""), ("Write", 12, ""), ("Bash", 4187, "exit code 1"), ("Grep", 31, "")],
    "codex": [("Bash", None, ""), ("apply_patch", None, "exit code 1"), ("mcp__bailiwick__inbox", None, "")],
    "opencode": [("bash", None, "exit code 2"), ("read", None, "")],
}


def replayed(root: Path, client: str) -> list[dict[str, Any]]:
    told = recorded(client)
    for payload in told:
        assert call_hook(root, payload, client) == ""
    return told


def oldest_first(agentfs: AgentFS) -> list[ToolCall]:
    return sorted(agentfs.sessions.calls(), key=lambda call: (call.started_at, call.id))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_recorded_session_becomes_an_agent_with_its_session_and_calls(agentfs: AgentFS, client: str) -> None:
    told = replayed(agentfs.root, client)
    assert take_in(agentfs) == len(told)
    agent = agentfs.agents.get(f"{client}.harbour")
    assert (agent.door, agent.client, agent.type, agent.owner) == ("hook", client, "coding", "ada")
    ends = client != "codex"
    assert agent.status is (AgentStatus.INACTIVE if ends else AgentStatus.ACTIVE)
    assert agent.current_tool == ""
    (session,) = agentfs.sessions.all()
    assert (session.agent, session.door, session.client, session.calls) == (
        agent.name,
        "hook",
        client,
        len(CALLS[client]),
    )
    assert (session.ended_at is not None) == ends
    calls = oldest_first(agentfs)
    inputs = [each["tool_input"] for each in told if each.get("hook_event_name") == "PreToolUse"]
    assert [call.parameters_sha256 for call in calls] == [sha256_hex(to_json(each).encode()) for each in inputs]
    for call, (tool, milliseconds, error) in zip(calls, CALLS[client], strict=True):
        assert (call.tool, call.error, call.door, call.client) == (tool, error, "hook", client)
        assert call.result_sha256 is not None
        assert call.duration_ms is not None
        assert milliseconds in (None, call.duration_ms)
    verdict = agentfs.audit_check.verify()
    assert verdict.whole
    records = agentfs.audit.page(1, verdict.records)
    assert {each.door for each in records if each.action.startswith(("call.", "session."))} == {"hook"}
    assert all(each.verified for each in records)


@pytest.mark.parametrize("client", CLIENTS)
def test_no_content_reaches_the_disk(agentfs: AgentFS, client: str) -> None:
    assert "lantern-marker" in json.dumps(replayed(agentfs.root, client))
    take_in(agentfs)
    agentfs.close()
    for path in agentfs.root.rglob("*"):
        assert not path.is_file() or b"lantern-marker" not in path.read_bytes(), path


def test_while_a_tool_runs_the_agent_is_busy_with_it(agentfs: AgentFS) -> None:
    for payload in recorded("claude-code")[:3]:
        call_hook(agentfs.root, payload)
    take_in(agentfs)
    agent = agentfs.agents.get(AGENT)
    assert (agent.status, agent.current_tool) == (AgentStatus.BUSY, "Bash")
    second = {**event("claude-code", "PreToolUse"), "tool_name": "Read", "tool_use_id": "toolu_02"}
    for payload in (second, recorded("claude-code")[3]):
        call_hook(agentfs.root, payload)
    take_in(agentfs)
    agent = agentfs.agents.get(AGENT)
    assert (agent.status, agent.current_tool) == (AgentStatus.BUSY, "Read")
    call_hook(agentfs.root, event("claude-code", "Stop"))
    take_in(agentfs)
    agent = agentfs.agents.get(AGENT)
    assert (agent.status, agent.current_tool) == (AgentStatus.ACTIVE, "")
    assert [call.error for call in oldest_first(agentfs)] == ["", NO_END]


def test_an_end_that_comes_before_its_beginning_and_one_that_comes_twice(agentfs: AgentFS) -> None:
    before, after = recorded("claude-code")[2:4]
    for payload in (after, before, after):
        call_hook(agentfs.root, payload)
    take_in(agentfs)
    (call,) = agentfs.sessions.calls()
    assert (call.duration_ms, call.error) == (2310, "")
    assert (call.completed_at or call.started_at) > call.started_at
    assert agentfs.agents.get(AGENT).status is AgentStatus.ACTIVE


def test_a_call_without_a_name_of_its_own_finds_its_end(agentfs: AgentFS) -> None:
    nameless = [{k: v for k, v in each.items() if k != "tool_use_id"} for each in recorded("claude-code")[2:6]]
    for payload in nameless:
        call_hook(agentfs.root, payload)
    take_in(agentfs)
    assert [call.duration_ms for call in oldest_first(agentfs)] == [2310, 12]


def test_a_failed_turn_shows_as_an_error(agentfs: AgentFS) -> None:
    call_hook(agentfs.root, {**event("claude-code", "Stop"), "hook_event_name": "StopFailure", "error": "rate_limit"})
    take_in(agentfs)
    agent = agentfs.agents.get(AGENT)
    assert (agent.status, agent.note) == (AgentStatus.ERROR, "its turn failed: rate_limit")


def test_the_agent_is_known_again_in_its_project_and_by_its_name(
    agentfs: AgentFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = event("claude-code", "SessionStart")
    agentfs.agents.register("scout", "research", {"tools": ["grep"]}, owner="ada", by=ADA)
    for folder in ("/home/mara/harbour", "/srv/harbour", "/home/mara/harbour", "/srv/海 港"):
        call_hook(agentfs.root, {**start, "session_id": folder, "cwd": folder})
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", "/home/mara/harbour")
    call_hook(agentfs.root, {**start, "session_id": "deeper", "cwd": "/home/mara/harbour/src"})
    monkeypatch.setenv("BAILIWICK_AGENT", "scout")
    call_hook(agentfs.root, {**start, "session_id": "named"})
    take_in(agentfs)
    second = f"{AGENT}-{sha256_hex(b'/srv/harbour')[:4]}"
    third = f"claude-code.{sha256_hex('/srv/海 港'.encode())[:8]}"
    names = {each.agent.name: each for each in agentfs.agents.all()}
    assert set(names) == {AGENT, second, third, "scout"}
    counts = {name: len(agentfs.sessions.all(name)) for name in names}
    assert counts == {AGENT: 2, second: 1, third: 1, "scout": 1}
    scout = names["scout"].agent
    assert (scout.type, scout.tools, scout.door, scout.client) == ("research", ("grep",), "hook", "claude-code")


def test_what_was_told_long_ago_keeps_its_time(agentfs: AgentFS) -> None:
    call_hook(agentfs.root, event("claude-code", "PreToolUse"))
    path = agentfs.root / "intake" / "calls.jsonl"
    head, line = path.read_text().splitlines()
    record = json.loads(line)
    record["at"] -= 3_600_000_000
    path.write_text(f"{head}\n{json.dumps(record)}\n")
    take_in(agentfs)
    agent = agentfs.agents.get(AGENT)
    assert (agent.status, agent.current_tool) == (AgentStatus.INACTIVE, "")
    assert agent.created_at == agent.last_activity


def test_a_sign_of_life_renews_leases(agentfs: AgentFS) -> None:
    call_hook(agentfs.root, event("claude-code", "SessionStart"))
    take_in(agentfs)
    agent = agentfs.agents.get(AGENT)
    lease = agentfs.leases.take(AGENT, "src/**", by=ADA, seconds=60)
    call_hook(agentfs.root, event("claude-code", "Stop"))
    take_in(agentfs)
    (renewed,) = agentfs.leases.held(agent.id)
    assert renewed.expires_at > lease.expires_at


def test_lines_that_hold_no_record_are_passed_over(agentfs: AgentFS) -> None:
    call_hook(agentfs.root, event("claude-code", "SessionStart"))
    for line in (b"\x00" * 40, b"{", b"[]", b'{"at": 1}', b'{"at": 1e300, "client": "codex", "event": "begin"}'):
        append(str(agentfs.root), line)
    path = agentfs.root / "intake" / "calls.jsonl"
    path.write_bytes(path.read_bytes() + b'{"torn": ')
    call_hook(agentfs.root, event("claude-code", "PostToolUse"))
    take_in(agentfs)
    assert [call.tool for call in agentfs.sessions.calls()] == ["Bash"]


def test_a_spool_that_was_taken_in_is_taken_away_and_the_next_begins(agentfs: AgentFS) -> None:
    intake, payload = Intake(agentfs), event("claude-code", "PostToolUse")
    call_hook(agentfs.root, {**payload, "tool_use_id": "first"})
    (line,) = (json.dumps(each).encode() for each in spool_of(agentfs.root))
    count = KEPT_BYTES // len(line) + 10
    path = agentfs.root / "intake" / "calls.jsonl"
    lines = [line.replace(b'"first"', b'"call-%d"' % number) for number in range(count)]
    path.write_bytes(path.read_bytes() + b"\n".join(lines) + b"\n")
    assert intake.waits()
    assert intake.take_in() == count + 1
    assert not path.exists()
    assert not intake.waits()
    call_hook(agentfs.root, {**payload, "tool_use_id": "last"})
    assert intake.take_in() == 1
    assert intake.take_in() == 0
    assert agentfs.sessions.all()[0].calls == count + 2


def test_a_process_of_its_own_serves_a_client(agentfs: AgentFS) -> None:
    done = hook_process(agentfs.root, json.dumps(event("codex", "PostToolUse")).encode(), "codex")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    take_in(agentfs)
    assert [call.client for call in agentfs.sessions.calls()] == ["codex"]
