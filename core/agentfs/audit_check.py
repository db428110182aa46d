"""Verifies the audit trail: is what is there unchanged, and is everything there that should be."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from core.agent_model import AuditProblem, AuditVerdict
from core.agentfs.audit import FIELDS, GENESIS, RESTORE, AuditTrail, chained
from core.agentfs.audit_anchor import AnchorState, AuditAnchor
from core.agentfs.audit_archive import AuditArchive
from core.agentfs.database import Database, translated
from core.errors import BailiwickError

# The triggers as the migrations wrote them: one that says something else guards nothing.
_REFUSAL = "BEGIN\n    SELECT raise(ABORT, 'the audit trail is append-only');\nEND"
_ARCHIVED = "(SELECT coalesce(max(last), 0) FROM audit_segments)"
GUARDS = {
    "audit_refuses_update": f"CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit\n{_REFUSAL}",
    "audit_refuses_delete": "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit\n"
    f"WHEN OLD.position > {_ARCHIVED}\n{_REFUSAL}",
    "audit_refuses_replace": "CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit\n"  # noqa: S608 - our own text
    f"WHEN NEW.position <= {_ARCHIVED}\n"
    f"    OR EXISTS (SELECT 1 FROM audit WHERE position = NEW.position OR journal = NEW.journal)\n{_REFUSAL}",
}
_UNRECORDED = {
    "changes of items": """
        SELECT count(*) AS n FROM journal j WHERE j.position > :journal
        AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.journal = j.position)""",
    "leases": """
        SELECT count(*) AS n FROM leases l WHERE l.acquired_at > :moment
        AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = l.id)""",
    "tool calls": """
        SELECT count(*) AS n FROM tool_calls c WHERE c.started_at > :moment
        AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = c.id)""",
    "agents": """
        SELECT count(*) AS n FROM agents g WHERE g.type <> 'person' AND g.created_at > :moment
        AND NOT EXISTS (SELECT 1 FROM audit a WHERE a.subject = g.id)""",
}


@dataclass(slots=True)
class _Walk:
    """Where a walk along the chain has come to; ``device`` is empty where any may follow."""

    position: int = 0
    hash: str = GENESIS
    device: str = ""
    records: int = 0
    broken: list[AuditProblem] = field(default_factory=list)
    missing: list[AuditProblem] = field(default_factory=list)
    anchored: str = ""


class AuditCheck:
    """Reads the whole trail, archived segments included. Safe from any thread; changes nothing."""

    def __init__(self, database: Database, trail: AuditTrail, root: Path) -> None:
        self._database = database
        self._trail = trail
        self.anchor = AuditAnchor(root)
        self.archive = AuditArchive(database, trail, root / "logs")

    def verify(self) -> AuditVerdict:
        """Walk the chain from its first record to its last.

        *Integrity* says whether every record is as it was written and follows its predecessor; *completeness* whether
        records lack at either end or beside the changes they should tell of, and whether the trail is still guarded.
        """
        with translated(self._database.path):
            connection = self._database.connection()
            connection.execute("BEGIN")
            try:
                anchor = self.anchor.read()
                walk = _Walk()
                self._walk_segments(connection, walk, anchor)
                archived = walk.position
                for row in connection.execute("SELECT * FROM audit ORDER BY position"):
                    fields = tuple(row[name] for name in FIELDS)
                    _step(walk, row["position"], fields, row["hash"], anchor)
                if walk.device not in ("", self._trail.device):
                    walk.broken.append(_of_another_device(walk.position))
                self._check_ends(connection, walk, archived, anchor)
                self._check_changes(connection, walk)
            finally:
                connection.execute("COMMIT")
        return AuditVerdict(tuple(walk.broken), tuple(walk.missing), walk.records)

    def _walk_segments(self, connection: sqlite3.Connection, walk: _Walk, anchor: AnchorState) -> None:
        for segment in connection.execute("SELECT * FROM audit_segments ORDER BY first").fetchall():
            try:
                for record in self.archive.records(segment["file"], segment["file_sha256"]):
                    fields = tuple(record[name] for name in FIELDS)
                    _step(walk, int(record["position"] or 0), fields, str(record["hash"]), anchor)
            except BailiwickError as error:
                walk.missing.append(AuditProblem(segment["first"], error.message))
                walk.position, walk.hash, walk.device = segment["last"], segment["last_hash"], ""

    def sign_head(self) -> str:
        """Sign the newest head, unless what was signed before is no longer on the trail: then a sentence says so."""
        signed = self.anchor.read()
        position, digest = self._trail.head()
        if signed.problem:
            return signed.problem
        if position == signed.position and digest == signed.hash:
            return ""
        if signed.position and not self._holds(signed):
            return f"The audit trail no longer holds record {signed.position} as it was signed."
        if position:
            self.anchor.write(self._trail.device, position, digest)
        return ""

    def _holds(self, signed: AnchorState) -> bool:
        records = self._trail.page(signed.position, signed.position)
        return signed.position < self._trail.first() if not records else records[0].hash == signed.hash

    def _check_ends(self, connection: sqlite3.Connection, walk: _Walk, archived: int, anchor: AnchorState) -> None:
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
        newest = max(int(row["seq"]) if row is not None else 0, archived)
        if newest > walk.position:
            walk.missing.append(
                AuditProblem(walk.position + 1, f"Records {walk.position + 1} to {newest} were cut off at the end.")
            )
        if anchor.problem:
            walk.missing.append(AuditProblem(walk.position, anchor.problem))
        elif anchor.position > walk.position:
            if newest <= walk.position:
                sentence = f"The signed head is record {anchor.position}, but the trail ends at {walk.position}."
                walk.missing.append(AuditProblem(walk.position + 1, sentence))
        elif walk.anchored not in ("", anchor.hash) and not walk.broken:
            walk.broken.append(
                AuditProblem(anchor.position, f"Record {anchor.position} is not the one whose hash was signed.")
            )
        present = {
            str(each["name"]): str(each["sql"])
            for each in connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        }
        for name, text in GUARDS.items():
            if name not in present:
                walk.missing.append(AuditProblem(walk.position, f"The guard {name} was taken off the trail."))
            elif present[name] != text:
                walk.missing.append(AuditProblem(walk.position, f"The guard {name} of the trail was changed."))

    @staticmethod
    def _check_changes(connection: sqlite3.Connection, walk: _Walk) -> None:
        """What lies before the trail began, or was archived with its records, is not asked for."""
        archived = connection.execute(
            "SELECT max(last_journal) AS journal, count(*) AS n FROM audit_segments"
        ).fetchone()
        begun = connection.execute("SELECT value FROM settings WHERE key = 'audit.since_journal'").fetchone()
        since = max(int(archived["journal"] or 0), int(json.loads(begun["value"])) if begun is not None else 0)
        oldest = connection.execute("SELECT min(at) AS moment FROM audit").fetchone()["moment"]
        parameters = {"journal": since, "moment": (oldest or "9999") if archived["n"] else ""}
        for what, statement in _UNRECORDED.items():
            count = int(connection.execute(statement, parameters).fetchone()["n"])
            if count:
                walk.missing.append(AuditProblem(walk.position, f"{count:,} {what} have no record."))


def _of_another_device(position: int) -> AuditProblem:
    return AuditProblem(position, f"Record {position} is of another device.")


def _continues(walk: _Walk, fields: tuple[str | int | None, ...]) -> bool:
    """Whether a record of another device goes on with this trail because it was restored there from a backup."""
    held = dict(zip(FIELDS, fields, strict=True))
    try:
        details = json.loads(str(held["details"]))
        return bool(held["action"] == RESTORE and (details["device"], details["head"]) == (walk.device, walk.hash))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _chained(previous: str, position: int, fields: tuple[str | int | None, ...]) -> str:
    """As ``chained``; empty where a field holds what no record was ever written with."""
    try:
        return chained(previous, position, fields)
    except (TypeError, ValueError):
        return ""


def _step(
    walk: _Walk,
    position: int,
    fields: tuple[str | int | None, ...],
    digest: str,
    anchor: AnchorState,
) -> None:
    """Take the next record; after a gap the walk goes on from what is there, so that each fault is named once."""
    walk.records += 1
    gap = position != walk.position + 1
    if gap:
        first, last = walk.position + 1, position - 1
        lacking = f"Record {first} is" if first == last else f"Records {first} to {last} are"
        walk.missing.append(AuditProblem(first, f"{lacking} missing."))
        walk.device = ""
    if walk.device not in ("", fields[0]) and not _continues(walk, fields):
        walk.broken.append(_of_another_device(position))
    walk.device = str(fields[0])
    if not gap and _chained(walk.hash, position, fields) != digest:
        walk.broken.append(AuditProblem(position, f"Record {position} was changed or put in, or follows one that was."))
        walk.device = ""
    if position == anchor.position:
        walk.anchored = digest
    walk.position, walk.hash = position, digest
