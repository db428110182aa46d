"""Our entry in the files of clients: whatever else stands there stays, and what is not understood is left alone."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.serving.clients import jsonc, toml_tables
from tui.commands.run import run

OPENCODE = """{
  // The model that everybody here uses.
  "$schema": "https://opencode.ai/config.json",
  "model": "some/model", /* not the large one */
  "mcp": {
    "other": { "type": "local", "command": ["other"] }, // keep me
    // "retired": {},
  },
  "autoupdate": true, // and this
}
"""
CODEX = '''# My settings
model = "o9"

[mcp_servers.other]
command = "other" # keep me
args = [
  "[mcp_servers.bailiwick]",
]

[mcp_servers.bailiwick]
command = "old"
args = ["mcp"]
# about the projects
[projects."/home/ada/kettle"]
trust_level = "trusted"
notes = """
[mcp_servers.bailiwick]
"""

[mcp_servers.bailiwick.tools.lease]
approval_mode = "prompt"
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder that we are in, and a home folder beside it."""
    for name in ("BAILIWICK_HOME", "CODEX_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(captured: pytest.CaptureFixture[str], client: str, *arguments: str) -> dict[str, Any]:
    """Run the command with ``--write``, which must succeed, and answer its JSON."""
    assert run(["mcp", "config", client, "--write", "--json", *arguments]) == 0
    document: dict[str, Any] = json.loads(captured.readouterr().out)
    return document


def test_each_client_gets_an_entry_of_its_own_form(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [Path(write(capsys, client, "--agent", "scout")["path"]) for client in ("claude-code", "opencode", "codex")]
    assert [each.relative_to(project) for each in paths] == [
        Path(".mcp.json"), Path("opencode.json"), Path(".codex/config.toml"),
    ]  # fmt: skip
    claude, opencode = (json.loads(each.read_text()) for each in paths[:2])
    codex = tomllib.loads(paths[2].read_text())
    command = opencode["mcp"]["bailiwick"]["command"]
    assert Path(command[0]).name == "bailiwick"
    assert command[1:] == ["mcp", "--agent", "scout"]
    assert claude["mcpServers"]["bailiwick"] == {"type": "stdio", "command": command[0], "args": command[1:]}
    assert opencode["mcp"]["bailiwick"] == {"type": "local", "command": command, "enabled": True, "timeout": 15000}
    entry = codex["mcp_servers"]["bailiwick"]
    assert entry == {"command": command[0], "args": command[1:], "startup_timeout_sec": 15}
    assert not list(project.rglob("*.backup"))


def test_over_http_no_secret_gets_into_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for client in ("claude-code", "opencode", "codex"):
        write(capsys, client, "--http", "--port", "9000")
    claude = json.loads((project / ".mcp.json").read_text())["mcpServers"]["bailiwick"]
    assert (claude["type"], claude["url"]) == ("http", "http://127.0.0.1:9000/mcp")
    assert claude["headers"] == {"Authorization": "Bearer ${BAILIWICK_MCP_TOKEN}"}
    opencode = json.loads((project / "opencode.json").read_text())["mcp"]["bailiwick"]
    assert opencode["headers"] == {"Authorization": "Bearer {env:BAILIWICK_MCP_TOKEN}"}
    codex = tomllib.loads((project / ".codex/config.toml").read_text())["mcp_servers"]["bailiwick"]
    assert codex == {"url": "http://127.0.0.1:9000/mcp", "bearer_token_env_var": "BAILIWICK_MCP_TOKEN"}


def test_comments_and_everything_else_stay(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / "opencode.jsonc"
    file.write_text(OPENCODE)
    file.chmod(0o640)
    told = write(capsys, "opencode", "--workspace", str(project / "w"))
    text = file.read_text()
    entry = json.dumps(json.loads(told["snippet"])["mcp"]["bailiwick"], indent=2).replace("\n", "\n    ")
    kept = '"other": { "type": "local", "command": ["other"] }, // keep me'
    assert text == OPENCODE.replace(kept, f'{kept}\n    "bailiwick": {entry},')
    assert Path(told["backup"]).read_text() == OPENCODE
    assert [stat.S_IMODE(each.stat().st_mode) for each in (file, Path(told["backup"]))] == [0o640, 0o640]
    again = write(capsys, "opencode", "--workspace", str(project / "w"))
    assert (again["written"], again["backup"], file.read_text()) == (False, None, text)
    write(capsys, "opencode", "--agent", "scout")
    assert file.read_text().count('bailiwick": {') == 1
    assert "// and this" in file.read_text()


def test_only_our_table_is_replaced(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = project / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(CODEX)
    told = write(capsys, "codex")
    old = '[mcp_servers.bailiwick]\ncommand = "old"\nargs = ["mcp"]'
    assert file.read_text() == CODEX.replace(old, told["snippet"].rstrip())
    assert Path(told["backup"]).read_text() == CODEX


def test_a_file_in_the_home_folder_is_changed_where_its_link_leads(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Path(os.environ["HOME"])
    (home / "dotfiles").mkdir(parents=True)
    (home / "dotfiles" / "claude.json").write_text('{"numStartups": 7, "projects": {}}')
    (home / ".claude.json").symlink_to("dotfiles/claude.json")
    write(capsys, "claude-code", "--scope", "user")
    assert (home / ".claude.json").is_symlink()
    document = json.loads((home / "dotfiles" / "claude.json").read_text())
    assert (document["numStartups"], document["projects"]) == (7, {})
    assert list(document["mcpServers"]) == ["bailiwick"]


@pytest.mark.parametrize(
    ("client", "name", "text", "why"),
    [
        ("claude-code", ".mcp.json", '{"mcpServers": {', "line 1: no text in quotes is here"),
        ("claude-code", ".mcp.json", '{"mcpServers": []}', "mcpServers is not an object"),
        ("claude-code", ".mcp.json", "[]", "the whole is not an object"),
        ("opencode", "opencode.json", '{\n"a": 1\n"b": 2}', "line 3: ',' is missing"),
        ("opencode", "opencode.json", "{" + '"a":{' * 500, "nested too deeply"),
        ("codex", ".codex/config.toml", "a = \n", "Invalid value"),
        ("codex", ".codex/config.toml", 'mcp_servers = { bailiwick = { command = "x" } }\n', "Cannot"),
        ("codex", ".codex/config.toml", '[mcp_servers]\nbailiwick.command = "x"\n', "Cannot"),
    ],
)
def test_what_is_not_understood_is_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str], client: str, name: str, text: str, why: str
) -> None:
    file = project / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    assert run(["mcp", "config", client, "--write"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "is not understood" in err
    assert why in err
    assert len(err.splitlines()) == 1
    assert file.read_text() == text
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_without_write_it_is_only_printed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mcp", "config", "codex"]) == 0
    out, err = capsys.readouterr()
    assert list(tomllib.loads(out)["mcp_servers"]) == ["bailiwick"]
    assert "--write puts it there" in err
    assert list(project.iterdir()) == []
    assert run(["mcp", "config", "codex", "--http", "--agent", "scout"]) == 2
    assert run(["mcp", "config", "emacs"]) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "m": {\n    "k": 1\n  }\n}\n'),
        ("{}", '{\n  "m": {\n    "k": 1\n  }\n}'),
        ('{"a": 1}', '{"a": 1, "m": {"k": 1}}'),
        ('{\n\t"a": 1 // one\n}\n', '{\n\t"a": 1, // one\n\t"m": {\n\t  "k": 1\n\t}\n}\n'),
        ('{\r\n  "m": {\r\n  }\r\n}', '{\r\n  "m": {\r\n    "k": 1\r\n  }\r\n}'),
        ('{"m": {"k": {"old": [1, {}]}, "k": 0}}', '{"m": {"k": {"old": [1, {}]}, "k": 1}}'),
        ('{ // open\n  // "m": 1\n}', '{ // open\n  // "m": 1\n  "m": {\n    "k": 1\n  }\n}'),
        (
            '{\n  "a": "}//", "b": [/* x */],\n  /* end */ }',
            '{\n  "a": "}//", "b": [/* x */],\n  "m": {\n    "k": 1\n  },\n  /* end */ }',
        ),
    ],
)
def test_a_member_is_set_where_a_person_would_write_it(before: str, after: str) -> None:
    assert jsonc.with_member(before, ("m", "k"), 1) == after


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abm"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(document=st.dictionaries(st.sampled_from("abm"), JSON, max_size=3), indent=st.sampled_from([None, 2, "\t"]))
def test_setting_a_member_changes_nothing_else(document: dict[str, Any], indent: int | str | None) -> None:
    text = json.dumps(document, indent=indent).replace(",", ", /* , */ //\n" if indent else ", /*}*/ ")
    if not isinstance(document.get("m", {}), dict):
        with pytest.raises(jsonc.NotJSON):
            jsonc.with_member(text, ("m", "k"), [1])
        return
    changed = jsonc.with_member(text, ("m", "k"), [1])
    assert jsonc.parse(changed) == {**document, "m": {**document.get("m", {}), "k": [1]}}
    assert changed.count("/*") == text.count("/*")


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet='{}[]":,/*\\\n 1ae.-', max_size=40))
def test_no_text_breaks_the_readers(text: str) -> None:
    for change, refusal in ((jsonc.with_member, jsonc.NotJSON), (toml_tables.with_table, toml_tables.NotTOML)):
        value: Any = {"x": 1}
        with suppress(refusal):
            assert "x" in change(text, ("m", "k"), value)
