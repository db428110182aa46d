"""The audit trail: no change without a record, no record changed, removed or put in without being named."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from acting import ADA, join, pass_time, reopened

from core.agent_model import Actor, ActorKind, AuditFilters, AuditVerdict, LeaseMode, MessageStatus
from core.agentfs.agentfs import AgentFS
from core.agentfs.audit import FIELDS, GENESIS, chained
from core.agentfs.database import now, to_text
from core.agentfs.items import ItemWrite
from core.agentfs.policy import AgentPolicy
from core.errors import BailiwickError, WorkspaceUnusable
from core.model import Kind

# Every change has its record


@dataclass(frozen=True)
class World:
    """Two agents with something of everything, which each action below changes in its own way."""

    agentfs: AgentFS
    nia: Actor
    sam: Actor
    message: str
    session: str
    call: str


CANARY = "canary-5b1d"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with reopened(tmp_path, AgentPolicy(max_agents=3)) as agentfs:
        nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
        session = agentfs.sessions.start("nia", by=nia, title=CANARY).id
        agentfs.states.put("nia", f"{CANARY}/k", {CANARY: CANARY}, by=nia)
        message = agentfs.messages.send("sam", "nia", {"text": CANARY}, by=sam).id
        agentfs.leases.take("nia", f"src/{CANARY}", by=nia, reason=CANARY)
        agentfs.leases.take("nia", "short", by=nia, seconds=1)
        call = agentfs.sessions.begin_call("nia", "search", by=nia)
        agentfs.snapshots.take("before", by=ADA)
        agentfs.states.put("nia", f"{CANARY}/k", CANARY, by=nia)
        agentfs.states.put("nia", "short", 1, by=nia, expires_in=1)
        pass_time(agentfs.database, 2)
        yield World(agentfs, nia, replace(sam, session_id="s1"), message, session, call)


def put_document(world: World) -> None:
    with world.agentfs.database.transaction() as connection:
        world.agentfs.items.put(connection, ItemWrite("a/b", Kind.DOCUMENT, "ada", CANARY.encode()))


def register_three(world: World) -> None:
    world.agentfs.agents.register("kim", "research", {"note": CANARY}, owner="ada", by=ADA)
    pass_time(world.agentfs.database, 121)
    world.agentfs.agents.register("lee", "research", owner="ada", by=ADA)


def lose_key(world: World) -> None:
    world.agentfs.agents.key_path(world.nia.id).unlink()
    join(world.agentfs, "nia")


ACTIONS: dict[str, tuple[Callable[[World], object], list[str]]] = {
    "register": (register_three, ["agent.register", "agent.admit", "agent.register", "agent.yield", "agent.admit"]),
    "register again": (lambda w: join(w.agentfs, "nia"), ["agent.register"]),
    "new key": (lose_key, ["agent.key", "agent.register"]),
    "retire": (lambda w: w.agentfs.agents.retire("nia", by=ADA, reason=CANARY), ["agent.retire"]),
    "put": (lambda w: w.agentfs.states.put("nia", CANARY, CANARY, by=w.sam), ["state.put"]),
    "delete": (lambda w: w.agentfs.states.delete("nia", f"{CANARY}/k", by=w.sam), ["state.delete"]),
    "restore": (lambda w: w.agentfs.states.restore("nia", f"{CANARY}/k", 1, by=ADA), ["state.restore"]),
    "expire": (lambda w: w.agentfs.states.expire(), ["state.expire"]),
    "put expired": (lambda w: w.agentfs.states.put("nia", "short", 2, by=w.sam), ["state.expire", "state.put"]),
    "send": (lambda w: w.agentfs.messages.send("sam", "everyone", CANARY, by=w.sam), ["message.send"]),
    "inbox": (lambda w: w.agentfs.messages.inbox("nia", by=w.nia), ["message.delivered"]),
    "read": (
        lambda w: w.agentfs.messages.mark("nia", [w.message], MessageStatus.READ, by=w.nia),
        ["message.read"],
    ),
    "acknowledge": (
        lambda w: w.agentfs.messages.mark("nia", [w.message], MessageStatus.ACKNOWLEDGED, by=w.nia),
        ["message.acknowledged"],
    ),
    "take": (
        lambda w: w.agentfs.leases.take("sam", CANARY, by=w.sam, reason=CANARY),
        ["message.send", "lease.expire", "lease.take"],
    ),
    "renew": (
        lambda w: w.agentfs.leases.take("nia", f"src/{CANARY}", by=w.nia, mode=LeaseMode.SHARED),
        ["message.send", "lease.expire", "lease.renew"],
    ),
    "release": (
        lambda w: w.agentfs.leases.release("nia", f"src/{CANARY}", by=w.nia),
        ["message.send", "lease.expire", "lease.release"],
    ),
    "end expired": (lambda w: w.agentfs.leases.end_expired(), ["message.send", "lease.expire"]),
    "session": (lambda w: w.agentfs.sessions.start("sam", by=w.sam, title=CANARY), ["session.start"]),
    "end session": (lambda w: w.agentfs.sessions.end(w.session, by=w.nia), ["session.end"]),
    "call": (lambda w: w.agentfs.sessions.begin_call("sam", "search", by=w.sam), ["call.begin"]),
    "end call": (lambda w: w.agentfs.sessions.finish_call(w.call, by=w.nia, error=CANARY), ["call.finish"]),
    "snapshot": (lambda w: w.agentfs.snapshots.take(CANARY, by=ADA), ["snapshot.take"]),
    "restore snapshot": (
        lambda w: w.agentfs.snapshots.restore("before", by=ADA),
        ["snapshot.take", "state.restore", "snapshot.restore"],
    ),
    "setting": (lambda w: w.agentfs.settings.put("theme", CANARY), ["setting.put"]),
    "document": (put_document, ["document.put"]),
    "search": (lambda w: w.agentfs.audit.record(w.sam, "search.run", "all"), ["search.run"]),
}
each_action = pytest.mark.parametrize("name", list(ACTIONS))


def dump(agentfs: AgentFS) -> list[str]:
    with closing(sqlite3.connect(agentfs.database.path)) as connection:
        return list(connection.iterdump())


@each_action
def test_every_change_leaves_its_records(world: World, name: str) -> None:
    act, expected = ACTIONS[name]
    position, _ = world.agentfs.audit.head()
    act(world)
    newest, _ = world.agentfs.audit.head()
    records = world.agentfs.audit.page(position + 1, newest)
    assert [record.action for record in records] == expected
    assert {record.device for record in records} == {world.agentfs.device}
    for record in records:
        by_engine = record.action in ("agent.yield", "agent.admit", "lease.expire", "state.expire")
        assert (record.actor_kind is ActorKind.ENGINE) or not by_engine
        if record.actor == world.sam.id:
            assert (record.actor_kind, record.door, record.session_id) == (ActorKind.AGENT, "mcp", "s1")
    items = [
        record for record in records if record.action.startswith(("state.", "session.", "message.send", "document."))
    ]
    assert all(record.journal is not None for record in items)
    assert world.agentfs.audit_check.verify().whole


@each_action
def test_a_change_whose_record_cannot_be_written_does_not_happen(world: World, name: str) -> None:
    act, _ = ACTIONS[name]
    if name in ("register", "new key"):
        pass_time(world.agentfs.database, 121)
    with closing(sqlite3.connect(world.agentfs.database.path)) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'no record today'); END"
        )
    before = dump(world.agentfs)
    with pytest.raises(WorkspaceUnusable, match="no record today"):
        act(world)
    assert dump(world.agentfs) == before


@pytest.mark.parametrize("table", ["state_history", "message_receipts", "leases", "tool_calls", "snapshots"])
def test_a_change_that_fails_leaves_no_record(world: World, table: str) -> None:
    acts = {
        "state_history": ACTIONS["put"][0],
        "message_receipts": ACTIONS["send"][0],
        "leases": ACTIONS["take"][0],
        "tool_calls": ACTIONS["call"][0],
        "snapshots": ACTIONS["snapshot"][0],
    }
    with closing(sqlite3.connect(world.agentfs.database.path)) as connection:
        connection.execute(f"CREATE TRIGGER refuse AFTER INSERT ON {table} BEGIN SELECT raise(ABORT, 'no'); END")
    before = dump(world.agentfs)
    with pytest.raises(WorkspaceUnusable):
        acts[table](world)
    assert dump(world.agentfs) == before


def test_a_record_goes_with_a_transaction_that_raises(agentfs: AgentFS) -> None:
    def fail() -> None:
        with agentfs.database.transaction() as connection:
            agentfs.audit.append(connection, ADA, "search.run", "all")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert agentfs.audit.head() == (0, GENESIS)


def test_the_trail_holds_no_content(world: World) -> None:
    for name in ("put", "restore", "send", "take", "renew", "end call", "session", "snapshot", "setting", "document"):
        ACTIONS[name][0](world)
    register_three(world)
    world.agentfs.agents.retire("nia", by=ADA, reason=CANARY)
    secrets = [CANARY, *(world.agentfs.agents.read_key(agent.id) for agent in (world.sam,))]
    with closing(sqlite3.connect(world.agentfs.database.path)) as connection:
        rows = [" ".join(map(str, row)) for row in connection.execute("SELECT * FROM audit")]
    assert len(rows) > 20
    for secret in secrets:
        assert secret
        assert not [row for row in rows if secret in row]


def test_records_are_found_again(world: World) -> None:
    trail = world.agentfs.audit
    newest, _ = trail.head()
    everything = trail.page(trail.first(), newest)
    assert [record.position for record in everything] == list(range(1, newest + 1))
    assert trail.at([3, 1, 10_000]) == [everything[0], everything[2]]
    by_nia = [record.position for record in everything if record.actor == world.nia.id]
    assert list(trail.matching(AuditFilters(actor=world.nia.id))) == by_nia
    states = [record.position for record in everything if record.action.startswith("state.")]
    assert list(trail.matching(AuditFilters(action="state"))) == states
    assert list(trail.matching(AuditFilters(action="stat"))) == []
    assert list(trail.matching(AuditFilters(action="state.put"))) == states
    about = [record.position for record in everything if record.subject == world.message]
    assert list(trail.matching(AuditFilters(subject=world.message))) == about
    assert list(trail.matching(AuditFilters())) == list(range(1, newest + 1))


# The guards


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'x'", "UPDATE audit SET hash = hash", "DELETE FROM audit WHERE position = 2"],
)
def test_the_database_itself_refuses_to_change_records(world: World, statement: str) -> None:
    before = dump(world.agentfs)
    with (
        closing(sqlite3.connect(world.agentfs.database.path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)
    assert dump(world.agentfs) == before


# Harm done to a copy by someone who can write files

Harm = Callable[[sqlite3.Connection], object]
LAST = 12


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A workspace of twelve records, the last of them signed: agent.register, agent.admit, and ten times state.put."""
    root = tmp_path / "whole"
    with reopened(root, AgentPolicy()) as agentfs:
        nia = join(agentfs, "nia")
        for number in range(10):
            agentfs.states.put("nia", f"k{number}", number, by=nia)
        assert agentfs.audit_check.sign_head() == ""
        assert agentfs.audit.head()[0] == LAST
    return root


