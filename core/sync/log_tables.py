"""How far this device is in the log of each area, and the commits it took in or tried."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from core.agentfs.database import from_text, now, to_text
from core.sync.commit import Commit
from core.sync.rows import Rows
from core.sync_model import Area, AreaKind


@dataclass(frozen=True, slots=True)
class Position:
    """How far an area is: the last commit taken in, the hash of its stored bytes, the journal position scanned."""

    seq: int
    hash: str
    scanned: int


class LogTables(Rows):
    """Areas and their commits."""

    def open_area(self, area: Area) -> Position:
        """How far ``area`` is; it is noted when it was not known."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sync_areas (area, kind, name) VALUES (?, ?, ?)",
                (area.id, area.kind.value, area.name),
            )
        return self.position(area.id)

    def position(self, area: str) -> Position:
        """How far the area is; all zero where it is not known."""
        row = self.one("SELECT seq, hash, scanned FROM sync_areas WHERE area = ?", (area,))
        return Position(row["seq"], row["hash"], row["scanned"]) if row is not None else Position(0, "", 0)

    def areas(self) -> list[Area]:
        """Every area known here."""
        rows = self.all("SELECT kind, name FROM sync_areas ORDER BY area", ())
        return [Area(AreaKind(row["kind"]), row["name"]) for row in rows]

    def forget(self) -> None:
        """Know nothing of any remote any more: what is here stays, and is compared anew when one is joined."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM sync_areas")
            connection.execute("DELETE FROM sync_devices")
            connection.execute("DELETE FROM sync_audit_heads")

    def begin_anew(self, area: Area) -> None:
        """Know nothing of the area's log any more: what is here stays, and is compared with it as on joining."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM sync_areas WHERE area = ?", (area.id,))
        self.open_area(area)

    def set_problem(self, area: str, problem: str) -> None:
        """Note what keeps the area from going on, or that nothing does."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE sync_areas SET problem = ? WHERE area = ?", (problem, area))

    def set_synced(self, area: str) -> None:
        """Note that the area is up to date now."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE sync_areas SET synced_at = ?, problem = '' WHERE area = ?", (to_text(now()), area)
            )

    def synced(self, area: str) -> tuple[datetime | None, str]:
        """When the area was level last, and what keeps it from going on."""
        row = self.one("SELECT synced_at, problem FROM sync_areas WHERE area = ?", (area,))
        if row is None:
            return None, ""
        return from_text(row["synced_at"]) if row["synced_at"] else None, str(row["problem"])

    def advance(self, connection: sqlite3.Connection, commit: Commit, stored_hash: str, raw: bytes | None) -> None:
        """Note that ``commit`` was taken in, with the bytes it was stored as."""
        connection.execute(
            "UPDATE sync_areas SET seq = ?, hash = ? WHERE area = ?", (commit.seq, stored_hash, commit.area)
        )
        connection.execute("DELETE FROM sync_tried WHERE area = ? AND seq <= ?", (commit.area, commit.seq))
        connection.execute(
            "INSERT OR REPLACE INTO sync_commits (area, seq, hash, device, at, changes, raw)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (commit.area, commit.seq, stored_hash, commit.device, to_text(commit.at), len(commit.operations), raw),
        )
        connection.execute(
            "INSERT INTO sync_devices (device, last_commit_at) VALUES (?, ?)"
            " ON CONFLICT (device) DO UPDATE SET last_commit_at = excluded.last_commit_at",
            (commit.device, to_text(commit.at)),
        )

    def note_tried(self, area: str, seq: int, commit: str) -> None:
        """Note that this device is about to try to put the commit of that id, as number ``seq``."""
        with self.database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO sync_tried (area, seq, id) VALUES (?, ?, ?)", (area, seq, commit))

    def tried(self, area: str) -> set[str]:
        """The ids of the commits that were tried and may be in the log after what was taken in."""
        return {row["id"] for row in self.all("SELECT id FROM sync_tried WHERE area = ?", (area,))}

    def commits(self, area: str, first: int, last: int) -> list[tuple[int, str, bytes | None]]:
        """Number, hash and stored bytes of the commits from ``first`` to ``last`` that are remembered."""
        rows = self.all(
            "SELECT seq, hash, raw FROM sync_commits WHERE area = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (area, first, last),
        )
        return [(row["seq"], row["hash"], bytes(row["raw"]) if row["raw"] is not None else None) for row in rows]

    def bytes_of_commits(self, area: str, first: int, last: int) -> int:
        """How many bytes the remembered ones of the commits from ``first`` to ``last`` have in all."""
        row = self.one(
            "SELECT sum(length(raw)) AS n FROM sync_commits WHERE area = ? AND seq BETWEEN ? AND ?", (area, first, last)
        )
        return int(row["n"] or 0) if row is not None else 0

    def seq_of_hash(self, area: str, stored_hash: str) -> int | None:
        """As which number a commit of that hash was taken in, where it is remembered."""
        row = self.one("SELECT seq FROM sync_commits WHERE area = ? AND hash = ?", (area, stored_hash))
        return int(row["seq"]) if row is not None else None

    def device_of(self, area: str, seq: int) -> str:
        """The device that wrote commit ``seq``, empty where it is not remembered."""
        row = self.one("SELECT device FROM sync_commits WHERE area = ? AND seq = ?", (area, seq))
        return str(row["device"]) if row is not None else ""
