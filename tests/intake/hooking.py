"""Hooks called in this process or one of their own, and what the engine makes of what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.intake.hook import run
from core.intake.taking_in import Intake

PAYLOADS = Path(__file__).parent / "payloads"
CLIENTS = ("claude-code", "codex", "opencode")
ADA = Actor(ActorKind.PERSON, "ada", "cli")
AGENT = "claude-code.harbour"


def recorded(client: str) -> list[dict[str, Any]]:
    """What a client tells in one session, in order."""
    told: list[dict[str, Any]] = json.loads((PAYLOADS / f"{client}.json").read_text())
    return told


def event(client: str, name: str) -> dict[str, Any]:
    """The first payload of that event."""
    return next(each for each in recorded(client) if each.get("hook_event_name") == name)


def call_hook(root: Path, told: object, client: str = "claude-code") -> str:
    """Call the hook in this process with ``told``, bytes or a JSON value; the answer is what it said to the client."""
    data = told if isinstance(told, bytes) else json.dumps(told).encode()
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(data)
        source.seek(0)
        run([client, "--workspace", str(root)], source.fileno(), target.fileno())
        target.seek(0)
        return target.read().decode()


def context(root: Path, told: object, client: str = "claude-code") -> str:
    """The additional context that a hook hands over; empty when there is none."""
    said = call_hook(root, told, client)
    return str(json.loads(said)["hookSpecificOutput"]["additionalContext"]) if said else ""


def hook_process(
    root: Path, told: bytes, client: str = "claude-code", environ: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Call the hook as a client does: a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tui", "hook", client, "--workspace", str(root)],
        input=told,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environ or {})},
        **options,
    )


def take_in(agentfs: AgentFS) -> int:
    """Take in what waits, as the engine does."""
    return Intake(agentfs).take_in()


def log_of(root: Path) -> list[str]:
    """The lines of the hooks' log."""
    path = root / "logs" / "hook.log"
    return path.read_text().splitlines() if path.exists() else []


def spool_of(root: Path) -> list[dict[str, Any]]:
    """The records in the spool; fails when a line is not whole."""
    path = root / "intake" / "calls.jsonl"
    data = path.read_bytes() if path.exists() else b""
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()[1:]]
