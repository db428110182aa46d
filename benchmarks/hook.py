"""How long a hook holds its client up: whole processes, in turn with ``python -c pass``, on a workspace of its own.

    uv run python benchmarks/hook.py [--runs N]

Each figure is the median over the runs; the ratio is the median of the ratios run by run, which bears a machine whose
speed drifts. The bar: at most four times ``python -c pass``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.intake.taking_in import Intake

OURS = [str(Path(sys.prefix) / "bin" / "bailiwick"), "hook", "claude-code", "--workspace"]
TOLD = {
    "session_id": "5c1f3d0e-8a2b-4a5c-9f0e-2b6d7c8e9f10",
    "transcript_path": "/home/mara/.claude/projects/-home-mara-harbour/5c1f3d0e.jsonl",
    "cwd": "/home/mara/harbour",
    "permission_mode": "default",
}
TOOL = {"tool_name": "Bash", "tool_input": {"command": "uv run pytest"}}
EDIT = {"tool_name": "Edit", "tool_input": {"file_path": "/home/mara/harbour/src/lamp.py", "old_string": "dim"}}
RESPONSE = {"tool_response": {"stdout": "1 passed\n" * 100, "stderr": "", "interrupted": False}, "duration_ms": 2310}
AGENT = "claude-code.harbour"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=40, help="counted runs of each command (default 40)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bailiwick-hook-") as scratch:
        agentfs = AgentFS(Path(scratch) / "w")
        measure(agentfs, options.runs)
        agentfs.close()


def measure(agentfs: AgentFS, runs: int) -> None:
    person = Actor(ActorKind.PERSON, "ada", "cli")
    ask(agentfs, {"hook_event_name": "SessionStart"})
    Intake(agentfs).take_in()
    cases = {
        "before a tool": {"hook_event_name": "PreToolUse", **TOOL},
        "before a tool that changes a file": {"hook_event_name": "PreToolUse", **EDIT},
        "after a tool": {"hook_event_name": "PostToolUse", **TOOL, **RESPONSE},
        "after a tool, one message": {"hook_event_name": "PostToolUse", **TOOL, **RESPONSE},
        "after a tool, 1 MB of output": {"hook_event_name": "PostToolUse", **TOOL, "tool_response": "x" * 1_000_000},
    }
    print("| hook | python -c pass, ms | hook, ms | ratio |")
    print("|---|---|---|---|")
    for name, told in cases.items():
        bare, ours = [], []
        for run in range(runs + 2):
            if "message" in name:
                agentfs.messages.send("person", AGENT, {"text": "look at src/cache.py"}, by=person)
            before = timed([sys.executable, "-c", "pass"], b"")
            after = ask(agentfs, {**told, "tool_use_id": f"{name} {run}"})
            if run >= 2:
                bare.append(before)
                ours.append(after)
        ratio = statistics.median(after / before for after, before in zip(ours, bare, strict=True))
        print(f"| {name} | {1000 * statistics.median(bare):.1f} | {1000 * statistics.median(ours):.1f} | {ratio:.2f} |")
    began = time.perf_counter()
    count = Intake(agentfs).take_in()
    print(f"\nTaking in {count} records: {1000 * (time.perf_counter() - began) / count:.2f} ms each")


def ask(agentfs: AgentFS, told: dict[str, object]) -> float:
    return timed([*OURS, str(agentfs.root)], json.dumps({**TOLD, **told}).encode())


def timed(command: list[str], told: bytes) -> float:
    """Seconds from start to end of a process that must end well."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BAILIWICK")}
    began = time.perf_counter()
    subprocess.run(command, input=told, stdout=subprocess.DEVNULL, check=True, env=environ)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
