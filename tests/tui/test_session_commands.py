"""Sessions, snapshots, backups and the audit trail from the shell."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from commanding import Shell, shell_on

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.audit import GENESIS, chained
from core.agentfs.database import now, to_json
from core.crypto.recovery_code import new_recovery_code

SECRET = "ghp_" + "q8Zr2LxV7mKc4TbN1yWd9sHf3GjP6aEu0oYi"


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace where scout has worked in a session, with a snapshot before its last change."""
    made = shell_on(tmp_path / "workspace", capfd, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    made.told("state", "put", "scout", "x", '"old"')
    made.told("sessions", "snapshot", "before")
    made.told("state", "put", "scout", "x", '"new"')
    return made


# Sessions and snapshots


def test_sessions_are_begun_listed_and_ended(shell: Shell) -> None:
    begun = shell.json("sessions", "start", "scout", "--title", "the morning")
    assert (begun["agent"], begun["title"], begun["ended_at"]) == ("scout", "the morning", None)
    (listed,) = shell.json("sessions", "list", "scout")["sessions"]
    assert listed["id"] == begun["id"]
    assert "open" in shell.told("sessions", "list")[1]
    assert "is over" in shell.told("sessions", "end", begun["id"])[0]
    assert shell.json("sessions", "list")["sessions"][0]["ended_at"]
    record = shell.json("audit", "log", "-n", "1", "--action", "session.end")["records"][0]
    assert record["actor_kind"] == "agent"


def test_a_snapshot_is_compared_and_restored_and_the_restore_taken_back(shell: Shell) -> None:
    (change,) = shell.json("sessions", "compare", "before")["changes"]
    assert (change["key"], change["before"], change["after"]) == ("x", "old", "new")
    assert shell.told("sessions", "compare", "before") == ["changed  scout  x  (version 1 → 2)"]
    looked = shell.json("sessions", "restore", "before", "--dry-run", "--yes")
    assert (len(looked["changes"]), looked["dry_run"], looked["undo"]) == (1, True, None)
    assert shell.json("state", "get", "scout", "x")["value"] == "new"
    assert shell.told("sessions", "restore", "before", "--dry-run")[-1] == "1 state would change."
    restored = shell.json("sessions", "restore", "before", "--agent", "scout", "--yes")
    assert restored["dry_run"] is False
    assert shell.json("state", "get", "scout", "x")["value"] == "old"
    assert shell.json("sessions", "compare", "before")["changes"] == []
    names = [each["name"] for each in shell.json("sessions", "snapshots")["snapshots"]]
    assert names == ["before restoring before", "before"]
    last = shell.told("sessions", "restore", restored["undo"]["id"], "--yes")[-1]
    assert last.startswith("1 state restored; `bailiwick sessions restore ")
    assert shell.json("state", "get", "scout", "x")["value"] == "new"
    assert len(shell.json("sessions", "compare", "before", restored["undo"]["id"])["changes"]) == 1
    assert len(shell.told("sessions", "snapshots")) == 4


def test_only_what_a_session_wrote_is_restored(shell: Shell) -> None:
    session = shell.told("sessions", "start", "scout")[0]
    shell.told("state", "put", "scout", "y", "1", "--session", session)
    changes = shell.json("sessions", "restore", "before", "--session", session, "--yes")["changes"]
    assert [each["key"] for each in changes] == ["y"]
    assert shell.json("state", "get", "scout", "x")["value"] == "new"


def test_a_restore_asks_at_a_terminal_and_refuses_without_one(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = shell.refused("sessions", "restore", "before")
    assert "--yes" in refused["hint"]
    assert "--dry-run" in refused["hint"]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[str] = []

    def answer(question: str, *, err: bool) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr("click.confirm", answer)
    code, out, err = shell("sessions", "restore", "before")
    assert (code, out) == (2, "")
    assert "changed  scout  x" in err
    assert "Nothing was restored." in err
    assert shell.json("state", "get", "scout", "x")["value"] == "new"
    assert shell("sessions", "restore", "before")[0] == 0
    assert asked == ["Restore 1 state?"] * 2
    assert shell.json("state", "get", "scout", "x")["value"] == "old"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sessions", "list", "nobody"), "no agent nobody"),
        (("sessions", "start", "nobody"), "no agent nobody"),
        (("sessions", "end", "nothing"), "no session nothing"),
        (("sessions", "snapshot", "x" * 201), "at most 200"),
        (("sessions", "compare", "nothing"), "no snapshot nothing"),
        (("sessions", "compare", "before", "nothing"), "no snapshot nothing"),
        (("sessions", "compare", "before", "--agent", "nobody"), "no agent nobody"),
        (("sessions", "restore", "nothing", "--yes"), "no snapshot nothing"),
        (("sessions", "restore", "before", "--session", "nothing", "--yes"), "no session nothing"),
        (("sessions", "backup", "no/such/folder/b.tar.gz"), "cannot be written (No such file or directory)"),
        (("sessions", "backup", "."), "is a folder"),
        (("sessions", "restore-backup", "missing.tar.gz"), "exists already"),
        (("audit", "export", "no/such/folder/a.jsonl"), "cannot be written (No such file or directory)"),
        (("audit", "export", "."), "is a folder"),
        (("audit", "log", "-n", "many"), "many"),
    ],
)
def test_bad_input_is_one_sentence(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence in shell.refused(*arguments)["error"]


# Backups


def test_a_backup_becomes_a_workspace_again(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar.gz"
    written = shell.json("sessions", "backup", str(file))
    assert set(written) == {"id", "path", "size", "created_at", "members", "bytes", "missing", "encrypted"}
    assert (written["members"], written["missing"], written["size"]) == (2, [], file.stat().st_size)
    assert "exists already" in shell.refused("sessions", "backup", str(file))["error"]
    assert "2 files" in shell.told("sessions", "backup", str(file), "--force")[0]
    other = shell_on(tmp_path / "other", capfd, monkeypatch)
    assert other.json("sessions", "restore-backup", str(file))["workspace"] == str(other.root)
    assert other.json("state", "get", "scout", "x")["value"] == "new"
    assert other.json("audit", "verify")["integrity"] == "whole"
    assert other.json("sessions", "restore", "before", "--yes")["changes"]
    assert "exists already" in other.refused("sessions", "restore-backup", str(file))["error"]


def test_an_encrypted_backup_is_restored_on_an_empty_machine(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BAILIWICK_PASSPHRASE_FILE", raising=False)
    file, held, code_file = (tmp_path / name for name in ("backup.tar", "value.json", "code"))
    held.write_text(json.dumps([SECRET, "word " * 20_000]))
    shell.told("state", "put", "scout", "token", json.dumps(SECRET))
    shell.told("state", "put", "scout", "large", f"@{held}")
    assert list((shell.root / "files").rglob("*.age"))
    refused = shell.refused("sessions", "backup", str(file), "--encrypt")
    assert "No passphrase or recovery code" in refused["error"]
    assert "bailiwick keys add --recovery-code" in refused["hint"]
    code_file.touch(0o600)
    code_file.write_text(shell.json("keys", "add", "--recovery-code")["recovery_code"])
    written = shell.json("sessions", "backup", str(file), "--encrypt")
    assert (written["encrypted"], written["missing"]) == (True, [])
    before = content_hashes(shell.root)

    for name in ("HOME", "BAILIWICK_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    other = shell_on(tmp_path / "other" / "workspace", capfd, monkeypatch)
    refused = other.refused("sessions", "restore-backup", str(file))
    assert "is encrypted" in refused["error"]
    assert "--recovery-code-file" in refused["hint"]
    (tmp_path / "wrong").touch(0o600)
    (tmp_path / "wrong").write_text(new_recovery_code().text())
    wrong = ("--recovery-code-file", str(tmp_path / "wrong"))
    assert "opens no key slot" in other.refused("sessions", "restore-backup", str(file), *wrong)["error"]
    assert not list((tmp_path / "other").iterdir())

    told = other("sessions", "restore-backup", str(file), "--recovery-code-file", str(code_file))
    assert told[0] == 0
    assert "keys unlock --remember" in told[2]
    assert content_hashes(other.root) == before
    assert other.json("state", "get", "scout", "x")["value"] == "new"
    assert "locked" in other.refused("state", "get", "scout", "token")["error"]
    other.told("keys", "unlock", "--remember", "--recovery-code-file", str(code_file))
    assert other.json("state", "get", "scout", "token")["value"] == SECRET
    assert other.json("state", "get", "scout", "large")["value"] == json.loads(held.read_text())
    assert other.json("audit", "verify")["integrity"] == "whole"


def test_a_backup_is_encrypted_only_where_the_keys_open(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_HOME", str(tmp_path / "home"))
    file = tmp_path / "backup.tar"
    refused = shell.refused("sessions", "backup", str(file), "--encrypt")
    assert "keys add --recovery-code" in refused["hint"]
    code = shell.json("keys", "add", "--recovery-code")["recovery_code"]
    monkeypatch.setenv("BAILIWICK_HOME", str(tmp_path / "empty"))
    refused = shell.refused("sessions", "backup", str(file), "--encrypt")
    assert "keys unlock" in refused["hint"]
    assert not file.exists()
    (tmp_path / "code").touch(0o600)
    (tmp_path / "code").write_text(code)
    shell.told("sessions", "backup", str(file), "--encrypt", "--recovery-code-file", str(tmp_path / "code"))
    assert file.exists()


def content_hashes(root: Path) -> list[tuple[str, str]]:
    """Every item's path and the hash of its content, which is there."""
    with closing(AgentFS(root)) as agentfs:
        assert agentfs.contents.damaged() == []
        rows = agentfs.database.connection().execute("SELECT path, sha256 FROM items WHERE deleted = 0 ORDER BY path")
        return [(row["path"], row["sha256"]) for row in rows]


def test_the_next_engine_derives_the_index_of_a_restored_workspace(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAILIWICK_MODEL_ALLOW_DOWNLOAD", "false")
    (tmp_path / "kettle.md").write_text("# Kettle\n\nThe kettle boils water in two minutes.\n")
    shell.told("add", str(tmp_path / "kettle.md"))
    shell.told("sessions", "backup", str(tmp_path / "backup.tar.gz"))
    other = shell_on(tmp_path / "other", capfd, monkeypatch)
    other.told("sessions", "restore-backup", str(tmp_path / "backup.tar.gz"))
    assert not list(other.root.glob("documents.duckdb*"))
    assert other.json("search", "kettle", "--mode", "text")["hits"][0]["title"] == "Kettle"


# The audit trail


def test_the_log_tells_who_did_what(shell: Shell) -> None:
    records = shell.json("audit", "log")["records"]
    assert [each["position"] for each in records] == list(range(1, len(records) + 1))
    assert set(records[0]) >= {
        "position",
        "at",
        "actor_kind",
        "actor",
        "verified",
        "action",
        "subject",
        "details",
        "hash",
    }
    puts = shell.json("audit", "log", "--actor", "scout", "--action", "state")["records"]
    assert [each["action"] for each in puts] == ["state.put", "state.put"]
    assert len(shell.json("audit", "log", "--actor", "person")["records"]) == 2
    assert len(shell.json("audit", "log", "--subject", puts[0]["subject"], "-n", "1")["records"]) == 1
    assert shell.json("audit", "log", "--actor", "nobody")["records"] == []
    assert shell.told("audit", "log", "--action", "nothing") == ["There are no such records."]
    (line,) = shell.told("audit", "log", "--action", "state.put", "-n", "1")
    assert "agent scout  state.put" in line
    assert "agent=scout  version=2" in line


def test_a_whole_trail_is_said_to_be_whole(shell: Shell) -> None:
    verdict = shell.json("audit", "verify")
    assert set(verdict) == {"integrity", "completeness", "records", "problems"}
    assert (verdict["integrity"], verdict["completeness"], verdict["problems"]) == ("whole", "whole", [])
    assert shell.told("audit", "verify") == [
        "integrity: whole",
        "completeness: whole",
        f"{verdict['records']} records were read.",
    ]


TAMPERING = {
    "changed": ("UPDATE audit SET actor = 'mallory' WHERE position = 2", "integrity", 2),
    "moved": ("UPDATE audit SET position = 2000 WHERE position = 2", "completeness", 2),
    "deleted": ("DELETE FROM audit WHERE position = 2", "completeness", 2),
    "cut off": ("DELETE FROM audit WHERE position > 3", "completeness", 4),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_is_found_and_the_first_bad_record_named(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    statement, side, position = TAMPERING[how]
    copy = shell_on(tmp_path / "copy", capfd, monkeypatch)
    shutil.copytree(shell.root, copy.root)
    with closing(sqlite3.connect(copy.root / "agentfs.db")) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)
        connection.commit()
    code, out, err = copy("audit", "verify", "--json")
    verdict = json.loads(out)
    assert (code, err) == (1, "")
    assert verdict[side] == "broken"
    problem = next(each for each in verdict["problems"] if each["verdict"] == side)
    assert problem["position"] == position
    assert re.search(rf"\bRecords? {position}\b", problem["sentence"])
    code, out, err = copy("audit", "verify")
    assert (code, err) == (1, "")
    assert f"{side}: broken\n  {problem['sentence']}\n" in out
    assert shell("audit", "verify")[0] == 0


def test_the_export_holds_archived_records_and_can_be_checked_by_others(shell: Shell, tmp_path: Path) -> None:
    with closing(AgentFS(shell.root)) as agentfs:
        archived = agentfs.audit_check.archive.archive(now(), by=Actor(ActorKind.PERSON, "ada", "cli"))
    assert archived > 2
    count = len(shell.json("audit", "log")["records"])
    assert "archived in logs/" in shell("audit", "log")[2]
    file = tmp_path / "trail.jsonl"
    assert shell.json("audit", "export", str(file)) == {"path": str(file), "records": archived + count}
    previous = GENESIS
    for position, line in enumerate(file.read_text().splitlines(), start=1):
        record = json.loads(line)
        digest = record.pop("hash")
        assert record.pop("position") == position
        names = ("device", "at", "actor_kind", "actor", "verified", "door", "session_id", "action", "subject")
        fields = tuple(record[name] for name in (*names, "details", "journal"))
        assert chained(previous, position, fields) == digest
        assert to_json(json.loads(record["details"])) == record["details"]
        previous = digest
    assert "exists already" in shell.refused("audit", "export", str(file))["error"]
    assert "records are in" in shell.told("audit", "export", str(file), "--force")[0]
    segment = next((shell.root / "logs").glob("audit-*.jsonl.gz"))
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    before = file.read_bytes()
    assert "were changed" in shell.refused("audit", "export", str(file), "--force")["error"]
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
