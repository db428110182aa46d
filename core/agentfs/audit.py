"""The audit trail: one append-only, hash-chained record for every change, written in the change's own transaction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from array import array

from core.agent_model import Actor, ActorKind, AuditFilters, AuditRecord
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.model import JSONObject

GENESIS = "0" * 64
RESTORE = "backup.restore"
"""The first record of a workspace restored from a backup, and the only one where the chain's device may change."""
FIELDS = (
    "device",
    "at",
    "actor_kind",
    "actor",
    "verified",
    "door",
    "session_id",
    "action",
    "subject",
    "details",
    "journal",
)
_INSERT = (
    "INSERT INTO audit (position, device, at, actor_kind, actor, verified, door, session_id, action, subject, details,"
    " journal, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def chained(previous: str, position: int, fields: tuple[str | int | None, ...]) -> str:
    """The hash of a record: SHA-256 of the previous record's hash (hexadecimal) and its fields as canonical JSON.

    ``fields`` are those that ``FIELDS`` names, as the table holds them.
    """
    return hashlib.sha256(f"{previous}{to_json([position, *fields])}".encode()).hexdigest()


class AuditTrail:
    """The records of this device, after those of the one it was restored from. Safe from any thread and process.

    ``append`` belongs to the caller's transaction.
    """

    def __init__(self, database: Database, device: str) -> None:
        self._database = database
        self.device = device

    def append(
        self,
        connection: sqlite3.Connection,
        by: Actor,
        action: str,
        subject: str,
        details: JSONObject | None = None,
        *,
        journal: int | None = None,
    ) -> int:
        """Add a record within the caller's write transaction; returns its position.

        ``details`` hold ids, hashes, versions and sizes, never content.
        """
        last = connection.execute("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1").fetchone()
        if last is None:
            last = connection.execute(
                "SELECT last, last_hash FROM audit_segments ORDER BY last DESC LIMIT 1"
            ).fetchone()
        position, previous = (last[0] + 1, last[1]) if last is not None else (1, GENESIS)
        fields = (
            self.device,
            to_text(now()),
            by.kind.value,
            by.id,
            int(by.verified),
            by.door,
            by.session_id,
            action,
            subject,
            to_json(details or {}),
            journal,
        )
        connection.execute(_INSERT, (position, *fields, chained(previous, position, fields)))
        return position

    def record(self, by: Actor, action: str, subject: str, details: JSONObject | None = None) -> int:
        """Add a record in a transaction of its own, for what changes nothing itself: a search, say."""
        with self._database.transaction() as connection:
            return self.append(connection, by, action, subject, details)

    def head(self) -> tuple[int, str]:
        """Position and hash of the newest record; ``(0, "0" * 64)`` before the first."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute(
                    "SELECT position, hash FROM audit UNION ALL SELECT last, last_hash FROM audit_segments"
                    " ORDER BY 1 DESC LIMIT 1"
                )
                .fetchone()
            )
        return (int(row[0]), str(row[1])) if row is not None else (0, GENESIS)

    def nouns_since(self, position: int) -> frozenset[str]:
        """What the records after ``position`` are about: the first words of their actions."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT DISTINCT substr(action, 1, instr(action, '.') - 1) FROM audit WHERE position > ?", (position,)
            )
            return frozenset(str(row[0]) for row in rows)

    def first(self) -> int:
        """The position of the oldest record that is not archived; 1 in an empty trail."""
        with translated(self._database.path):
            row = self._database.connection().execute("SELECT min(position) AS p FROM audit").fetchone()
        return int(row["p"]) if row["p"] is not None else 1

    def page(self, first: int, last: int) -> list[AuditRecord]:
        """The records with positions ``first`` to ``last``, oldest first."""
        return self._select("SELECT * FROM audit WHERE position BETWEEN ? AND ? ORDER BY position", (first, last))

    def at(self, positions: list[int]) -> list[AuditRecord]:
        """The records at ``positions``, oldest first."""
        return self._select(
            "SELECT * FROM audit WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position",
            (json.dumps(positions),),
        )

    def matching(self, filters: AuditFilters) -> array[int]:
        """The positions of all records that match, ascending; scans the trail where only ``subject`` is not given."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT position FROM audit WHERE (:actor = '' OR actor = :actor)"
                " AND (:subject = '' OR subject = :subject)"
                " AND (:action = '' OR action = :action OR substr(action, 1, length(:action) + 1) = :action || '.')"
                " ORDER BY position",
                {"actor": filters.actor, "action": filters.action, "subject": filters.subject},
            )
            return array("q", (row[0] for row in rows))

    def _select(self, statement: str, parameters: tuple[int | str, ...]) -> list[AuditRecord]:
        with translated(self._database.path):
            return [_record(row) for row in self._database.connection().execute(statement, parameters)]


def _record(row: sqlite3.Row) -> AuditRecord:
    return AuditRecord(
        position=row["position"],
        device=row["device"],
        at=from_text(row["at"]),
        actor_kind=ActorKind(row["actor_kind"]),
        actor=row["actor"],
        verified=bool(row["verified"]),
        door=row["door"],
        session_id=row["session_id"],
        action=row["action"],
        subject=row["subject"],
        details=json.loads(row["details"]),
        journal=row["journal"],
        hash=row["hash"],
    )
