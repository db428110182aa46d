"""What an export holds, who may make one, and what stays here."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, AuditFilters
from core.agentfs.agentfs import AgentFS
from core.errors import AccessDenied, InvalidInput, Locked, NotFound
from core.ids import sha256_hex
from core.interchange.exporting import export_agent
from tests.agentfs.acting import join
from tests.agentfs.canaries import files_with, new_canary
from tests.interchange.foreign import ADA, make, written


@pytest.fixture
def scout(agentfs: AgentFS) -> Actor:
    return join(agentfs, "scout")


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def test_an_export_has_the_tables_of_the_format(agentfs: AgentFS, scout: Actor, tmp_path: Path) -> None:
    agentfs.states.put("scout", "plan", {"b": 1, "a": [1.0, "ü"]}, by=scout)
    agentfs.states.put("scout", "files/a/b.txt", {"text": "x" * 5000, "mode": "600"}, by=scout)
    agentfs.states.put("scout", "files/link", {"link": "../a"}, by=scout)
    file = tmp_path / "out.db"
    done = export_agent(agentfs, "scout", file, by=ADA)
    assert (done.states, done.files, done.calls, done.left_out, done.sensitive) == (1, 2, 0, 0, ())
    assert (done.size, done.sha256) == (file.stat().st_size, sha256_hex(file.read_bytes()))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert rows(file, "PRAGMA integrity_check") == [("ok",)]
    assert rows(file, "PRAGMA auto_vacuum") == [(0,)]
    assert rows(file, "SELECT count(*) FROM sqlite_master WHERE type IN ('trigger', 'view')") == [(0,)]
    columns = [name for _, name, *_ in rows(file, "PRAGMA table_info(tool_calls)")]
    assert columns[:5] == ["id", "name", "parameters", "result", "error"]
    assert columns[5:] == ["status", "started_at", "completed_at", "duration_ms"]
    columns = [name for _, name, *_ in rows(file, "PRAGMA table_info(fs_inode)")]
    assert columns[-4:] == ["rdev", "atime_nsec", "mtime_nsec", "ctime_nsec"]
    assert rows(file, "SELECT key, value FROM kv_store") == [("plan", '{"a":[1.0,"ü"],"b":1}')]
    assert rows(file, "SELECT * FROM fs_config ORDER BY key") == [("chunk_size", "4096"), ("schema_version", "0.4")]
    assert rows(file, "SELECT mode, nlink FROM fs_inode WHERE ino = 1") == [(0o40755, 1)]
    assert rows(file, "SELECT length(data) FROM fs_data ORDER BY chunk_index") == [(4096,), (904,)]
    assert rows(file, "SELECT target, size FROM fs_symlink JOIN fs_inode USING (ino)") == [("../a", 4)]
    assert rows(file, "SELECT count(*) FROM fs_dentry d JOIN fs_inode i ON i.ino = d.ino WHERE i.nlink = 1") == [(3,)]


def test_what_cannot_be_a_file_stays_a_key(agentfs: AgentFS, scout: Actor, tmp_path: Path) -> None:
    no_files = {
        "files/a": {"text": "a folder is needed here", "mode": "644"},
        "files/../up": {"text": "", "mode": "644"},
        "files/": {"text": "", "mode": "644"},
        "files/mode": {"text": "", "mode": "9"},
        "files/more": {"text": "", "mode": "644", "note": 1},
        "files/text": {"base64": "YQ==", "mode": "644"},
        "files/list": ["text"],
        "other/x": {"text": "", "mode": "644"},
    }
    for key, value in {**no_files, "files/a/b": {"text": "", "mode": "644"}}.items():
        agentfs.states.put("scout", key, value, by=scout)
    done = export_agent(agentfs, "scout", tmp_path / "out.db", by=ADA)
    assert (done.states, done.files) == (len(no_files), 1)
    assert {key for (key,) in rows(tmp_path / "out.db", "SELECT key FROM kv_store")} == set(no_files)


def test_deleted_and_expired_values_history_and_others_states_stay_here(
    agentfs: AgentFS, scout: Actor, tmp_path: Path
) -> None:
    critic = join(agentfs, "critic")
    agentfs.states.put("critic", "own", "of the critic", by=critic)
    agentfs.states.put("scout", "plan", "an older value", by=scout)
    agentfs.states.put("scout", "plan", "new", by=scout)
    agentfs.states.put("scout", "gone", "a deleted value", by=scout)
    agentfs.states.delete("scout", "gone", by=scout)
    agentfs.messages.send("critic", "scout", "a message", by=critic)
    agentfs.sessions.begin_call("critic", "grep", by=critic)
    export_agent(agentfs, "scout", tmp_path / "out.db", by=scout)
    assert rows(tmp_path / "out.db", "SELECT key, value FROM kv_store") == [("plan", '"new"')]
    assert rows(tmp_path / "out.db", "SELECT count(*) FROM tool_calls") == [(0,)]
    data = (tmp_path / "out.db").read_bytes()
    assert not any(text in data for text in (b"of the critic", b"an older value", b"a deleted value", b"a message"))


def test_sensitive_values_leave_only_when_asked_for(agentfs: AgentFS, scout: Actor, tmp_path: Path) -> None:
    canary, netrc = new_canary(), "machine harbour.dev\nlogin ada\npassword kR8x!2fLmq\n"
    secret = agentfs.states.put("scout", "token", {"token": canary}, by=scout)
    agentfs.states.put("scout", "files/ssh_keys/id", {"text": "by its path", "mode": "600"}, by=scout)
    agentfs.states.put("scout", "files/netrc", {"text": netrc, "mode": "600"}, by=scout)
    agentfs.states.put("scout", "plan", "plain", by=scout)
    out = tmp_path / "out"
    out.mkdir()
    done = export_agent(agentfs, "scout", out / "a.db", by=ADA)
    assert (done.states, done.files, done.left_out, done.sensitive) == (1, 0, 3, ())
    assert files_with(out, canary) == []
    assert b"token" not in (out / "a.db").read_bytes()

    done = export_agent(agentfs, "scout", out / "a.db", by=ADA, with_sensitive=True, replace=True)
    assert (done.left_out, done.sensitive) == (0, ("files/netrc", "files/ssh_keys/id", "token"))
    assert files_with(out, canary) == ["a.db"]
    assert stat.S_IMODE((out / "a.db").stat().st_mode) == 0o600
    first, second = agentfs.audit.at(list(agentfs.audit.matching(AuditFilters(action="agent.export"))))
    assert (first.subject, first.details["left_out"], first.details["sensitive"]) == (scout.id, 3, [])
    assert secret.id in second.details["sensitive"]  # type: ignore[operator]
    assert second.details["sha256"] == done.sha256


def test_locked_values_are_left_out_and_not_to_be_had(agentfs: AgentFS, scout: Actor, tmp_path: Path) -> None:
    agentfs.states.put("scout", "token", {"token": new_canary()}, by=scout)
    agentfs.states.put("scout", "plan", 1, by=scout)
    agentfs.keys.lock()
    assert export_agent(agentfs, "scout", tmp_path / "a.db", by=ADA).left_out == 1
    with pytest.raises(Locked, match="sealed"):
        export_agent(agentfs, "scout", tmp_path / "b.db", by=ADA, with_sensitive=True)
    assert not (tmp_path / "b.db").exists()


def test_only_the_owner_and_the_agent_itself_export(agentfs: AgentFS, scout: Actor, tmp_path: Path) -> None:
    critic = join(agentfs, "critic")
    agentfs.states.put("scout", "plan", 1, by=scout)
    refused = [
        critic,
        replace(scout, verified=False),
        Actor(ActorKind.PERSON, "bob", "cli"),
        Actor(ActorKind.ENGINE, agentfs.device),
    ]
    for by in refused:
        with pytest.raises(AccessDenied):
            export_agent(agentfs, "scout", tmp_path / "a.db", by=by)
    assert not (tmp_path / "a.db").exists()
    denied = agentfs.audit.at(list(agentfs.audit.matching(AuditFilters(action="access.deny"))))
    assert [each.actor for each in denied] == [by.id for by in refused]
    with pytest.raises(NotFound, match="no agent nobody"):
        export_agent(agentfs, "nobody", tmp_path / "a.db", by=ADA)
    assert export_agent(agentfs, "scout", tmp_path / "a.db", by=scout).states == 1


def test_an_export_replaces_nothing_unasked_and_never_the_workspace(
    agentfs: AgentFS, scout: Actor, tmp_path: Path
) -> None:
    agentfs.states.put("scout", "plan", 1, by=scout)
    there = tmp_path / "there.db"
    there.write_text("something else")
    with pytest.raises(InvalidInput, match="exists already"):
        export_agent(agentfs, "scout", there, by=ADA)
    (tmp_path / "linked").symlink_to(agentfs.root)
    for own in ("agentfs.db", "new.db", "files/new.db", "../linked/new.db"):
        with pytest.raises(InvalidInput, match="workspace itself"):
            export_agent(agentfs, "scout", agentfs.root / own, by=ADA, replace=True)
    with pytest.raises(InvalidInput, match="cannot be written"):
        export_agent(agentfs, "scout", tmp_path / "no" / "folder.db", by=ADA)
    before = written(agentfs)
    make(tmp_path / "open.db", keys={})
    (tmp_path / "open.db-wal").write_bytes(b"pages of the database that was there")
    with pytest.raises(InvalidInput, match="another database"):
        export_agent(agentfs, "scout", tmp_path / "open.db", by=ADA, replace=True)
    assert written(agentfs) == before
    assert there.read_text() == "something else"
    assert agentfs.states.get("scout", "plan", by=ADA).value == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
