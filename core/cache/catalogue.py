"""What lies where: the tables of the cache in AgentFS, with the bytes of the small values."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.agentfs.database import Database, translated

_FOUND = (
    "SELECT c.sha256, c.size, c.is_recent, c.is_file, b.bytes{more} FROM cache_contents c"
    " LEFT JOIN cache_bytes b USING (sha256)"
)


class Number(StrEnum):
    """What is counted for all processes together."""

    RECENT_ENTRIES = "recent_entries"
    RECENT_BYTES = "recent_bytes"
    FILES_ENTRIES = "files_entries"
    FILES_BYTES = "files_bytes"
    MEMORY_HITS = "memory_hits"
    RECENT_HITS = "recent_hits"
    FILES_HITS = "files_hits"
    MISSES = "misses"
    MEMORY_EVICTIONS = "memory_evictions"
    RECENT_EVICTIONS = "recent_evictions"
    FILES_EVICTIONS = "files_evictions"
    DAMAGED = "damaged"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a content lies; ``data`` are its bytes where it is among the small ones, not compared with the hash yet."""

    sha256: str
    size: int
    is_recent: bool
    is_file: bool
    data: bytes | None
    kept_at: int


class Catalogue:
    """Safe from any thread and process. Methods that take a connection are part of the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def find(self, name: str) -> Found | None:
        """Where the content under ``name`` lies."""
        statement = _FOUND.format(more=", n.kept_at") + " JOIN cache_names n USING (sha256) WHERE n.name = ?"
        return self._found(statement, name)

    def find_content(self, sha256: str) -> Found | None:
        """Where the content of that hash lies, whatever it is named."""
        return self._found(_FOUND.format(more=", c.used AS kept_at") + " WHERE c.sha256 = ?", sha256)

    def put(self, connection: sqlite3.Connection, name: str, sha256: str, size: int, moment: int) -> str | None:
        """Have ``name`` stand for the content; the answer is the hash of one that nothing stands for any more."""
        row = connection.execute("SELECT sha256 FROM cache_names WHERE name = ?", (name,)).fetchone()
        connection.execute(
            "INSERT INTO cache_names (name, sha256, size, kept_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size,"
            " kept_at = excluded.kept_at",
            (name, sha256, size, moment),
        )
        return self._unnamed(connection, row["sha256"]) if row is not None and row["sha256"] != sha256 else None

    def forget(self, connection: sqlite3.Connection, name: str) -> str | None:
        """Have ``name`` stand for nothing; the answer is as ``put`` gives it."""
        row = connection.execute("SELECT sha256 FROM cache_names WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        connection.execute("DELETE FROM cache_names WHERE name = ?", (name,))
        return self._unnamed(connection, row["sha256"])

    def keep(
        self, connection: sqlite3.Connection, sha256: str, size: int, moment: int, *, data: bytes | None = None
    ) -> None:
        """Note that the content lies here as ``data``, or without them as a file."""
        before = self._place(connection, sha256)
        if before is None:
            connection.execute("INSERT INTO cache_contents (sha256, size, used) VALUES (?, ?, 0)", (sha256, size))
        is_recent, is_file = (
            (bool(before["is_recent"]), bool(before["is_file"])) if before is not None else (False,) * 2
        )
        if data is None:
            connection.execute("UPDATE cache_contents SET is_file = 1 WHERE sha256 = ?", (sha256,))
            if not is_file:
                self.add(connection, {Number.FILES_ENTRIES: 1, Number.FILES_BYTES: size})
        else:
            connection.execute("INSERT OR REPLACE INTO cache_bytes (sha256, bytes) VALUES (?, ?)", (sha256, data))
            connection.execute("UPDATE cache_contents SET is_recent = 1 WHERE sha256 = ?", (sha256,))
            if not is_recent:
                self.add(connection, {Number.RECENT_ENTRIES: 1, Number.RECENT_BYTES: size})
        self.touch(connection, {sha256: moment})

    def promote(self, connection: sqlite3.Connection, sha256: str, data: bytes) -> None:
        """Have a small content that lies in a file be among the recent ones too, if it still lies there."""
        row = self._place(connection, sha256)
        if row is not None and not row["is_recent"]:
            self.keep(connection, sha256, row["size"], 0, data=data)

    def release(self, connection: sqlite3.Connection, sha256: str, *, recent: bool = False, file: bool = False) -> None:
        """Note that the content is no longer among the recent ones, or the files, or either."""
        row = self._place(connection, sha256)
        if row is None:
            return
        size = row["size"]
        if recent and row["is_recent"]:
            connection.execute("DELETE FROM cache_bytes WHERE sha256 = ?", (sha256,))
            connection.execute("UPDATE cache_contents SET is_recent = 0 WHERE sha256 = ?", (sha256,))
            self.add(connection, {Number.RECENT_ENTRIES: -1, Number.RECENT_BYTES: -size})
        if file and row["is_file"]:
            connection.execute("UPDATE cache_contents SET is_file = 0 WHERE sha256 = ?", (sha256,))
            self.add(connection, {Number.FILES_ENTRIES: -1, Number.FILES_BYTES: -size})
        connection.execute("DELETE FROM cache_contents WHERE sha256 = ? AND is_recent = 0 AND is_file = 0", (sha256,))
        if connection.execute("SELECT changes() AS n").fetchone()["n"]:
            connection.execute("DELETE FROM cache_names WHERE sha256 = ? AND pinned = 0", (sha256,))

    def touch(self, connection: sqlite3.Connection, used: Mapping[str, int]) -> None:
        """Note when contents were used last."""
        connection.executemany(
            "UPDATE cache_contents SET used = max(used, ?) WHERE sha256 = ?",
            [(moment, sha256) for sha256, moment in used.items()],
        )

    def recent_in_order(self, connection: sqlite3.Connection, limit: int) -> list[Found]:
        """Small values, what was used longest ago first."""
        statement = _FOUND.format(more=", c.used AS kept_at") + " WHERE c.is_recent = 1 ORDER BY c.used LIMIT ?"
        return [_found(row) for row in connection.execute(statement, (limit,))]

    def files_in_order(self, connection: sqlite3.Connection, limit: int) -> list[Found]:
        """Files of which nothing is pinned, what was used longest ago first."""
        rows = connection.execute(
            "SELECT sha256, size, is_recent, is_file, NULL AS bytes, used AS kept_at FROM cache_contents c"
            " WHERE is_file = 1"
            " AND NOT EXISTS (SELECT 1 FROM cache_names n WHERE n.sha256 = c.sha256 AND n.pinned = 1)"
            " ORDER BY used LIMIT ?",
            (limit,),
        )
        return [_found(row) for row in rows]

    def is_pinned(self, connection: sqlite3.Connection, sha256: str) -> bool:
        """Whether anything that is pinned stands for the content."""
        statement = "SELECT 1 FROM cache_names WHERE sha256 = ? AND pinned = 1 LIMIT 1"
        return connection.execute(statement, (sha256,)).fetchone() is not None

    def set_pinned(self, connection: sqlite3.Connection, name: str, pinned: bool) -> None:
        """Pin ``name``, or no longer."""
        connection.execute("UPDATE cache_names SET pinned = ? WHERE name = ?", (int(pinned), name))

    def pinned(self, connection: sqlite3.Connection | None = None) -> tuple[int, int]:
        """How many names are pinned, and the bytes of their contents, each once."""
        statement = (
            "SELECT (SELECT count(*) FROM cache_names WHERE pinned = 1) AS n, coalesce(sum(size), 0) AS bytes"
            " FROM (SELECT sha256, max(size) AS size FROM cache_names WHERE pinned = 1 GROUP BY sha256)"
        )
        with translated(self.database.path):
            row = (connection or self.database.connection()).execute(statement).fetchone()
        return int(row["n"]), int(row["bytes"])

    def pinned_names(self) -> list[str]:
        """What is pinned, by name."""
        with translated(self.database.path):
            rows = self.database.connection().execute("SELECT name FROM cache_names WHERE pinned = 1 ORDER BY name")
            return [row["name"] for row in rows]

    def unpinned_names(self) -> list[str]:
        """What is not pinned, by name."""
        with translated(self.database.path):
            rows = self.database.connection().execute("SELECT name FROM cache_names WHERE pinned = 0 ORDER BY name")
            return [row["name"] for row in rows]

    def contents(self, after: str, limit: int) -> list[Found]:
        """Everything kept, by hash, after the hash ``after``."""
        statement = _FOUND.format(more=", c.used AS kept_at") + " WHERE c.sha256 > ? ORDER BY c.sha256 LIMIT ?"
        with translated(self.database.path):
            return [_found(row) for row in self.database.connection().execute(statement, (after, limit))]

    def file_hashes(self, connection: sqlite3.Connection) -> Iterator[str]:
        """The hashes of everything that lies in a file."""
        for row in connection.execute("SELECT sha256 FROM cache_contents WHERE is_file = 1"):
            yield row["sha256"]

    def add(self, connection: sqlite3.Connection, counts: Mapping[Number, int]) -> None:
        """Count."""
        connection.executemany(
            "INSERT INTO cache_numbers (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            [(number.value, count) for number, count in counts.items() if count],
        )

    def numbers(self, connection: sqlite3.Connection | None = None) -> Counter[Number]:
        """Everything counted so far."""
        with translated(self.database.path):
            rows = (connection or self.database.connection()).execute("SELECT name, value FROM cache_numbers")
            return Counter({Number(row["name"]): row["value"] for row in rows})

    def _unnamed(self, connection: sqlite3.Connection, sha256: str) -> str | None:
        statement = "SELECT 1 FROM cache_names WHERE sha256 = ? LIMIT 1"
        return sha256 if connection.execute(statement, (sha256,)).fetchone() is None else None

    @staticmethod
    def _place(connection: sqlite3.Connection, sha256: str) -> sqlite3.Row | None:
        statement = "SELECT size, is_recent, is_file FROM cache_contents WHERE sha256 = ?"
        row: sqlite3.Row | None = connection.execute(statement, (sha256,)).fetchone()
        return row

    def _found(self, statement: str, parameter: str) -> Found | None:
        with translated(self.database.path):
            row = self.database.connection().execute(statement, (parameter,)).fetchone()
        return _found(row) if row is not None else None


def _found(row: sqlite3.Row) -> Found:
    data = row["bytes"]
    if data is not None and not isinstance(data, bytes):
        # Damage may have made it anything; its hash will tell.
        data = str(data).encode("utf-8", "surrogatepass")
    return Found(row["sha256"], row["size"], bool(row["is_recent"]), bool(row["is_file"]), data, row["kept_at"])
