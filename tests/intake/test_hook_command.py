"""``bailiwick hook CLIENT --write``: our hook beside what is there, whole or not at all; OpenCode's plugin at work."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hooking import ADA, recorded, spool_of, take_in

from core.agentfs.agentfs import AgentFS
from core.serving.clients.entries import Client, Scope
from core.serving.clients.hooks import hook_snippet, hooks_file, with_hook
from core.serving.clients.placing import put
from tui.commands.run import run

FOREIGN: dict[str, Any] = {
    "model": "opus",
    "permissions": {"deny": ["Bash(rm *)"], "größe": 1.5},
    "hooks": {
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./check.sh"}]}],
        "Notification": [{"hooks": [{"type": "command", "command": "say bailiwick hook claude-code"}]}],
    },
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "OPENCODE_CONFIG_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def users_file(client: str, home: Path) -> Path:
    return hooks_file(Client(client), Scope.USER, home / "p", home)


def written(capsys: pytest.CaptureFixture[str], root: Path, *arguments: str) -> dict[str, Any]:
    assert run(["hook", *arguments, "--write", "--json", "--workspace", str(root)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def commands(settings: dict[str, Any], event: str) -> list[str]:
    return [handler["command"] for group in settings["hooks"][event] for handler in group["hooks"]]


@pytest.mark.parametrize("client", ["claude-code", "codex"])
def test_foreign_settings_stay_and_writing_again_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], client: str
) -> None:
    path = users_file(client, home)
    path.parent.mkdir()
    former = json.dumps(FOREIGN, indent=4, ensure_ascii=False)
    path.write_text(former)
    path.chmod(0o640)
    answer = written(capsys, home / "w s", client)
    assert (answer["client"], answer["path"], answer["written"]) == (client, str(path), True)
    assert Path(answer["backup"]).read_text() == former
    settings = json.loads(path.read_text())
    assert {**settings, "hooks": FOREIGN["hooks"]} == FOREIGN
    assert settings["hooks"]["Notification"] == FOREIGN["hooks"]["Notification"]
    assert commands(settings, "PreToolUse")[0] == "./check.sh"
    told = {each["hook_event_name"] for each in recorded(client) if "hook_event_name" in each} - {"Notification"}
    for event in told:
        words = shlex.split(commands(settings, event)[-1])
        assert words[-4:] == ["hook", client, "--workspace", str(home / "w s")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_text().startswith('{\n    "model"')
    again = path.read_bytes()
    assert written(capsys, home / "w s", client) == {**answer, "backup": None, "written": False}
    assert path.read_bytes() == again
    assert written(capsys, home / "elsewhere", client)["written"]
    assert len(commands(json.loads(path.read_text()), "PreToolUse")) == 2
    assert (home / "w s" / "agentfs.db").exists()


def test_what_stands_there_calls_us(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(capsys, home / "w", "codex")
    (command,) = commands(json.loads((home / ".codex" / "hooks.json").read_text()), "PostToolUse")
    told = json.dumps(next(each for each in recorded("codex") if each.get("hook_event_name") == "PostToolUse"))
    done = subprocess.run(["/bin/sh", "-c", command], input=told, text=True, capture_output=True, check=False, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [each["tool"] for each in spool_of(home / "w")] == ["Bash"]


def test_a_link_stays_a_link(home: Path) -> None:
    target = home / "dotfiles" / "settings.json"
    target.parent.mkdir()
    target.write_text("{}")
    link = users_file("claude-code", home)
    link.parent.mkdir()
    link.symlink_to(target)
    command = ["bailiwick", "hook", "claude-code"]
    assert put(link, lambda former: with_hook(Client.CLAUDE_CODE, command, former)).changed
    assert link.is_symlink()
    assert "hooks" in json.loads(target.read_text())


@pytest.mark.parametrize(
    "held", ["{", "[]", '{"hooks": []}', '{"hooks": {"Stop": {}}}', '{"hooks": {"Stop": []}} x', "hooks:"],
)  # fmt: skip
def test_settings_that_are_not_understood_stay_as_they_are(
    home: Path, capsys: pytest.CaptureFixture[str], held: str
) -> None:
    path = users_file("claude-code", home)
    path.parent.mkdir()
    path.write_text(held)
    assert run(["hook", "claude-code", "--write", "--workspace", str(home / "w")]) == 2
    error = capsys.readouterr().err
    assert "nothing was changed" in error
    assert "Traceback" not in error
    assert path.read_text() == held
    assert os.listdir(path.parent) == ["settings.json"]


def test_the_files_are_those_that_clients_read(tmp_path: Path) -> None:
    own = dict.fromkeys(("CLAUDE_CONFIG_DIR", "CODEX_HOME", "OPENCODE_CONFIG_DIR"), "/own")
    expected = {
        Client.CLAUDE_CODE: ("/h/.claude/settings.json", "/p/.claude/settings.local.json", "/own/settings.json"),
        Client.CODEX: ("/h/.codex/hooks.json", "/p/.codex/hooks.json", "/own/hooks.json"),
        Client.OPENCODE: (
            "/h/.config/opencode/plugins/bailiwick.js",
            "/p/.opencode/plugins/bailiwick.js",
            "/own/plugins/bailiwick.js",
        ),
    }
    for client, paths in expected.items():
        cases = ((Scope.USER, {}), (Scope.PROJECT, own), (Scope.USER, own))
        found = [hooks_file(client, scope, Path("/p"), Path("/h"), environ) for scope, environ in cases]
        assert found == [Path(each) for each in paths]


def test_comments_and_the_order_of_things_stay(home: Path) -> None:
    text = '// mine\n{\n  "model": "opus", // the large one\n  "hooks": {},\n}\n'
    changed = with_hook(Client.CLAUDE_CODE, ["bailiwick", "hook", "claude-code"], text)
    assert changed.startswith('// mine\n{\n  "model": "opus", // the large one\n  "hooks": {\n')
    assert with_hook(Client.CLAUDE_CODE, ["bailiwick", "hook", "claude-code"], changed) == changed


def test_without_write_it_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hook", "codex", "--json", "--workspace", str(home / "w")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["path"] == str(home / ".codex" / "hooks.json")
    assert sorted(json.loads(answer["snippet"])["hooks"]) == sorted(
        ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd"]
    )
    assert not (home / ".codex").exists()
    assert not (home / "w").exists()


SESSION = """
import { BailiwickPlugin } from "./bailiwick.mjs"
const plugin = await BailiwickPlugin({ directory: "/home/mara/harbour/src", worktree: "/home/mara/harbour" })
const sessionID = "ses_1"
await plugin.event({ event: { type: "session.created", properties: { info: { id: sessionID } } } })
await plugin["tool.execute.before"]({ tool: "bash", sessionID, callID: "call_1" }, { args: { command: "make" } })
const first = { title: "make", output: "done", metadata: { exit: 0 } }
await plugin["tool.execute.after"]({ tool: "bash", sessionID, callID: "call_1" }, first)
const message = { message: { id: "msg_1" }, parts: [{ id: "prt_0", type: "text", text: "hello" }] }
await plugin["chat.message"]({ sessionID }, message)
await plugin.event({ event: { type: "session.idle", properties: { sessionID } } })
await plugin.dispose()
console.log(JSON.stringify({ output: first.output, parts: message.parts }))
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_plugin_tells_and_hands_over(agentfs: AgentFS, tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "tui", "hook", "opencode", "--workspace", str(agentfs.root)]
    (tmp_path / "bailiwick.mjs").write_text(hook_snippet(Client.OPENCODE, command))
    (tmp_path / "session.mjs").write_text(SESSION)
    agentfs.agents.register("opencode.harbour", "coding", owner="ada", by=ADA)
    with agentfs.database.transaction() as connection:
        digest = "c0ffee"
        agent_id = agentfs.agents.get("opencode.harbour").id
        agentfs.activity.speak_for(connection, "opencode", digest, agent_id)
    agentfs.messages.send("person", "opencode.harbour", "look at the lamp", by=ADA)
    done = subprocess.run(
        ["node", "session.mjs"],
        cwd=tmp_path,
        env={**os.environ, "BAILIWICK_AGENT": "opencode.harbour"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard = json.loads(done.stdout)
    assert heard["output"].startswith("done\n\n1 new message for opencode.harbour")
    assert heard["output"].endswith("> look at the lamp")
    assert len(heard["parts"]) == 1
    take_in(agentfs)
    (call,) = agentfs.sessions.calls(agent="opencode.harbour")
    assert (call.tool, call.error, call.client) == ("bash", "", "opencode")
    (session,) = agentfs.sessions.all("opencode.harbour")
    assert session.ended_at is not None