def copied(root: Path) -> Path:
    return Path(shutil.copytree(root, root.with_name("copy")))


def verified(root: Path) -> AuditVerdict:
    with reopened(root, AgentPolicy()) as agentfs:
        return agentfs.audit_check.verify()


def harmed(root: Path, harm: Harm) -> AuditVerdict:
    """What verifying says of a copy on which ``harm`` was done with the guards away, and put up again after it."""
    copy = copied(root)
    with closing(sqlite3.connect(copy / "agentfs.db", isolation_level=None)) as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        harm(connection)
        for _, text in guards:
            connection.execute(text)
    return verified(copy)


def rechain(connection: sqlite3.Connection) -> None:
    """Give every record the hash that follows from what it now says, as one who knows the algorithm would."""
    previous = GENESIS
    connection.row_factory = sqlite3.Row
    for row in connection.execute("SELECT * FROM audit ORDER BY position").fetchall():
        previous = chained(previous, row["position"], tuple(row[name] for name in FIELDS))
        connection.execute("UPDATE audit SET hash = ? WHERE position = ?", (previous, row["position"]))


def renumber(connection: sqlite3.Connection, first: int, by: int) -> None:
    connection.execute("UPDATE audit SET position = -position WHERE position >= ?", (first,))
    connection.execute("UPDATE audit SET position = ? - position WHERE position < 0", (by,))


