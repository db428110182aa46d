"""Two agents inside one tool boundary: what hooks tell of it, without any path, and what becomes of it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hooking import ADA, AGENT, call_hook, context, event, log_of, spool_of, take_in

from core.agent_model import Actor, ActorKind, LeaseMode
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_text
from core.agentfs.policy import AgentPolicy
from core.config import ConflictSettings
from core.conflicts.claims import Claims, read_claim
from core.conflicts.ended_claims import settle_ended
from core.conflicts.merging.decisions import Choice
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore
from core.conflicts.service import ConflictService
from core.conflicts.summaries import Applied
from core.ids import sha256_hex
from core.intake.boundaries import WINDOW_SECONDS
from core.intake.summaries import Summariser
from core.intake.taking_in import Intake
from tests.agentfs.canaries import files_with

HARBOUR = "/home/mara/harbour"
PROMPT = event("claude-code", "UserPromptSubmit")
CODEX_PROMPT = event("codex", "UserPromptSubmit")


@pytest.fixture
def known(agentfs: AgentFS) -> AgentFS:
    """A workspace in which an agent of Claude Code and one of Codex have been seen in the same project."""
    agentfs.agents.places.policy = AgentPolicy(max_agents=8)
    for client in ("claude-code", "codex"):
        call_hook(agentfs.root, event(client, "SessionStart"), client)
    take_in(agentfs)
    return agentfs


def edits(path: str = f"{HARBOUR}/src/lamp.py", call: str = "toolu_9", tool: str = "Edit") -> dict[str, Any]:
    """Claude Code is about to change a file."""
    told = {"tool_name": tool, "tool_use_id": call, "tool_input": {"file_path": path, "old_string": "a"}}
    return {**event("claude-code", "PreToolUse"), **told}


def patches(*paths: str, call: str = "call_9") -> dict[str, Any]:
    """Codex is about to change files of its folder."""
    patch = "".join(f"*** Update File: {path}\n+x\n" for path in paths)
    told = {"tool_name": "apply_patch", "tool_use_id": call, "tool_input": {"command": f"*** Begin Patch\n{patch}"}}
    return {**event("codex", "PreToolUse"), **told}


def joined(agentfs: AgentFS, name: str, type: str = "coding") -> Actor:  # noqa: A002 - the column's name
    return Actor(ActorKind.AGENT, agentfs.agents.register(name, type, owner="ada", by=ADA).agent.id, "mcp")


def only(agentfs: AgentFS) -> ConflictRecord:
    (entry,) = ConflictStore(agentfs).all()
    return ConflictStore(agentfs).get(entry.id)


def test_a_file_under_anothers_lease_is_a_conflict_that_the_agent_hears_of_once(known: AgentFS) -> None:
    scout = joined(known, "scout")
    lease = known.leases.take("scout", "src/**", by=scout, reason="renaming")
    for call in ("toolu_1", "toolu_2"):
        assert call_hook(known.root, edits(call=call)) == ""
    assert [each.get("leases") for each in spool_of(known.root)[-2:]] == [[lease.id]] * 2
    take_in(known)
    record = only(known)
    assert (record.status, record.path, record.local.who) == (ConflictStatus.OPEN, "claims/src/**", AGENT)
    assert read_claim(record.local.content or b"").reason == "its tool Edit changes it"
    said = context(known.root, PROMPT)
    assert said.startswith(f"1 new message for {AGENT}")
    assert f"scout works on src/**, which you change too. Conflict {record.id} is open: the person" in said
    assert context(known.root, PROMPT) == ""
    # The call was noted like every other, and nothing was blocked.
    assert {each.tool for each in known.sessions.calls()} >= {"Edit"}
    assert [each.agent for each in known.leases.held()] == ["scout"]
    assert log_of(known.root) == []


def test_the_supervisor_rules_for_one_and_the_other_is_told(known: AgentFS) -> None:
    scout = joined(known, "scout", "validation")
    known.leases.take("scout", "src/**", by=scout)
    call_hook(known.root, edits())
    take_in(known)
    assert only(known).status is ConflictStatus.RESOLVED
    assert "The supervisor ruled: leave src/** to scout." in context(known.root, PROMPT)
    known.leases.release("scout", "src/**", by=scout)
    reader = joined(known, "reader")
    known.leases.take("reader", "/home/**", by=reader)
    call_hook(known.root, edits())
    Intake(known, ConflictSettings(policy=f"/home/**={AGENT}")).take_in()
    assert [(each.agent, each.resource) for each in known.leases.held()] == [(AGENT, "/home/**")]
    (message,) = known.messages.inbox("reader", by=reader)
    assert isinstance(message.content, dict)
    assert str(message.content["text"]).startswith(
        f"The supervisor ruled: your lease on /home/** has ended, {AGENT} has /home/** now."
    )


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ("src/**", edits("/home/mara/harbour-two/src/lamp.py")),
        ("docs/**", edits()),
        ("src/**", edits(tool="Read")),
        ("resource:src/lamp.py", edits()),
        ("src/**", {**edits(), "hook_event_name": "PostToolUse", "tool_response": {}}),
    ],
)
def test_what_lies_elsewhere_or_is_only_read_is_no_conflict(
    known: AgentFS, resource: str, told: dict[str, Any]
) -> None:
    known.leases.take("scout", resource, by=joined(known, "scout"))
    call_hook(known.root, told)
    take_in(known)
    assert ConflictStore(known).all() == []


def test_shared_leases_own_ones_and_those_of_another_project_are_no_conflict(known: AgentFS) -> None:
    known.leases.take("scout", "src/**", by=joined(known, "scout"), mode=LeaseMode.SHARED)
    known.leases.take(AGENT, "src/lamp.py", by=ADA, mode=LeaseMode.SHARED)
    call_hook(known.root, {**event("codex", "SessionStart"), "cwd": "/home/mara/quay"}, "codex")
    take_in(known)
    known.leases.take("codex.quay", "lib/**", by=ADA)
    call_hook(known.root, edits())
    call_hook(known.root, edits(f"{HARBOUR}/lib/a.py"))
    take_in(known)
    assert ConflictStore(known).all() == []


def test_two_that_change_one_file_shortly_after_each_other_both_hear(known: AgentFS) -> None:
    call_hook(known.root, edits(f"{HARBOUR}/src/a.py", call="toolu_0"))
    call_hook(known.root, edits(call="toolu_1"))
    call_hook(known.root, patches("src/b.py", "src/lamp.py"), "codex")
    take_in(known)
    record = only(known)
    assert (record.status, record.local.who, record.remote.who) == (ConflictStatus.OPEN, "codex.harbour", AGENT)
    assert record.path == f"claims/a file of harbour;{sha256_hex(f'{HARBOUR}/src/lamp.py'.encode())[:12]}"
    assert f"codex.harbour works on a file of harbour, which you change too. Conflict {record.id}" in context(
        known.root, PROMPT
    )
    assert f"{AGENT} works on a file of harbour" in context(known.root, CODEX_PROMPT, "codex")
    for told, client in ((edits(call="toolu_2"), "claude-code"), (patches("src/lamp.py", call="c"), "codex")):
        call_hook(known.root, told, client)
    take_in(known)
    assert only(known) == record
    assert settle_ended(known) == 0
    service = ConflictService(known, "ada")
    applied = service.apply(service.open(record.id).choose_open(Choice.LOCAL), by=ADA)
    assert isinstance(applied, Applied)
    assert "The person ruled: leave a file of harbour to codex.harbour." in context(known.root, PROMPT)
    present = Claims(known).present(record.path)
    assert present.who == "codex.harbour"


def test_a_file_that_was_changed_longer_ago_is_no_conflict(known: AgentFS) -> None:
    call_hook(known.root, edits())
    take_in(known)
    with known.database.transaction() as connection:
        (told,) = connection.execute("SELECT value FROM settings WHERE key = 'intake.changed_files'").fetchone()
        changed = json.loads(told)
        for entry in changed.values():
            earlier = datetime.fromisoformat(entry["at"]) - timedelta(seconds=WINDOW_SECONDS + 60)
            entry["at"] = to_text(earlier)
        connection.execute("UPDATE settings SET value = ? WHERE key = 'intake.changed_files'", (json.dumps(changed),))
    call_hook(known.root, patches("src/lamp.py"), "codex")
    take_in(known)
    assert ConflictStore(known).all() == []
    call_hook(known.root, edits(call="toolu_8"))
    take_in(known)
    assert only(known).local.who == AGENT


def test_a_file_is_called_as_the_summary_of_the_earlier_call_says(known: AgentFS, tmp_path: Path) -> None:
    transcript = tmp_path / "t.jsonl"
    part = {"type": "tool_use", "id": "toolu_1", "name": "Edit", "input": {"file_path": "/srv/harbour/src/lamp.py"}}
    transcript.write_text(json.dumps({"message": {"content": [part]}}) + "\n")
    told = {**edits("/srv/harbour/src/lamp.py", "toolu_1"), "transcript_path": str(transcript)}
    call_hook(known.root, told)
    call_hook(known.root, {**told, "hook_event_name": "PostToolUse", "tool_response": {}})
    take_in(known)
    assert Summariser(known).step() == 0
    call_hook(known.root, patches("/srv/harbour/src/lamp.py"), "codex")
    take_in(known)
    assert only(known).path.startswith("claims/%2Fsrv/harbour/src/lamp.py;")
    # Nobody goes on with it, so nobody has to rule.
    with known.database.transaction() as connection:
        connection.execute("UPDATE settings SET value = '{}' WHERE key = 'claims.files'")
    assert settle_ended(known) == 1
    outcome = only(known).outcome
    assert outcome is not None
    assert outcome.why == "None of the agents goes on with it."


def test_no_path_reaches_the_disk(known: AgentFS) -> None:
    known.leases.take("scout", "**", by=joined(known, "scout"))
    for path in (f"{HARBOUR}/very-special-name.py", f"{HARBOUR}/docs/very-special-name.md"):
        call_hook(known.root, edits(path))
        call_hook(known.root, patches(path), "codex")
    take_in(known)
    assert only(known).status is ConflictStatus.OPEN
    known.close()
    assert files_with(known.root, "very-special-name") == []


def test_without_a_key_nothing_is_claimed(known: AgentFS) -> None:
    known.leases.take("scout", "src/**", by=joined(known, "scout"))
    known.agents.key_path(known.agents.get(AGENT).id).unlink()
    call_hook(known.root, edits())
    take_in(known)
    assert ConflictStore(known).all() == []
    assert {each.tool for each in known.sessions.calls()} >= {"Edit"}
