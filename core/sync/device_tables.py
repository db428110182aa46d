"""The devices that write to the remote, and the audit heads that each showed."""

from __future__ import annotations

import sqlite3

from core.agentfs.database import from_text
from core.sync.commit import Commit
from core.sync.rows import Rows
from core.sync_model import DeviceStatus


class DeviceTables(Rows):
    """Devices as their cards and commits tell of them."""

    def device(self, device: str) -> tuple[str, str]:
        """Name and user of a device as its card says, empty where no card was seen."""
        row = self.one("SELECT name, user FROM sync_devices WHERE device = ?", (device,))
        return (str(row["name"]), str(row["user"])) if row is not None else ("", "")

    def signing_key(self, device: str) -> str:
        """The device's public key as its card said, empty where no card was seen."""
        row = self.one("SELECT signing_key FROM sync_devices WHERE device = ?", (device,))
        return str(row["signing_key"]) if row is not None else ""

    def put_device(self, device: str, name: str, user: str, signing_key: str) -> None:
        """Note what a device's card says; whoever calls has checked it."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO sync_devices (device, name, user, signing_key) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (device) DO UPDATE SET name = excluded.name, user = excluded.user,"
                " signing_key = excluded.signing_key",
                (device, name, user, signing_key),
            )

    def devices(self) -> list[DeviceStatus]:
        """Every device that wrote a commit or showed a card; which of them this is, is for others to say."""
        rows = self.all(
            "SELECT d.*, (SELECT count(*) FROM sync_commits c WHERE c.device = d.device) AS commits"
            " FROM sync_devices d ORDER BY last_commit_at DESC",
            (),
        )
        return [
            DeviceStatus(
                row["device"],
                row["name"],
                row["user"],
                False,
                row["commits"],
                from_text(row["last_commit_at"]) if row["last_commit_at"] else None,
                row["audit_position"],
                row["problem"],
            )
            for row in rows
        ]

    def devices_with_cards(self) -> set[str]:
        """The devices whose card was seen and checked."""
        return {row["device"] for row in self.all("SELECT device FROM sync_devices WHERE signing_key <> ''", ())}

    def device_problems(self) -> list[tuple[str, str, str]]:
        """The devices with a problem: id, name, and what it is."""
        rows = self.all("SELECT device, name, problem FROM sync_devices WHERE problem <> '' ORDER BY device", ())
        return [(row["device"], row["name"], row["problem"]) for row in rows]

    def note_audit_head(self, connection: sqlite3.Connection, commit: Commit) -> str:
        """Note the audit head in a commit; the answer says what is wrong with that device's trail, empty if nothing."""
        head = commit.audit
        row = connection.execute("SELECT problem FROM sync_devices WHERE device = ?", (commit.device,)).fetchone()
        problem = str(row["problem"]) if row is not None else ""
        for position, digest in [(head.position, head.hash), *([head.before] if head.before is not None else [])]:
            other = connection.execute(
                "SELECT 1 FROM sync_audit_heads INDEXED BY sync_audit_heads_by_position"
                " WHERE device = ? AND position = ? AND hash <> ?",
                (commit.device, position, digest),
            ).fetchone()
            if other is not None:
                problem = f"its audit trail was rewritten: record {position:,} is not the one that it showed before"
        # Only commits of one area are in an order.
        seen = connection.execute(
            "SELECT max(position) AS position FROM sync_audit_heads WHERE device = ? AND area = ? AND seq < ?",
            (commit.device, commit.area, commit.seq),
        ).fetchone()
        if seen["position"] is not None and head.position < seen["position"]:
            problem = (
                f"its audit trail was cut off: it ended at record {seen['position']:,} before,"
                f" and at {head.position:,} in commit {commit.seq} of {commit.area}"
            )
        connection.execute(
            "INSERT OR REPLACE INTO sync_audit_heads (device, position, hash, area, seq) VALUES (?, ?, ?, ?, ?)",
            (commit.device, head.position, head.hash, commit.area, commit.seq),
        )
        connection.execute(
            "INSERT INTO sync_devices (device, audit_position, audit_hash, problem) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE SET problem = excluded.problem,"
            " audit_hash = CASE WHEN excluded.audit_position >= audit_position THEN excluded.audit_hash"
            " ELSE audit_hash END, audit_position = max(audit_position, excluded.audit_position)",
            (commit.device, head.position, head.hash, problem),
        )
        return problem

    def last_audit_position(self, device: str, area: str) -> int:
        """The position of the head that a device's newest commit in ``area`` showed; 0 where there is none."""
        row = self.one(
            "SELECT position FROM sync_audit_heads WHERE device = ? AND area = ? ORDER BY seq DESC LIMIT 1",
            (device, area),
        )
        return int(row["position"]) if row is not None else 0
