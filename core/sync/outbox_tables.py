"""The outbox: what changed here and is not in the log yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.agentfs.database import from_text, now, to_text
from core.sync.rows import Rows


@dataclass(frozen=True, slots=True)
class Pending:
    """A path that changed here and is not in the log yet."""

    path: str
    size: int
    since: datetime


class OutboxTables(Rows):
    """What waits to go up."""

    def note_scanned(self, area: str, position: int, changed: Iterable[tuple[str, int]], level: Iterable[str]) -> None:
        """Note what changed here (paths with sizes), what is level again, and how far the journal was read, at once."""
        moment = to_text(now())
        with self.database.transaction() as connection:
            connection.executemany(
                "INSERT INTO sync_pending (area, path, size, since) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (area, path) DO UPDATE SET size = excluded.size",
                [(area, path, size, moment) for path, size in changed],
            )
            connection.executemany(
                "DELETE FROM sync_pending WHERE area = ? AND path = ?", [(area, path) for path in level]
            )
            connection.execute("UPDATE sync_areas SET scanned = ? WHERE area = ?", (position, area))

    def pending(self, area: str, limit: int = -1, *, at_most: int | None = None) -> list[Pending]:
        """What waits to go up, of at most so many bytes: small files before large ones, of these the oldest first.

        Conflicts go before everything else, whatever their size: what was ruled is known before what follows from it.
        """
        rows = self.all(
            "SELECT *, path >= 'conflicts/' AND path < 'conflicts0' AS is_conflict FROM sync_pending"
            " WHERE area = ? AND (size <= ? OR is_conflict)"
            " ORDER BY is_conflict DESC, size > 100000, since, path LIMIT ?",
            (area, at_most if at_most is not None else 1 << 62, limit),
        )
        return [Pending(row["path"], row["size"], from_text(row["since"])) for row in rows]

    def unscanned_counts(self, area: str, owner: str) -> tuple[int, int]:
        """How many items of ``owner`` changed that no scan has looked at yet and none of the outbox is, their bytes."""
        row = self.one(
            "SELECT count(*) AS n, sum(size) AS bytes FROM items WHERE owner = ? AND position >"
            " coalesce((SELECT scanned FROM sync_areas WHERE area = ?), 0)"
            " AND path NOT IN (SELECT path FROM sync_pending WHERE area = ?)",
            (owner, area, area),
        )
        return (int(row["n"]), int(row["bytes"] or 0)) if row is not None else (0, 0)

    def pending_counts(self, area: str) -> tuple[int, int]:
        """How many paths wait, and their bytes."""
        row = self.one("SELECT count(*) AS n, sum(size) AS bytes FROM sync_pending WHERE area = ?", (area,))
        return (int(row["n"]), int(row["bytes"] or 0)) if row is not None else (0, 0)

    def not_pending(self, connection: sqlite3.Connection, area: str, path: str) -> None:
        """The path waits no longer."""
        connection.execute("DELETE FROM sync_pending WHERE area = ? AND path = ?", (area, path))

    def add_pending(self, connection: sqlite3.Connection, area: str, path: str, size: int = 0) -> None:
        """The path waits to go up."""
        connection.execute(
            "INSERT OR IGNORE INTO sync_pending (area, path, size, since) VALUES (?, ?, ?, ?)",
            (area, path, size, to_text(now())),
        )