def test_an_untouched_copy_is_whole(whole: Path) -> None:
    for verdict in (verified(whole), harmed(whole, lambda connection: None)):
        assert verdict.whole
        assert verdict.records == LAST


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01T00:00:00.000000+00:00"),
        ("actor_kind", "person"),
        ("actor", "someone"),
        ("verified", 0),
        ("door", "cli"),
        ("session_id", "s9"),
        ("action", "state.delete"),
        ("subject", "something"),
        ("details", "{}"),
        ("journal", 99),
        ("hash", "0" * 64),
        ("device", "another"),
        ("actor", b"\x00"),
        ("details", float("inf")),
    ],
)
def test_a_changed_field_names_its_record(whole: Path, column: str, value: object) -> None:
    statement = f"UPDATE audit SET {column} = ? WHERE position = 6"  # noqa: S608 - names of ours
    verdict = harmed(whole, lambda connection: connection.execute(statement, (value,)))
    assert not verdict.whole
    assert verdict.integrity[0].position == 6
    assert "Record 6" in verdict.integrity[0].sentence
    assert verdict.records == LAST


def test_text_that_is_none_is_told_rather_than_a_crash(whole: Path) -> None:
    try:
        verdict = harmed(
            whole,
            lambda connection: connection.execute("UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE position = 6"),
        )
    except BailiwickError:
        return
    assert verdict.integrity[0].position == 6


