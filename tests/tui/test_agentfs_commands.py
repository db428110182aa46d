"""``bailiwick agentfs`` from the shell."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from commanding import Shell, shell_on

SECRET = "ghp_" + "q8Zr2LxV7mKc4TbN1yWd9sHf3GjP6aEu0oYi"


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace where scout holds a plan, a file and a token."""
    made = shell_on(tmp_path / "workspace", capfd, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    made.told("state", "put", "scout", "plan", '{"steps": ["read"]}')
    made.told("state", "put", "scout", "files/notes.md", '{"text": "# Notes", "mode": "644"}')
    made.told("state", "put", "scout", "token", f'"{SECRET}"')
    return made


def test_an_agent_goes_to_another_workspace(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "scout.db"
    line, left_out = shell.told("agentfs", "export", "scout", str(file))
    assert f"{file} holds 1 key, 1 file and 0 tool calls of scout" in line
    assert left_out == "1 sensitive value left out; --with-sensitive writes them in plain text."
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists already" in shell.refused("agentfs", "export", "scout", str(file))["error"]
    done = shell.json("agentfs", "export", "scout", str(file), "--force", "--with-sensitive")
    assert (done["states"], done["files"], done["left_out"], done["sensitive"]) == (2, 1, 0, ["token"])
    told = shell.told("agentfs", "export", "scout", str(file), "--force", "--with-sensitive")
    assert told[1:] == ["In plain text in it, for whoever gets the file, though sensitive here:", "  token"]

    other = shell_on(tmp_path / "other", capfd, monkeypatch)
    refused = other.refused("agentfs", "import", "scout", str(file), "--dry-run")
    assert "no workspace" in refused["error"]
    first, sealed = other.told("agentfs", "import", "scout", str(file))
    assert first == "scout (made now) has 3 new states and 0 changed ones, 0 as before, and 0 new tool calls."
    assert sealed == "1 state sealed: a secret or a private pattern."
    assert other.json("state", "get", "scout", "token")["value"] == SECRET
    assert other.json("agents", "show", "scout")["type"] == "research"
    again = other.json("agentfs", "import", "scout", str(file), "--dry-run")
    assert (again["states"], again["changed"], again["unchanged"], again["dry_run"]) == (0, 0, 3, True)
    assert other.json("audit", "verify")["completeness"] == "whole"


def test_what_cannot_come_in_is_listed_and_bad_files_are_one_sentence(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "foreign.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        rows = [(f"bad {number}", "NaN") for number in range(30)]
        connection.executemany("INSERT INTO kv_store VALUES (?, ?)", [*rows, ("good", "1"), ("esc \x1b[2J", "1")])
        connection.commit()
    assert "--type" in shell.refused("agentfs", "import", "new", str(file))["hint"]
    told = shell.told("agentfs", "import", "new", str(file), "--type", "poc")
    assert told[0].startswith("new (made now) has 1 new state ")
    assert told[2] == "  key bad 0: its value is not JSON of at most 128 levels"
    assert told[-1] == "  and 11 more; --json names all."
    assert len(shell.json("agentfs", "import", "new", str(file))["skipped"]) == 31
    file.write_bytes(b"x" * 5000)
    assert "is no AgentFS file" in shell.refused("agentfs", "import", "new", str(file))["error"]
    assert "There is no file" in shell.refused("agentfs", "import", "new", str(tmp_path / "none.db"))["error"]


def test_an_agent_exports_itself_alone(shell: Shell, tmp_path: Path) -> None:
    shell.told("agents", "register", "critic", "--type", "poc")
    refused = shell.refused("agentfs", "export", "scout", str(tmp_path / "a.db"), "--as", "critic")
    assert refused["rule"] == "owner"
    assert not (tmp_path / "a.db").exists()
    assert shell.json("agentfs", "export", "scout", str(tmp_path / "a.db"), "--as", "scout")["states"] == 1
    (record,) = shell.json("audit", "log", "--action", "agent.export")["records"]
    assert (record["actor_kind"], record["details"]["left_out"]) == ("agent", 1)
