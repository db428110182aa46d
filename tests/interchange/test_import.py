"""What becomes of an AgentFS file's keys, calls and files, and that an import is all of it or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, AuditFilters
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy
from core.errors import AccessDenied, InvalidInput, Locked, NotFound, QuotaExceeded
from core.ids import sha256_hex
from core.interchange.exporting import export_agent
from core.interchange.importing import import_agent
from core.model import Kind
from tests.agentfs.acting import join
from tests.agentfs.canaries import files_with, new_canary
from tests.interchange.foreign import (
    ADA,
    FILE,
    FILES,
    FOLDER,
    KEYS,
    LINK,
    SHIPPED_CALLS,
    SPECIFIED_CALLS,
    insert,
    make,
    values,
    written,
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[AgentFS]:
    """A workspace where an agent may hold 2,000 bytes, at most 1,000 in one state."""
    opened = AgentFS(tmp_path / "small", AgentPolicy(value_bytes=1000, state_bytes=2000), ADA)
    yield opened
    opened.close()


def test_keys_become_states_and_what_differs_a_new_version(agentfs: AgentFS, tmp_path: Path) -> None:
    scout = join(agentfs, "scout")
    agentfs.states.put("scout", "same", {"a": 1, "b": 2}, by=scout)
    agentfs.states.put("scout", "differs", "ours", by=scout)
    agentfs.states.put("scout", "only here", 1, by=scout)
    file = make(tmp_path / "a.db", keys={"same": {"b": 2, "a": 1}, "differs": "theirs", "decisions/x": None})
    done = import_agent(agentfs, file, "scout", by=ADA)
    assert (done.states, done.changed, done.unchanged, done.created, done.skipped) == (1, 1, 1, False, ())
    assert values(agentfs, "scout") == {
        "same": {"a": 1, "b": 2},
        "differs": "theirs",
        "only here": 1,
        "decisions/x": None,
    }
    newest, oldest = agentfs.states.history("scout", "differs", by=ADA)
    assert (newest.actor, newest.version, oldest.actor) == ("ada", 2, scout.id)
    assert agentfs.states.value_at("scout", "differs", 1, by=ADA) == "ours"
    assert agentfs.states.get("scout", "decisions/x", by=ADA).kind is Kind.DECISION
    (record,) = agentfs.audit.at(list(agentfs.audit.matching(AuditFilters(action="agent.import"))))
    assert (record.actor, record.subject, record.details["states"]) == ("ada", scout.id, 1)
    assert record.details["sha256"] == sha256_hex(file.read_bytes()) == done.sha256

    before = written(agentfs)
    again = import_agent(agentfs, file, "scout", by=scout)
    assert (again.states, again.changed, again.unchanged) == (0, 0, 3)
    assert written(agentfs) == before


def test_an_export_comes_back_with_what_agentfs_has_no_place_for(
    agentfs: AgentFS, other: AgentFS, tmp_path: Path
) -> None:
    scout = join(agentfs, "scout", "validation")
    agentfs.states.put("scout", "a", 1, by=scout, kind=Kind.ASSUMPTION, critical=True, expires_in=500)
    agentfs.states.put("scout", "soon gone", 1, by=scout, expires_in=500)
    file = tmp_path / "a.db"
    export_agent(agentfs, "scout", file, by=ADA)
    make(file, "UPDATE bailiwick_states SET expires_at = '2020-01-01T00:00:00+00:00' WHERE key = 'soon gone'")
    done = import_agent(other, file, "scout", by=ADA)
    assert (done.created, [each.reason for each in done.skipped]) == (True, ["it has expired"])
    assert other.agents.get("scout").type == "validation"
    ours, theirs = (each.states.get("scout", "a", by=ADA) for each in (agentfs, other))
    assert (theirs.kind, theirs.critical, theirs.expires_at) == (Kind.ASSUMPTION, True, ours.expires_at)


@pytest.mark.parametrize("form", [SHIPPED_CALLS, SPECIFIED_CALLS], ids=["shipped", "specified"])
def test_calls_of_both_forms_become_an_ended_session(agentfs: AgentFS, tmp_path: Path, form: str) -> None:
    insert = "INSERT INTO tool_calls (name, parameters, result, error, started_at, completed_at, duration_ms) VALUES "
    file = make(
        tmp_path / "a\nb.db",
        form,
        f"""{insert} ('search', '{{"q": 1}}', '[1, 2]', NULL, 1700000000, 1700000003, 3000),
            ('shell', '', '', 'exit 1', 1700000010, 1700000010, 0),
            ('fetch', 'no JSON', NULL, '', 1700000020.5, 1700000021, 7)""",
    )
    join(agentfs, "scout")
    done = import_agent(agentfs, file, "scout", by=ADA)
    assert (done.calls, done.skipped) == (3, ())
    assert done.session_id is not None
    session = agentfs.sessions.get(done.session_id)
    assert (session.title, session.client, session.calls) == ("imported from a?b.db", "agentfs", 3)
    assert (session.started_at.timestamp(), session.ended_at and session.ended_at.timestamp()) == (1.7e9, 1.7e9 + 21)
    fetch, shell, search = agentfs.sessions.calls(session_id=done.session_id)
    assert (search.parameters_sha256, search.result_sha256) == (sha256_hex(b'{"q":1}'), sha256_hex(b"[1,2]"))
    assert (shell.error, shell.parameters_sha256, shell.result_sha256) == ("exit 1", None, None)
    assert (fetch.error, fetch.duration_ms, fetch.parameters_sha256) == ("", 7, sha256_hex(b"no JSON"))
    before = written(agentfs)
    assert import_agent(agentfs, file, "scout", by=ADA).calls == 0
    assert written(agentfs) == before
    assert agentfs.audit_check.verify().whole
    # The same file for another agent is that agent's calls too.
    assert import_agent(agentfs, file, "critic", by=ADA, type="poc").calls == 3


def test_a_call_that_ran_has_ended_since(agentfs: AgentFS, tmp_path: Path) -> None:
    file = make(
        tmp_path / "a.db", SHIPPED_CALLS, "INSERT INTO tool_calls (name, started_at) VALUES ('build', 1700000000)"
    )
    import_agent(agentfs, file, "scout", by=ADA, type="poc")
    assert agentfs.sessions.calls(agent="scout")[0].completed_at is None
    make(file, "UPDATE tool_calls SET status = 'error', completed_at = 1700000060, duration_ms = 60000")
    done = import_agent(agentfs, file, "scout", by=ADA)
    assert (done.calls, done.calls_ended, done.session_id) == (0, 1, None)
    (call,) = agentfs.sessions.calls(agent="scout")
    assert (call.error, call.duration_ms) == ("failed", 60000)
    assert agentfs.audit_check.verify().whole


def test_files_become_states(agentfs: AgentFS, tmp_path: Path) -> None:
    file = make(tmp_path / "a.db", FILES, keys={"files/taken": 1})
    inodes = [(2, FOLDER, 0), (3, FILE, 5000), (4, 0o100755, 2), (5, LINK, 6), (6, 0o010644, 0), (7, FILE, 9)]
    insert(file, "fs_inode", "ino, mode, size", *inodes, (8, FILE, 2_000_000), (9, FILE, 0), (10, FOLDER, 0))
    names = ["run", "link", "pipe", "torn", "large", "taken", "empty folder"]
    entries = [(name, 1, inode) for inode, name in enumerate(names, start=4)]
    insert(file, "fs_dentry", "name, parent_ino, ino", ("docs", 1, 2), ("a.md", 2, 3), ("again.md", 1, 3), *entries)
    chunks = [(3, 1, b"b" * 904), (3, 0, b"a" * 4096), (4, 0, b"\xff\xfe"), (7, 1, b"\0")]
    insert(file, "fs_data", "ino, chunk_index, data", *chunks)
    insert(file, "fs_symlink", "ino, target", (5, "../run"))
    done = import_agent(agentfs, file, "scout", by=ADA, type="poc")
    content = {"text": "a" * 4096 + "b" * 904, "mode": "644"}
    assert values(agentfs, "scout") == {
        "files/taken": 1,
        "files/docs/a.md": content,
        "files/again.md": content,
        "files/run": {"base64": "//4=", "mode": "755"},
        "files/link": {"link": "../run"},
    }
    assert {each.name: each.reason for each in done.skipped} == {
        "pipe": "it is neither a file nor a symbolic link",
        "torn": "its pieces do not make up its size",
        "large": "its 2,000,000 bytes are more than the 1,048,576 that one state holds",
        "taken": "a key is called files/taken too",
    }
    without = import_agent(agentfs, file, "critic", by=ADA, type="poc", files=False)
    assert (values(agentfs, "critic"), without.skipped, without.files) == ({"files/taken": 1}, (), 0)


def test_what_a_state_cannot_be_is_told_and_the_rest_imported(agentfs: AgentFS, tmp_path: Path) -> None:
    canary = new_canary()
    texts = {
        "good": "[1]",
        "nan": '{"a": NaN}',
        "endless": "1e999",
        "torn": '{"a": ',
        "deep": "[" * 200 + "]" * 200,
        "deeper": "[" * 100_000,
        "digits": "9" * 5000,
        "surrogate": '"\\ud800"',
        "line\nbreak": "1",
        "": "1",
        " space": "1",
        "x" * 600: "1",
        f"key {canary}": "1",
        "large": json.dumps("x" * 2_000_000),
    }
    file = make(tmp_path / "a.db", KEYS, SHIPPED_CALLS)
    insert(file, "kv_store", "key, value", *texts.items())
    make(
        file,
        "INSERT INTO kv_store (key, value) VALUES ('bytes', CAST(x'22ff22' AS TEXT)), (CAST(x'6bff' AS TEXT), '1')",
    )
    calls = [("ok", 1), ("", 1), ("\x1b[2J", 1), ("ms", 1_700_000_000_000), ("past", -1), ("inf", float("inf"))]
    insert(file, "tool_calls", "name, started_at", *calls)
    done = import_agent(agentfs, file, "scout", by=ADA, type="poc")
    assert values(agentfs, "scout") == {"good": [1]}
    assert [call.tool for call in agentfs.sessions.calls(agent="scout")] == ["ok"]
    assert len(done.skipped) == len(texts) - 1 + 2 + len(calls) - 1
    assert all(each.reason for each in done.skipped)
    told = json.dumps([[each.name, each.reason] for each in done.skipped])
    assert canary not in told
    assert files_with(agentfs.root, canary) == []


def test_secrets_are_sealed_as_they_come_in(agentfs: AgentFS, tmp_path: Path) -> None:
    canary = new_canary()
    keys = {"token": {"token": canary}, "plain": 1, "ssh_keys/mine": "by its name"}
    file = make(tmp_path / "a.db", SHIPPED_CALLS, FILES, keys=keys)
    call = ("curl", json.dumps(canary), f"401 for {canary}", 1, 2)
    insert(file, "tool_calls", "name, parameters, error, started_at, completed_at", call)
    netrc = b"machine harbour.dev\nlogin ada\npassword kR8x!2fLmq\n"
    insert(file, "fs_inode", "ino, mode, size", (2, FILE, len(canary) + 1), (3, FILE, len(netrc)))
    insert(file, "fs_dentry", "name, parent_ino, ino", ("bytes", 1, 2), ("netrc", 1, 3))
    insert(file, "fs_data", "ino, chunk_index, data", (2, 0, canary.encode() + b"\xff"), (3, 0, netrc))
    looked = import_agent(agentfs, file, "scout", by=ADA, type="poc", dry_run=True)
    assert (looked.sealed, looked.states) == (4, 5)
    done = import_agent(agentfs, file, "scout", by=ADA, type="poc")
    assert done.sealed == 4
    assert agentfs.states.get("scout", "token", by=ADA).sealed
    assert agentfs.states.get("scout", "files/bytes", by=ADA).sealed
    assert agentfs.sessions.calls(agent="scout")[0].error == "401 for <secret>"
    assert files_with(agentfs.root, canary) == []
    agentfs.keys.lock()
    before = written(agentfs)
    make(file, "UPDATE kv_store SET value = '2' WHERE key = 'plain'")
    with pytest.raises(Locked):
        import_agent(agentfs, file, "scout", by=ADA)
    with pytest.raises(Locked):
        import_agent(agentfs, file, "critic", by=ADA, type="poc")
    assert written(agentfs) == before
    assert agentfs.states.get("scout", "plain", by=ADA).value == 1


def test_an_import_over_the_quota_writes_nothing_and_makes_no_agent(small: AgentFS, tmp_path: Path) -> None:
    file = make(tmp_path / "a.db", keys={f"k{number}": "x" * 900 for number in range(3)})
    before = written(small)
    with pytest.raises(QuotaExceeded, match="are allowed"):
        import_agent(small, file, "scout", by=ADA, type="poc")
    assert written(small) == before
    assert small.agents.all(retired=True) == []
    assert list((small.root / "keys").rglob("*.key")) == []
    assert not list(small.root.glob(".import-*"))
    # What gives room comes first, whatever its name.
    join(small, "scout")
    small.states.put("scout", "z", "x" * 900, by=ADA)
    small.states.put("scout", "y", "x" * 900, by=ADA)
    file = make(tmp_path / "b.db", keys={"a": "x" * 900, "z": 1})
    assert import_agent(small, file, "scout", by=ADA).changed == 1


def test_a_dry_run_says_the_same_and_writes_nothing(agentfs: AgentFS, tmp_path: Path) -> None:
    file = make(
        tmp_path / "a.db",
        SHIPPED_CALLS,
        "INSERT INTO tool_calls (name, started_at) VALUES ('x', 1)",
        keys={"a": 1, "b": 2},
    )
    before = written(agentfs)
    looked = import_agent(agentfs, file, "scout", by=ADA, type="poc", dry_run=True)
    assert (looked.dry_run, looked.created, looked.states, looked.calls, looked.agent_id) == (True, True, 2, 1, "")
    assert written(agentfs) == before
    assert agentfs.agents.all() == []
    done = import_agent(agentfs, file, "scout", by=ADA, type="poc")
    same = replace(done, dry_run=True, agent_id="", session_id=None)
    assert same == looked


def test_who_imports_into_what(agentfs: AgentFS, tmp_path: Path) -> None:
    scout, critic = join(agentfs, "scout"), join(agentfs, "critic")
    file = make(tmp_path / "a.db", keys={"a": 1})
    for by in (critic, Actor(ActorKind.PERSON, "bob", "cli"), Actor(ActorKind.ENGINE, agentfs.device)):
        with pytest.raises(AccessDenied):
            import_agent(agentfs, file, "scout", by=by)
    with pytest.raises(NotFound, match="no agent new") as raised:
        import_agent(agentfs, file, "new", by=ADA)
    assert "--type" in raised.value.hint
    with pytest.raises(NotFound):
        import_agent(agentfs, file, "new", by=scout, type="poc")
    for name, kind in (("person", "poc"), ("new", "Bad Type"), ("ada", "poc")):
        with pytest.raises(InvalidInput):
            import_agent(agentfs, file, name, by=ADA, type=kind)
    assert values(agentfs, "scout") == {}
    assert import_agent(agentfs, file, "scout", by=scout).states == 1
    agentfs.agents.retire("scout", by=ADA)
    with pytest.raises(InvalidInput, match="retired"):
        import_agent(agentfs, file, scout.id, by=ADA)
    again = import_agent(agentfs, file, "scout", by=ADA, type="poc")
    assert again.created
    assert again.agent_id != scout.id
