"""The audit trail of a workspace that was restored from a backup: one chain that changes devices where it says so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, AuditRecord
from core.agentfs.agentfs import AgentFS
from core.agentfs.audit import FIELDS, GENESIS, AuditTrail, chained
from core.agentfs.backup import restore_backup, write_backup
from core.agentfs.database import now, to_json
from core.model import JSONObject

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[AgentFS]:
    """A workspace with a few records."""
    with closing(AgentFS(tmp_path / "workspace")) as agentfs:
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        agentfs.states.put("scout", "small", 1, by=ADA)
        yield agentfs


def restored_twice(lived: AgentFS, tmp_path: Path) -> tuple[AgentFS, list[AuditRecord]]:
    """A workspace restored from a backup of one that was restored itself, with its whole trail."""
    write_backup(lived, tmp_path / "first.tar.gz", by=ADA)
    restore_backup(tmp_path / "first.tar.gz", tmp_path / "second", by=ADA)
    with closing(AgentFS(tmp_path / "second")) as second:
        second.states.put("scout", "small", 2, by=ADA)
        write_backup(second, tmp_path / "second.tar.gz", by=ADA)
    restore_backup(tmp_path / "second.tar.gz", tmp_path / "third", by=ADA)
    third = AgentFS(tmp_path / "third")
    third.states.put("scout", "small", 3, by=ADA)
    return third, third.audit.page(third.audit.first(), third.audit.head()[0])


def seams(records: list[AuditRecord]) -> list[AuditRecord]:
    return [record for record in records if record.action == "backup.restore"]


def test_each_copy_goes_on_with_the_trail_as_a_device_of_its_own(lived: AgentFS, tmp_path: Path) -> None:
    third, records = restored_twice(lived, tmp_path)
    with closing(third):
        verdict = third.audit_check.verify()
        assert verdict.whole
        assert verdict.records == third.audit.head()[0]
        by_position = {record.position: record for record in records}
        assert len(seams(records)) == 2
        for seam in seams(records):
            before, after = by_position[seam.position - 1], by_position[seam.position + 1]
            assert seam.details["device"] == before.device != seam.device
            assert seam.details["head"] == before.hash
            assert seam.actor == "ada"
            assert after.device == seam.device
        assert third.audit_check.archive.archive(now() + timedelta(days=1), by=ADA) > len(seams(records))
        assert third.audit_check.verify().whole
        assert third.device == third.agents.engine.id
    with closing(AgentFS(tmp_path / "second")) as second:
        devices = {lived.device, second.device, third.device}
    assert len(devices) == 3
    assert devices == {record.device for record in records}


@pytest.mark.parametrize("where", ["before", "at", "after"])
@pytest.mark.parametrize("column", ["actor", "device", "details"])
def test_tampering_around_a_seam_is_found(lived: AgentFS, tmp_path: Path, where: str, column: str) -> None:
    third, records = restored_twice(lived, tmp_path)
    third.close()
    position = seams(records)[0].position + ("before", "at", "after").index(where) - 1
    with closing(sqlite3.connect(third.root / "agentfs.db")) as connection:
        connection.execute("DROP TRIGGER audit_refuses_update")
        connection.execute(f"UPDATE audit SET {column} = '[]' WHERE position = ?", (position,))  # noqa: S608 - ours
        connection.commit()
    with closing(AgentFS(third.root)) as again:
        verdict = again.audit_check.verify()
    assert {problem.position for problem in verdict.integrity} == {position}


def test_a_device_changes_only_at_a_restore_that_names_the_one_before(lived: AgentFS) -> None:
    trail = AuditTrail(lived.database, "another")
    with lived.database.transaction() as connection:
        position = trail.append(connection, ADA, "state.put", "x")
        told: JSONObject = {"device": "mallory", "head": lived.audit.head()[1]}
        trail_of_third = AuditTrail(lived.database, "a third")
        trail_of_third.append(connection, ADA, "backup.restore", "x", told)
    broken = lived.audit_check.verify().integrity
    assert [problem.position for problem in broken] == [position, position + 1, position + 1]
    assert all("of another device" in problem.sentence for problem in broken)


def test_the_trail_of_another_workspace_is_not_taken_for_this_one(lived: AgentFS) -> None:
    with lived.database.transaction() as connection:
        connection.execute("UPDATE settings SET value = '\"mallory\"' WHERE key = 'device.id'")
    with closing(AgentFS(lived.root)) as again:
        (problem,) = again.audit_check.verify().integrity
    assert "of another device" in problem.sentence


def test_a_trail_rewritten_from_before_the_seam_does_not_fit_what_was_signed(lived: AgentFS, tmp_path: Path) -> None:
    write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
    restore_backup(tmp_path / "backup.tar.gz", tmp_path / "restored", by=ADA)
    with closing(sqlite3.connect(tmp_path / "restored" / "agentfs.db")) as connection:
        connection.row_factory = sqlite3.Row
        guard = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'audit_refuses_update'").fetchone()[0]
        connection.execute("DROP TRIGGER audit_refuses_update")
        connection.execute("UPDATE audit SET actor = 'mallory' WHERE position = 1")
        previous = GENESIS
        for row in connection.execute("SELECT * FROM audit ORDER BY position").fetchall():
            held = dict(row)
            if held["action"] == "backup.restore":
                held["details"] = to_json({**json.loads(held["details"]), "head": previous})
            previous = chained(previous, held["position"], tuple(held[name] for name in FIELDS))
            connection.execute(
                "UPDATE audit SET details = ?, hash = ? WHERE position = ?",
                (held["details"], previous, held["position"]),
            )
        connection.execute(guard)
        connection.commit()
    with closing(AgentFS(tmp_path / "restored")) as again:
        (problem,) = again.audit_check.verify().integrity
    assert "not the one whose hash was signed" in problem.sentence
