"""What calls were about: read from the client's transcript by the engine, without secrets, or not said at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hooking import call_hook, event, take_in

from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from core.intake.summaries import LONGEST_SUMMARY, MOST_TRIES, PRIVATE, Summariser
from tests.agentfs.canaries import files_with, new_canary


def claude(call_id: str, told: Mapping[str, Any]) -> str:
    part = {"type": "tool_use", "id": call_id, "name": "Bash", "input": told}
    message = {"role": "assistant", "content": [{"type": "text", "text": "I look."}, part]}
    return json.dumps({"type": "assistant", "message": message, "uuid": "8d5b"})


def codex(call_id: str, arguments: Mapping[str, Any]) -> str:
    payload = {"type": "function_call", "name": "exec_command", "arguments": json.dumps(arguments), "call_id": call_id}
    return json.dumps({"timestamp": "2026-11-25T09:00:00Z", "type": "response_item", "payload": payload})


def patch(call_id: str, text: str) -> str:
    payload = {"type": "custom_tool_call", "name": "apply_patch", "input": text, "call_id": call_id}
    return json.dumps({"timestamp": "2026-11-25T09:00:00Z", "type": "response_item", "payload": payload})


def done(agentfs: AgentFS, transcript: Path, *call_ids: str) -> None:
    """Calls of these names ended, says a hook that names the transcript."""
    payload = event("claude-code", "PostToolUse")
    for call_id in call_ids:
        told = {**payload, "transcript_path": str(transcript), "tool_use_id": call_id, "context": False}
        call_hook(agentfs.root, told)
    take_in(agentfs)


def summaries(agentfs: AgentFS) -> list[str]:
    return [call.summary for call in reversed(agentfs.sessions.calls())]


def test_each_client_is_understood_and_nothing_private_is_said(agentfs: AgentFS, tmp_path: Path) -> None:
    transcript, canary = tmp_path / "t.jsonl", new_canary()
    home = str(Path.home())
    lines = {
        "a": claude("a", {"description": "Run the tests", "command": "uv run  pytest\n-q"}),
        "b": codex("b", {"cmd": f"curl -H 'Authorization: token {canary}' mara@lighthouse.dev"}),
        "c": patch("c", "*** Begin Patch\n*** Update File: src/lamp.py\n+x\n*** Add File: b.py\n*** End Patch"),
        "d": claude("d", {"file_path": "/srv/harbour/credentials/lamp.txt"}),
        "e": claude("e", {"file_path": f"{home}/harbour/notes.md", "content": canary}),
        "f": claude("f", {"command": "word " * 200}),
        "g": claude("g", {"anything": canary}),
    }
    noise = [json.dumps({"type": "user", "message": {"content": canary}}), "{torn", "[]", '{"message": {"content": 3}}']
    transcript.write_text("\n".join([*noise, *lines.values(), *noise]) + "\n")
    done(agentfs, transcript, *lines)
    assert Summariser(agentfs).step() == 0
    said = dict(zip(lines, summaries(agentfs), strict=True))
    assert said["a"] == "uv run pytest -q"
    assert said["b"].startswith("curl -H 'Authorization: token <secret")
    assert canary not in said["b"]
    assert "lighthouse" not in said["b"]
    assert said["c"] == "src/lamp.py, b.py"
    assert said["d"] == PRIVATE
    assert said["e"].endswith("harbour/notes.md")
    assert home not in said["e"]
    assert len(said["f"]) == LONGEST_SUMMARY
    assert said["g"] == ""
    verdict = agentfs.audit_check.verify()
    assert verdict.whole
    assert agentfs.audit.page(verdict.records, verdict.records)[0].details == {"calls": len(lines)}
    agentfs.close()
    assert files_with(agentfs.root, canary) == []


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "other"])
def test_without_a_transcript_that_tells_there_is_no_summary(agentfs: AgentFS, tmp_path: Path, kind: str) -> None:
    transcript = tmp_path / "t.jsonl"
    if kind == "folder":
        transcript.mkdir()
    elif kind == "pipe":
        os.mkfifo(transcript)
    elif kind == "other":
        transcript.write_text(claude("another", {"command": "ls"}) + "\n")
    done(agentfs, transcript, "a")
    summariser = Summariser(agentfs)
    assert [summariser.step() for _ in range(MOST_TRIES + 1)] == [1] * (MOST_TRIES - 1) + [0, 0]
    assert summaries(agentfs) == [""]


def test_one_that_is_written_late_is_found_and_a_subagents_lies_beside(agentfs: AgentFS, tmp_path: Path) -> None:
    transcript = tmp_path / "t.jsonl"
    done(agentfs, transcript, "a")
    subagent = {**event("claude-code", "PostToolUse"), "transcript_path": str(transcript), "agent_id": "def456"}
    call_hook(agentfs.root, {**subagent, "tool_use_id": "b"})
    take_in(agentfs)
    summariser = Summariser(agentfs)
    assert summariser.step() == 2
    transcript.write_text(claude("a", {"command": "make"}) + "\n")
    (tmp_path / "t" / "subagents").mkdir(parents=True)
    (tmp_path / "t" / "subagents" / "agent-def456.jsonl").write_text(claude("b", {"pattern": "lamp"}) + "\n")
    assert summariser.step() == 0
    assert summaries(agentfs) == ["make", "lamp"]


def test_where_all_that_is_private_is_sealed_nothing_is_said(tmp_path: Path) -> None:
    root, transcript = tmp_path / "w", tmp_path / "t.jsonl"
    transcript.write_text(claude("a", {"command": "make"}) + "\n")
    sealing = AgentFS(root, privacy=privacy_settings(root, seal_all=True, user="ada"))
    done(sealing, transcript, "a")
    assert Summariser(sealing).step() == 0
    assert summaries(sealing) == [""]
    sealing.close()