def test_a_field_cannot_be_changed_in_place_while_the_guards_are_there(whole: Path) -> None:
    copy = copied(whole)
    with (
        closing(sqlite3.connect(copy / "agentfs.db", isolation_level=None)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(
            "INSERT OR REPLACE INTO audit SELECT position, device, at, actor_kind, 'someone', verified, door,"
            " session_id, action, subject, details, journal, hash FROM audit WHERE position = 6"
        )
    assert verified(copy).whole


def test_a_removed_record_is_named(whole: Path) -> None:
    verdict = harmed(whole, lambda connection: connection.execute("DELETE FROM audit WHERE position = 6"))
    assert verdict.completeness[0].position == 6
    assert verdict.completeness[0].sentence == "Record 6 is missing."
    assert "1 changes of items have no record." in [problem.sentence for problem in verdict.completeness]
    assert verdict.integrity == ()


def test_several_gaps_are_each_named(whole: Path) -> None:
    verdict = harmed(whole, lambda connection: connection.execute("DELETE FROM audit WHERE position IN (1, 5, 6, 9)"))
    assert [problem.position for problem in verdict.completeness][:3] == [1, 5, 9]


def test_a_removed_record_with_the_others_moved_up_is_named(whole: Path) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit WHERE position = 6")
        renumber(connection, 7, -1)

    verdict = harmed(whole, harm)
    assert verdict.integrity[0].position == 6
    assert not verdict.whole


@pytest.mark.parametrize("position", [1, 6, LAST + 1])
def test_a_record_put_in_is_named(whole: Path, position: int) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        renumber(connection, position, 1)
        connection.execute(
            "INSERT INTO audit SELECT ?, device, at, actor_kind, actor, verified, door, session_id, action, subject,"
            " details, NULL, hash FROM audit WHERE position = 3",
            (position,),
        )

    verdict = harmed(whole, harm)
    assert verdict.integrity[0].position == position


@pytest.mark.parametrize("careful", [False, True])
def test_a_tail_that_was_cut_off_is_named(whole: Path, careful: bool) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit WHERE position > 9")
        if careful:
            connection.execute("UPDATE sqlite_sequence SET seq = 9 WHERE name = 'audit'")

    verdict = harmed(whole, harm)
    assert verdict.completeness[0].position == 10
    assert ("signed head is record 12" if careful else "10 to 12 were cut off") in verdict.completeness[0].sentence


def test_a_tail_cut_off_with_the_changes_it_told_of_is_named_by_the_signed_head(whole: Path) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM journal WHERE position > (SELECT max(journal) FROM audit WHERE position <= 9)")
        connection.execute("DELETE FROM audit WHERE position > 9")
        connection.execute("UPDATE sqlite_sequence SET seq = 9 WHERE name = 'audit'")

    verdict = harmed(whole, harm)
    assert [problem.position for problem in verdict.completeness] == [10]


def test_a_chain_rewritten_from_its_first_record_is_named_by_the_signed_head(whole: Path) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE audit SET actor = 'someone' WHERE position = 6")
        rechain(connection)

    verdict = harmed(whole, harm)
    assert [problem.position for problem in verdict.integrity] == [LAST]
    assert "signed" in verdict.integrity[0].sentence
    assert verdict.completeness == ()


def test_a_trail_emptied_is_named(whole: Path) -> None:
    verdict = harmed(whole, lambda connection: connection.execute("DELETE FROM audit"))
    assert verdict.completeness[0].position == 1
    assert verdict.records == 0


def forge(root: Path) -> None:
    path = root / "audit-head.json"
    held = json.loads(path.read_text())
    held["head"]["position"] = 9
    path.write_text(json.dumps(held))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda root: (root / "audit-head.json").unlink(), "is missing"),
        (forge, "does not fit"),
        (lambda root: (root / "audit-head.json").write_text("{}"), "cannot be read"),
        (lambda root: (root / "audit-head.json").write_text("[]"), "cannot be read"),
        (lambda root: (root / "audit-head.json").write_bytes(b"\xff"), "cannot be read"),
        (lambda root: (root / "keys" / "device.key").write_text("00" * 32), "does not fit"),
        (lambda root: (root / "keys" / "device.key").write_text("zz"), "missing or damaged"),
        (lambda root: (root / "keys" / "device.key").unlink(), "missing or damaged"),
    ],
    ids=["missing", "forged", "empty", "list", "binary", "other key", "no key", "key missing"],
)
def test_a_signed_head_that_cannot_be_trusted_is_named(
    whole: Path, harm: Callable[[Path], object], sentence: str
) -> None:
    copy = copied(whole)
    harm(copy)
    with reopened(copy, AgentPolicy()) as agentfs:
        (problem,) = agentfs.audit_check.verify().completeness
        assert sentence in problem.sentence
        assert sentence in agentfs.audit_check.sign_head()
        assert sentence in agentfs.audit_check.verify().completeness[0].sentence


