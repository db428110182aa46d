"""The SDK of AgentFS, in a process of its own: it reads what we export and writes what we import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.audit_check import AuditCheck
from core.ids import sha256_hex
from core.interchange.exporting import export_agent
from core.interchange.importing import import_agent
from tests.agentfs.acting import join
from tests.interchange.foreign import ADA, values

PROGRAM = """
import asyncio, json, sys
from agentfs_sdk import AgentFS, AgentFSOptions

async def main(path):
    agent = await AgentFS.open(AgentFSOptions(path=path))
    calls = await agent.tools.get_recent(0)
    told = {
        "keys": {each["key"]: each["value"] for each in await agent.kv.list("")},
        "plan": await agent.kv.get("plan/today"),
        "root": await agent.fs.readdir("/"),
        "notes": await agent.fs.readdir("/notes"),
        "text": await agent.fs.read_file("/notes/long.md"),
        "bytes": list(await agent.fs.read_file("/bin/run", encoding=None)),
        "mode": (await agent.fs.stat("/bin/run")).mode,
        "size": (await agent.fs.stat("/notes/long.md")).size,
        "calls": [[each.name, each.status, each.error, each.duration_ms] for each in calls],
        "stats": [[each.name, each.successful, each.failed] for each in await agent.tools.get_stats()],
    }
    await agent.kv.set("plan/today", {"steps": ["read", "write"]})
    await agent.kv.set("from the sdk", {"it": "works", "é": [1, 2.5, None]})
    await agent.fs.write_file("/notes/new/sdk.txt", "written by the SDK\\n" * 500)
    await agent.fs.write_file("/notes/empty", b"")
    await agent.tools.record("search", 1700000000, 1700000002, {"q": "kettle"}, {"hits": 3})
    await agent.tools.start("still running", {"a": 1})
    await agent.close()
    print(json.dumps(told))

asyncio.run(main(sys.argv[1]))
"""
LONG = "a line of notes, é\n" * 1000


def run_sdk(path: Path) -> dict[str, object]:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, object] = json.loads(ended.stdout)
    return told


def test_the_sdk_reads_our_export_and_we_read_what_it_wrote(agentfs: AgentFS, other: AgentFS, tmp_path: Path) -> None:
    scout = join(agentfs, "scout")
    agentfs.states.put("scout", "plan/today", {"steps": ["read"]}, by=scout)
    agentfs.states.put("scout", "findings/ü", "found", by=scout)
    agentfs.states.put("scout", "files/notes/long.md", {"text": LONG, "mode": "644"}, by=scout)
    agentfs.states.put("scout", "files/bin/run", {"base64": "/wAB", "mode": "755"}, by=scout)
    ended = agentfs.sessions.begin_call("scout", "read_file", by=scout, parameters_sha256=sha256_hex(b"x"))
    agentfs.sessions.finish_call(ended, by=scout)
    failed = agentfs.sessions.begin_call("scout", "shell", by=scout)
    agentfs.sessions.finish_call(failed, by=scout, error="exit 1")
    agentfs.sessions.begin_call("scout", "fetch", by=scout)
    file = tmp_path / "scout.db"
    export_agent(agentfs, "scout", file, by=ADA)

    told = run_sdk(file)
    assert told["keys"] == {"plan/today": {"steps": ["read"]}, "findings/ü": "found"}
    assert told["plan"] == {"steps": ["read"]}
    assert (told["root"], told["notes"]) == (["bin", "notes"], ["long.md"])
    assert (told["text"], told["size"]) == (LONG, len(LONG.encode()))
    assert (told["bytes"], told["mode"]) == ([255, 0, 1], 0o100755)
    calls = {name: tuple(rest) for name, *rest in told["calls"]}  # type: ignore[misc, has-type]
    assert calls["read_file"][:2] == ("success", None)
    assert calls["shell"][:2] == ("error", "exit 1")
    assert calls["fetch"] == ("pending", None, None)
    assert sorted(told["stats"]) == [["read_file", 1, 0], ["shell", 0, 1]]  # type: ignore[call-overload]

    back = import_agent(agentfs, file, "scout", by=ADA)
    assert (back.states, back.changed, back.unchanged, back.calls, back.skipped) == (3, 1, 3, 2, ())
    elsewhere = import_agent(other, file, "scout", by=ADA)
    assert (elsewhere.created, elsewhere.states, elsewhere.calls) == (True, 7, 5)
    for workspace in (agentfs, other):
        held = values(workspace, "scout")
        assert held["plan/today"] == {"steps": ["read", "write"]}
        assert held["from the sdk"] == {"it": "works", "é": [1, 2.5, None]}
        assert held["files/notes/new/sdk.txt"] == {"text": "written by the SDK\n" * 500, "mode": "644"}
        assert held["files/notes/empty"] == {"text": "", "mode": "644"}
        assert held["files/bin/run"] == {"base64": "/wAB", "mode": "755"}
        search = next(call for call in workspace.sessions.calls(agent="scout") if call.tool == "search")
        assert (search.duration_ms, search.error, search.started_at.timestamp()) == (2000, "", 1700000000)
        assert search.parameters_sha256 == sha256_hex(b'{"q":"kettle"}')
        assert search.result_sha256 == sha256_hex(b'{"hits":3}')
        assert AuditCheck(workspace.database, workspace.audit, workspace.root).verify().whole
    assert agentfs.states.value_at("scout", "plan/today", 1, by=ADA) == {"steps": ["read"]}
    # What was noted beside the calls is finer than AgentFS's seconds.
    ours, theirs = ({call.id: call for call in each.sessions.calls(agent="scout")} for each in (agentfs, other))
    for call_id, call in theirs.items():
        same = ours[call_id]
        assert (call.started_at, call.duration_ms) == (same.started_at, same.duration_ms)
        assert (call.parameters_sha256, call.error) == (same.parameters_sha256, same.error)
