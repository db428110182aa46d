"""Sessions group what an agent did; snapshots are taken, compared, restored, and a restore is taken back."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from acting import ADA, join, reopened

from core.agent_model import Actor, Snapshot, StateChange, StateOperation
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy
from core.errors import InvalidInput, NotFound, WorkspaceUnusable
from core.json_diff import Difference
from core.model import JSONValue, Kind
from tests.agentfs.canaries import new_canary

ADDED, REMOVED, CHANGED = Difference
PATIENCE_SECONDS = 20.0

# Sessions and calls


@pytest.mark.parametrize("name", ["title", "client", "external_id"])
def test_nothing_that_a_session_is_called_holds_a_secret(agentfs: AgentFS, name: str) -> None:
    nia = join(agentfs, "nia")
    with pytest.raises(InvalidInput, match="holds a secret"):
        agentfs.sessions.start("nia", by=nia, **{name: f"see\n{new_canary()}"})
    assert agentfs.sessions.all() == []


def test_a_hash_of_a_call_is_a_hash(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    call = agentfs.sessions.begin_call("nia", "grep", by=nia, parameters_sha256="0" * 64)
    for wrong in ("", "a" * 63, "A" * 64, "a" * 64 + "\n", new_canary()):
        with pytest.raises(InvalidInput, match=r"no SHA-256\."):
            agentfs.sessions.begin_call("nia", "grep", by=nia, parameters_sha256=wrong)
        with pytest.raises(InvalidInput, match=r"no SHA-256\."):
            agentfs.sessions.finish_call(call, by=nia, result_sha256=wrong)
    (found,) = agentfs.sessions.calls()
    assert (found.parameters_sha256, found.completed_at) == ("0" * 64, None)


def within(agent: Actor, session_id: str) -> Actor:
    return replace(agent, session_id=session_id)


def test_a_session_groups_calls_states_and_messages(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    join(agentfs, "sam")
    session = agentfs.sessions.start("nia", by=nia, title="Refactor", client="cli 1.0")
    assert (session.agent, session.title, session.door, session.client) == ("nia", "Refactor", "mcp", "cli 1.0")
    by = within(nia, session.id)
    call = agentfs.sessions.begin_call("nia", "search", by=by, parameters_sha256="a" * 64)
    agentfs.states.put("nia", "k", 1, by=by)
    agentfs.states.put("nia", "k", 2, by=by)
    agentfs.states.put("nia", "k", 3, by=nia)
    agentfs.messages.send("nia", "sam", "hello", by=by)
    agentfs.sessions.finish_call(call, by=by, result_sha256="b" * 64)
    counted = agentfs.sessions.get(session.id)
    assert (counted.calls, counted.states, counted.messages) == (1, 2, 1)
    assert counted.ended_at is None
    ended = agentfs.sessions.end(session.id, by=nia)
    assert ended.ended_at is not None
    assert agentfs.sessions.end(session.id, by=nia) == ended
    item = agentfs.items.at_path(f"sessions/{session.id}")
    assert item is not None
    assert item.kind is Kind.SESSION
    assert ended.ended_at.isoformat(timespec="microseconds").encode() in agentfs.contents.read(item.sha256)


def test_a_clients_own_session_is_found_again_and_opened_once_more(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    first = agentfs.sessions.start("nia", by=nia, external_id="x1")
    agentfs.sessions.end(first.id, by=nia)
    again = agentfs.sessions.start("nia", by=nia, external_id="x1")
    assert (again.id, again.ended_at) == (first.id, None)
    assert agentfs.sessions.start("sam", by=sam, external_id="x1").id != first.id
    plain = [agentfs.sessions.start("nia", by=nia).id for _ in range(2)]
    assert len({first.id, *plain}) == 3
    assert [session.id for session in agentfs.sessions.all("nia")] == [plain[1], plain[0], first.id]
    assert len(agentfs.sessions.all()) == 4
    assert len(agentfs.sessions.all(limit=2)) == 2


def test_sessions_that_cannot_be(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.agents.retire("nia", by=ADA)
    with pytest.raises(InvalidInput, match="retired"):
        agentfs.sessions.start(nia.id, by=nia)
    with pytest.raises(NotFound, match="There is no session x"):
        agentfs.sessions.end("x", by=ADA)


def test_a_call_is_noted_with_hashes_time_and_outcome(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    session = agentfs.sessions.start("nia", by=nia)
    first = agentfs.sessions.begin_call("nia", "search", by=within(nia, session.id), parameters_sha256="a" * 64)
    (running,) = agentfs.sessions.calls(agent="nia")
    assert (running.completed_at, running.duration_ms, running.error) == (None, None, "")
    done = agentfs.sessions.finish_call(first, by=nia, result_sha256="b" * 64)
    assert (done.id, done.tool, done.parameters_sha256, done.result_sha256) == (first, "search", "a" * 64, "b" * 64)
    assert done.completed_at is not None
    assert done.duration_ms is not None
    assert done.duration_ms >= 0
    second = agentfs.sessions.begin_call("nia", "run", by=nia)
    failed = agentfs.sessions.finish_call(second, by=nia, error="It broke.")
    assert failed.error == "It broke."
    assert agentfs.sessions.calls() == [failed, done]
    assert agentfs.sessions.calls(session_id=session.id) == [done]
    assert agentfs.sessions.calls(agent="nia", limit=1) == [failed]
    with pytest.raises(NotFound):
        agentfs.sessions.finish_call("nothing", by=nia)
    for tool in ("", "x" * 201, "a\nb"):
        with pytest.raises(InvalidInput, match="cannot be a tool's name"):
            agentfs.sessions.begin_call("nia", tool, by=nia)


# Snapshots


def short(
    changes: list[StateChange] | tuple[StateChange, ...],
) -> list[tuple[str, str, Difference, JSONValue, JSONValue]]:
    told = [(each.agent, each.key, each.difference, each.before, each.after) for each in changes]
    return sorted(told, key=lambda each: each[:2])


def values(agentfs: AgentFS) -> dict[tuple[str, str], JSONValue]:
    return {
        (overview.agent.name, state.key): state.value
        for overview in agentfs.agents.all()
        for state in agentfs.states.all(overview.agent.id)
    }


@pytest.fixture
def changed(agentfs: AgentFS) -> AgentFS:
    """A snapshot "before" of two agents, and what they did since: changed, removed, added, left alone."""
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    agentfs.states.put("nia", "changed", {"n": 1}, by=nia)
    agentfs.states.put("nia", "kept", [1.0], by=nia)
    agentfs.states.put("nia", "removed", "r", by=nia)
    agentfs.states.put("sam", "changed", 1, by=sam)
    agentfs.snapshots.take("before", by=ADA)
    session = agentfs.sessions.start("nia", by=nia, external_id="work")
    agentfs.states.put("nia", "changed", {"n": 2}, by=within(nia, session.id))
    agentfs.states.put("nia", "changed", {"n": 3}, by=nia)
    agentfs.states.put("nia", "added", True, by=nia)
    agentfs.states.delete("nia", "removed", by=within(nia, session.id))
    agentfs.states.put("sam", "changed", 2, by=sam)
    agentfs.states.put("sam", "kept", 1, by=sam)
    agentfs.states.delete("sam", "kept", by=sam)
    return agentfs


FROM_BEFORE = [
    ("nia", "added", ADDED, None, True),
    ("nia", "changed", CHANGED, {"n": 1}, {"n": 3}),
    ("nia", "removed", REMOVED, "r", None),
    ("sam", "changed", CHANGED, 1, 2),
]
OPPOSITE = {ADDED: REMOVED, REMOVED: ADDED, CHANGED: CHANGED}
TO_BEFORE = [(agent, key, OPPOSITE[how], after, before) for agent, key, how, before, after in FROM_BEFORE]


def test_a_snapshot_is_a_whole_file_of_its_owner(changed: AgentFS) -> None:
    (snapshot,) = changed.snapshots.all()
    path = Path(snapshot.path)
    assert (snapshot.name, snapshot.created_by, snapshot.size) == ("before", "ada", path.stat().st_size)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert changed.snapshots.get("before") == changed.snapshots.get(snapshot.id) == snapshot
    newer = changed.snapshots.take("before", by=ADA)
    assert changed.snapshots.get("before") == newer
    assert changed.snapshots.all() == [newer, snapshot]
    with pytest.raises(NotFound, match="There is no snapshot nothing"):
        changed.snapshots.compare("nothing")
    for name in ("x" * 201, "a\nb"):
        with pytest.raises(InvalidInput, match="snapshot's name"):
            changed.snapshots.take(name, by=ADA)


def test_a_comparison_names_every_state_that_differs(changed: AgentFS) -> None:
    changes = changed.snapshots.compare("before")
    assert short(changes) == FROM_BEFORE
    assert {(each.agent, each.key): (each.before_version, each.after_version) for each in changes} == {
        ("nia", "added"): (None, 1),
        ("nia", "changed"): (1, 3),
        ("nia", "removed"): (1, None),
        ("sam", "changed"): (1, 2),
    }
    assert short(changed.snapshots.compare("before", agent="sam")) == FROM_BEFORE[3:]
    session = changed.sessions.all("nia")[0]
    assert short(changed.snapshots.compare("before", session_id=session.id)) == FROM_BEFORE[1:3]
    with pytest.raises(NotFound):
        changed.snapshots.compare("before", agent="nobody")
    with pytest.raises(NotFound, match="There is no session x"):
        changed.snapshots.compare("before", session_id="x")


def test_two_snapshots_are_compared_with_each_other(changed: AgentFS) -> None:
    changed.snapshots.take("after", by=ADA)
    changed.states.put("nia", "kept", "later", by=ADA)
    assert short(changed.snapshots.compare("before", "after")) == FROM_BEFORE
    assert short(changed.snapshots.compare("after", "before")) == TO_BEFORE
    assert changed.snapshots.compare("after", "after") == []


def test_a_dry_run_tells_and_changes_nothing(changed: AgentFS) -> None:
    before = (changed.items.position(), changed.audit.head())
    restored = changed.snapshots.restore("before", by=ADA, dry_run=True)
    assert short(restored.changes) == TO_BEFORE
    assert (restored.dry_run, restored.undo) == (True, None)
    assert (changed.items.position(), changed.audit.head()) == before
    assert len(changed.snapshots.all()) == 1


def test_a_restore_brings_everything_back_as_new_versions(changed: AgentFS) -> None:
    told = short(changed.snapshots.restore("before", by=ADA, dry_run=True).changes)
    restored = changed.snapshots.restore("before", by=ADA)
    assert short(restored.changes) == told == TO_BEFORE
    assert changed.snapshots.compare("before") == []
    history = changed.states.history("nia", "changed")
    assert [(entry.version, entry.operation, entry.restored_from) for entry in history][:2] == [
        (4, StateOperation.RESTORE, 1),
        (3, StateOperation.PUT, None),
    ]
    assert changed.states.history("nia", "added")[0].operation is StateOperation.DELETE
    assert len(changed.states.history("nia", "kept")) == 1
    assert changed.audit_check.verify().whole


def test_a_restore_can_be_taken_back(changed: AgentFS) -> None:
    before = values(changed)
    restored = changed.snapshots.restore("before", by=ADA)
    assert values(changed) != before
    assert restored.undo is not None
    assert restored.undo.name == "before restoring before"
    undone = changed.snapshots.restore(restored.undo.id, by=ADA)
    assert short(undone.changes) == FROM_BEFORE
    assert values(changed) == before
    assert undone.undo is not None
    changed.snapshots.restore(undone.undo.id, by=ADA)
    assert changed.snapshots.compare("before") == []


def test_a_restore_of_what_is_there_already_takes_no_snapshot(changed: AgentFS) -> None:
    changed.snapshots.restore("before", by=ADA)
    count = len(changed.snapshots.all())
    again = changed.snapshots.restore("before", by=ADA)
    assert (again.changes, again.undo) == ((), None)
    assert len(changed.snapshots.all()) == count


def test_one_agent_or_one_session_is_restored_alone(changed: AgentFS) -> None:
    session = changed.sessions.all("nia")[0]
    assert short(changed.snapshots.restore("before", by=ADA, session_id=session.id).changes) == TO_BEFORE[1:3]
    assert short(changed.snapshots.compare("before")) == [FROM_BEFORE[0], FROM_BEFORE[3]]
    assert short(changed.snapshots.restore("before", by=ADA, agent="sam").changes) == TO_BEFORE[3:]
    assert short(changed.snapshots.compare("before")) == FROM_BEFORE[:1]


def test_states_of_agents_that_retired_or_came_since(changed: AgentFS) -> None:
    sam = changed.agents.get("sam")
    changed.agents.retire("sam", by=ADA)
    kim = join(changed, "kim")
    changed.states.put("kim", "k", 1, by=kim)
    restored = changed.snapshots.restore("before", by=ADA)
    assert short(restored.changes) == [("kim", "k", REMOVED, 1, None), *TO_BEFORE[:3]]
    assert changed.states.get(sam.id, "changed").value == 2


def test_expired_values_are_neither_compared_nor_restored(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "short", 1, by=nia, expires_in=0.5)
    agentfs.snapshots.take("before", by=ADA)
    end = time.monotonic() + PATIENCE_SECONDS
    while agentfs.states.all("nia"):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert agentfs.snapshots.compare("before") == []
    assert agentfs.snapshots.restore("before", by=ADA).undo is None


def test_a_restored_value_expires_when_it_would_have(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    held = agentfs.states.put("nia", "short", 1, by=nia, expires_in=3600)
    agentfs.snapshots.take("before", by=ADA)
    agentfs.states.put("nia", "short", 2, by=nia)
    agentfs.snapshots.restore("before", by=ADA)
    assert agentfs.states.get("nia", "short").expires_at == held.expires_at


def test_a_restore_that_fits_in_the_end_is_not_refused_on_the_way(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(value_bytes=100, state_bytes=150)) as agentfs:
        nia = join(agentfs, "nia")
        agentfs.states.put("nia", "a", "x" * 98, by=nia)
        agentfs.states.put("nia", "b", "x" * 10, by=nia)
        agentfs.snapshots.take("before", by=ADA)
        agentfs.states.delete("nia", "a", by=nia)
        agentfs.states.put("nia", "b", "x" * 60, by=nia)
        agentfs.states.put("nia", "c", "x" * 60, by=nia)
        before = values(agentfs)
        restored = agentfs.snapshots.restore("before", by=ADA)
        assert values(agentfs) == {("nia", "a"): "x" * 98, ("nia", "b"): "x" * 10}
        assert restored.undo is not None
        agentfs.snapshots.restore(restored.undo.id, by=ADA)
        assert values(agentfs) == before


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("harm", "sentence"), [(Path.unlink, "is missing"), (flip, "was changed since"), (cut, "was changed since")]
)
def test_a_damaged_or_missing_snapshot_is_refused_before_anything_happens(
    changed: AgentFS, harm: object, sentence: str
) -> None:
    assert callable(harm)
    harm(Path(changed.snapshots.get("before").path))
    before = (values(changed), changed.audit.head())
    with pytest.raises(WorkspaceUnusable, match=sentence):
        changed.snapshots.restore("before", by=ADA)
    with pytest.raises(WorkspaceUnusable, match=sentence):
        changed.snapshots.compare("before")
    assert (values(changed), changed.audit.head()) == before


@pytest.mark.parametrize("name", ["a#b", "50%", "what?", "x%41", "é b"])
def test_a_workspace_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    with reopened(tmp_path / name, AgentPolicy()) as agentfs:
        nia = join(agentfs, "nia")
        agentfs.states.put("nia", "k", 1, by=nia)
        agentfs.snapshots.take("before", by=ADA)
        agentfs.states.put("nia", "k", 2, by=nia)
        assert short(agentfs.snapshots.compare("before")) == [("nia", "k", CHANGED, 1, 2)]


def test_a_snapshot_taken_while_others_write_is_one_moment(agentfs: AgentFS) -> None:
    """The writer keeps two states equal, one after the other; a copy never shows the first one behind."""
    nia = join(agentfs, "nia")
    agentfs.states.put("nia", "a", 0, by=nia)
    agentfs.states.put("nia", "b", 0, by=nia)
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            agentfs.states.put("nia", "a", number, by=nia)
            agentfs.states.put("nia", "b", number, by=nia)
            wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    snapshots: list[Snapshot] = []
    for _ in range(4):
        wrote.clear()
        assert wrote.wait(30)
        snapshots.append(agentfs.snapshots.take("", by=ADA))
    stop.set()
    writer.join()
    for snapshot in snapshots:
        with closing(sqlite3.connect(f"file:{snapshot.path}?immutable=1", uri=True)) as connection:
            held = dict(connection.execute("SELECT state_key, state_value FROM agent_states"))
            assert int(held["a"]) - int(held["b"]) in (0, 1)
            versions = connection.execute("SELECT max(version) FROM state_history").fetchone()[0]
            assert versions == int(held["a"]) + 1
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {each.id for each in agentfs.snapshots.all()} == {snapshot.id for snapshot in snapshots}
    assert agentfs.audit_check.verify().whole
