"""A running engine and a hook: what comes in is seen at once, by events and in the panes, and no secret stays."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hooking import AGENT, call_hook, context, event, recorded, spool_of

from core.agent_model import AgentStatus, MessageStatus
from core.config import load_settings, with_flag
from core.engine import Duties
from core.events import AgentsChanged, AuditGrew, Event, MessagesChanged
from core.workspace import Workspace
from tests.agentfs.canaries import files_with, new_canary
from tui import moments
from tui.commands.run import run
from tui.logs import start_logging
from tui.panes.agent_reading import Section, Wanted, read
from tui.widgets import agent_texts


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(0.01)


def opened(root: Path, duties: Duties | None = Duties.ALL) -> Workspace:
    settings = with_flag(load_settings(root), "model.allow_download", False)
    return Workspace(root, with_flag(settings, "model.path", str(root)), role="the test", duties=duties)


def test_a_hook_is_seen_at_once_in_the_engine_and_nothing_secret_stays(tmp_path: Path) -> None:
    root, canary, heard = tmp_path / "w", new_canary(), list[Event]()
    transcript = tmp_path / "t.jsonl"
    part = {"type": "tool_use", "id": "secret", "name": "Bash", "input": {"command": f"export TOKEN={canary}"}}
    transcript.write_text(json.dumps({"message": {"content": [part]}}) + "\n")
    before, after = recorded("claude-code")[2:4]
    change = {"transcript_path": str(transcript), "tool_use_id": "secret", "tool_input": part["input"]}
    workspace = opened(root)
    try:
        start_logging(root)
        workspace.bus.subscribe(heard.append)
        agentfs = workspace.agentfs
        for told in (event("claude-code", "UserPromptSubmit"), {**before, **change}):
            call_hook(root, {**told, "prompt": canary})
        until(lambda: any(isinstance(each, AgentsChanged) for each in heard), "the agent")
        until(lambda: agentfs.agents.get(AGENT).status is AgentStatus.BUSY, "the tool")
        assert agentfs.agents.get(AGENT).current_tool == "Bash"
        call_hook(root, {**after, **change, "tool_response": {"stdout": canary}})
        call_hook(root, {**event("claude-code", "PostToolUseFailure"), "error": f"Exit code 1\n{canary}"})
        until(lambda: len(agentfs.sessions.calls(agent=AGENT)) == 2, "both calls")
        until(lambda: any(call.summary for call in agentfs.sessions.calls()), "the summary")
        agentfs.messages.send("person", AGENT, "well done", by=workspace.person)
        until(lambda: MessagesChanged(1) in heard, "the message")
        heard.clear()
        assert "> well done" in context(root, event("claude-code", "Stop") | {"hook_event_name": "PostToolUse"})
        until(lambda: agentfs.messages.page(1, 1)[0].status is MessageStatus.DELIVERED, "the delivery")
        until(lambda: any(isinstance(each, MessagesChanged) for each in heard), "what the log shows")
        assert any(isinstance(each, AuditGrew) for each in heard)
        _check_detail(workspace)
    finally:
        workspace.close()
    transcript.unlink()
    assert files_with(tmp_path, canary) == []
    assert canary not in repr(heard)


def _check_detail(workspace: Workspace) -> None:
    """What the agents pane says of it."""
    agent_id, at = workspace.agentfs.agents.get(AGENT).id, moments.now()
    about = read(workspace.agentfs, Wanted(retired=False, agent_id=agent_id, section=Section.ABOUT))
    (overview,) = about.overviews
    assert about.facts is not None
    lines = agent_texts.about_text(overview, about.facts.key_path, at).plain.splitlines()
    told = dict(line.split(maxsplit=1) for line in lines if line.startswith(("Door", "Client")))
    assert told == {"Door": "hook", "Client": "claude-code"}
    facts = read(workspace.agentfs, Wanted(retired=False, agent_id=agent_id, section=Section.SESSIONS)).facts
    assert facts is not None
    lines = agent_texts.sessions_text(facts.sessions, facts.calls, at).plain.splitlines()
    assert [line for line in lines if "claude-code through hook" in line]
    done = next(index for index, line in enumerate(lines) if line.startswith("✓ done   Bash  2,310 ms"))
    assert lines[done + 1].strip().startswith("export TOKEN=<secret")
    assert any(line.startswith("▲ failed Bash  exit code 1") for line in lines)


def test_without_an_engine_the_next_command_takes_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_USER_ID", "ada")
    opened(tmp_path, duties=None).close()
    for told in recorded("codex")[:3]:
        call_hook(tmp_path, told, "codex")
    assert len(spool_of(tmp_path)) == 3
    assert run(["agents", "list", "--json", "--workspace", str(tmp_path)]) == 0
    (agent,) = json.loads(capsys.readouterr().out)["agents"]
    assert (agent["name"], agent["status"], agent["current_tool"], agent["owner"]) == (
        "codex.harbour",
        "busy",
        "Bash",
        "ada",
    )
    assert run(["agents", "show", "codex.harbour", "--workspace", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.split("\n")
    assert [line.split() for line in shown if line.split()[:1] in (["door"], ["client"])] == [
        ["door", "hook"],
        ["client", "codex"],
    ]


def test_what_the_engine_left_waiting_its_successor_takes_in(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.close()
    call_hook(tmp_path, event("codex", "SessionStart"), "codex")
    second = opened(tmp_path)
    try:
        until(lambda: bool(second.agentfs.agents.all()), "the agent")
        assert replace(second.agentfs.agents.all()[0].agent, note="").client == "codex"
    finally:
        second.close()