def test_nothing_is_signed_over_a_trail_that_lost_what_was_signed(whole: Path) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit WHERE position > 9")

    harmed(whole, harm)
    with reopened(whole.with_name("copy"), AgentPolicy()) as agentfs:
        agentfs.states.put("nia", "k", 1, by=ADA)
        assert "no longer holds record 12" in agentfs.audit_check.sign_head()


def test_a_head_is_signed_again_as_the_trail_grows(whole: Path) -> None:
    with reopened(whole, AgentPolicy()) as agentfs:
        first = (whole / "audit-head.json").read_text()
        assert agentfs.audit_check.sign_head() == ""
        assert (whole / "audit-head.json").read_text() == first
        agentfs.states.put("nia", "k", 1, by=ADA)
        assert agentfs.audit_check.verify().whole
        assert agentfs.audit_check.sign_head() == ""
        assert json.loads((whole / "audit-head.json").read_text())["head"]["position"] == LAST + 1
        assert agentfs.audit_check.verify().whole
    for path in (whole / "audit-head.json", whole / "keys" / "device.key"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("guard", ["audit_refuses_update", "audit_refuses_delete"])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_guard_taken_off_or_made_toothless_is_named(whole: Path, guard: str, replaced: bool) -> None:
    copy = copied(whole)
    with closing(sqlite3.connect(copy / "agentfs.db", isolation_level=None)) as connection:
        connection.execute(f"DROP TRIGGER {guard}")
        if replaced:
            connection.execute(f"CREATE TRIGGER {guard} BEFORE UPDATE ON audit BEGIN SELECT 1; END")
    (problem,) = verified(copy).completeness
    assert guard in problem.sentence


PAST_THE_TRAIL = {
    "leases": """
        INSERT INTO leases (id, agent_id, resource, mode, seconds, acquired_at, expires_at)
        SELECT 'x', id, 'src', 'exclusive', 60, created_at, created_at FROM agents""",
    "tool calls": """
        INSERT INTO tool_calls (id, agent_id, tool, started_at) SELECT 'x', id, 'run', created_at FROM agents""",
    "agents": """
        INSERT INTO agents (id, name, type, created_at, last_activity, owner, admission, key_sha256)
        SELECT 'x', 'x', type, created_at, last_activity, owner, admission, key_sha256 FROM agents""",
    "changes of items": """
        INSERT INTO journal (item_id, operation, sha256, at)
        SELECT id, 'put', sha256, created_at FROM items LIMIT 1""",
}


@pytest.mark.parametrize("what", list(PAST_THE_TRAIL))
def test_a_change_made_past_the_trail_is_counted(whole: Path, what: str) -> None:
    verdict = harmed(whole, lambda connection: connection.execute(PAST_THE_TRAIL[what]))
    assert [problem.sentence for problem in verdict.completeness] == [f"1 {what} have no record."]


# The archive


def later() -> datetime:
    return now() + timedelta(seconds=1)


def test_archived_records_leave_the_database_and_the_chain_goes_on(whole: Path) -> None:
    with reopened(whole, AgentPolicy()) as agentfs:
        archive = agentfs.audit_check.archive
        assert archive.archive(datetime(2020, 1, 1, tzinfo=UTC), by=ADA) == 0
        head = agentfs.audit.head()
        assert archive.archive(later(), by=ADA) == LAST - 1
        assert agentfs.audit.first() == LAST
        assert agentfs.audit.head()[0] == LAST + 1
        assert agentfs.audit.page(1, LAST)[0].hash == head[1]
        file = whole / "logs" / f"audit-1-{LAST - 1}.jsonl.gz"
        assert file.stat().st_mode & 0o777 == 0o600
        with gzip.open(file, "rt") as lines:
            assert [json.loads(line)["position"] for line in lines] == list(range(1, LAST))
        verdict = agentfs.audit_check.verify()
        assert verdict.whole
        assert verdict.records == LAST + 1
        agentfs.states.put("nia", "k", 1, by=ADA)
        agentfs.leases.take("nia", "src", by=ADA)
        assert archive.archive(later(), by=ADA) == 3
        assert agentfs.audit_check.verify().whole
        assert agentfs.audit_check.verify().records == agentfs.audit.head()[0] == LAST + 4
        assert agentfs.audit_check.sign_head() == ""
    assert verified(whole).whole


def test_records_that_stay_are_still_guarded_and_those_archived_are_not_missed(whole: Path) -> None:
    with reopened(whole, AgentPolicy()) as agentfs:
        agentfs.audit_check.archive.archive(later(), by=ADA)
    with (
        closing(sqlite3.connect(whole / "agentfs.db")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute("DELETE FROM audit")


def test_a_clock_that_was_put_back_loses_no_record(whole: Path) -> None:
    """Record 13 is dated tomorrow; what follows it stays with it until tomorrow is past."""
    with closing(sqlite3.connect(whole / "agentfs.db", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        last = connection.execute("SELECT * FROM audit WHERE position = ?", (LAST,)).fetchone()
        fields = {name: last[name] for name in FIELDS} | {"at": to_text(now() + timedelta(days=1)), "journal": None}
        values = tuple(fields.values())
        row = (LAST + 1, *values, chained(last["hash"], LAST + 1, values))
        connection.execute(f"INSERT INTO audit VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 - only marks
    with reopened(whole, AgentPolicy()) as agentfs:
        for number in range(3):
            agentfs.states.put("nia", "k", number, by=ADA)
        assert agentfs.audit_check.verify().whole
        assert agentfs.audit_check.archive.archive(later(), by=ADA) == LAST
        verdict = agentfs.audit_check.verify()
        assert verdict.whole
        assert verdict.records == agentfs.audit.head()[0] == LAST + 5


@pytest.fixture
def archived(whole: Path) -> Path:
    """The twelve records, the first eleven of them in two segments: 1 to 8 and 9 to 11, and two records of that."""
    with reopened(whole, AgentPolicy()) as agentfs:
        ninth = agentfs.audit.page(9, 9)[0].at
        assert agentfs.audit_check.archive.archive(ninth, by=ADA) == 8
        twelfth = agentfs.audit.page(12, 12)[0].at
        assert agentfs.audit_check.archive.archive(twelfth, by=ADA) == 3
    return whole


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def first_segment(root: Path) -> Path:
    return root / "logs" / "audit-1-8.jsonl.gz"


FILE_HARMS: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 9),
    "changed": lambda path: rewrite(path, lambda text: text.replace(b'"state.put"', b'"state.get"', 1)),
    "no archive": lambda path: path.write_bytes(b"x"),
}


@pytest.mark.parametrize("how", list(FILE_HARMS))
def test_a_segment_whose_file_is_missing_or_changed_is_named(archived: Path, how: str) -> None:
    copy = copied(archived)
    assert verified(copy).whole
    FILE_HARMS[how](first_segment(copy))
    verdict = verified(copy)
    (problem,) = verdict.completeness
    assert problem.position == 1
    assert first_segment(copy).name in problem.sentence
    assert verdict.integrity == ()


def test_a_missing_segment_that_held_the_signed_record_is_missed_and_nothing_else(archived: Path) -> None:
    with reopened(archived, AgentPolicy()) as agentfs:
        agentfs.audit_check.sign_head()
        agentfs.states.put("nia", "k", 1, by=ADA)
        agentfs.audit_check.archive.archive(later(), by=ADA)
    (archived / "logs" / "audit-12-14.jsonl.gz").unlink()
    verdict = verified(archived)
    assert [problem.position for problem in verdict.completeness] == [12]
    assert verdict.integrity == ()


def with_new_checksum(root: Path, how: str) -> Harm:
    def harm(connection: sqlite3.Connection) -> None:
        path = first_segment(root.with_name("copy"))
        FILE_HARMS[how](path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        connection.execute("UPDATE audit_segments SET file_sha256 = ? WHERE first = 1", (digest,))

    return harm


def test_a_changed_segment_with_a_new_checksum_is_named_by_its_record(archived: Path) -> None:
    verdict = harmed(archived, with_new_checksum(archived, "changed"))
    assert verdict.integrity[0].position == 3


@pytest.mark.parametrize("how", ["cut", "no archive"])
def test_an_unreadable_segment_with_a_new_checksum_is_named(archived: Path, how: str) -> None:
    verdict = harmed(archived, with_new_checksum(archived, how))
    assert first_segment(archived).name in verdict.completeness[0].sentence


def test_a_segment_with_other_lines_than_records_is_named(archived: Path) -> None:
    def harm(connection: sqlite3.Connection) -> None:
        path = first_segment(archived.with_name("copy"))
        rewrite(path, lambda text: b'[1]\n{"position": 2}\n')
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        connection.execute("UPDATE audit_segments SET file_sha256 = ? WHERE first = 1", (digest,))

    assert not harmed(archived, harm).whole


def test_a_forgotten_segment_is_named(archived: Path) -> None:
    verdict = harmed(archived, lambda connection: connection.execute("DELETE FROM audit_segments WHERE first = 1"))
    assert verdict.completeness[0].position == 1
    assert "1 to 8" in verdict.completeness[0].sentence
