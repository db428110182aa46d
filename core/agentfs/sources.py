"""What the user added, and what is known of each of its files, so that unchanged content costs nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.agent_model import Actor
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, from_text, to_text, translated
from core.ids import sha256_hex
from core.model import Problem, Source, SourceKind


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source as last read: its item, or the ``problem`` that kept it from becoming one."""

    path: str
    item_id: str | None
    size: int
    modified_ns: int
    checksum: str
    problem: str = ""


class SourceStore:
    """Sources and their files. Safe from any thread; writes belong to the caller's transaction."""

    def __init__(self, database: Database, audit: AuditTrail, by: Actor) -> None:
        """``by`` is who acts where nobody is named."""
        self._database = database
        self._audit = audit
        self._by = by

    def add(self, connection: sqlite3.Connection, source: Source, *, by: Actor | None = None) -> None:
        """Add ``source``, or give a known one its new flags."""
        told = {"kind": source.kind, "location_sha256": sha256_hex(source.location.encode("utf-8", "surrogatepass"))}
        self._audit.append(connection, by or self._by, "source.add", source.id, told)
        connection.execute(
            "INSERT INTO sources (id, kind, name, location, language, library, version, added_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET location = excluded.location,"
            " language = excluded.language, library = excluded.library, version = excluded.version",
            (
                source.id,
                source.kind,
                source.name,
                source.location,
                source.language,
                source.library,
                source.version,
                to_text(source.added_at),
            ),
        )

    def remove(self, connection: sqlite3.Connection, source_id: str, *, by: Actor | None = None) -> None:
        """Forget a source and its files; its items are the caller's to delete."""
        self._audit.append(connection, by or self._by, "source.remove", source_id)
        connection.execute("DELETE FROM sources WHERE id = ?", (source_id,))

    def get(self, source_id: str) -> Source | None:
        """The source, unless it was removed."""
        with translated(self._database.path):
            row = self._database.connection().execute("SELECT * FROM sources WHERE id = ?", (source_id,)).fetchone()
        return _source(row) if row is not None else None

    def all(self) -> list[Source]:
        """Every source, in the order they were added."""
        with translated(self._database.path):
            rows = self._database.connection().execute("SELECT * FROM sources ORDER BY added_at, id")
            return [_source(row) for row in rows]

    def files(self, source_id: str) -> dict[str, SourceFile]:
        """What is known of the source's files, by path."""
        with translated(self._database.path):
            rows = self._database.connection().execute("SELECT * FROM source_files WHERE source_id = ?", (source_id,))
            return {row["path"]: _file(row) for row in rows}

    def file(self, source_id: str, path: str) -> SourceFile | None:
        """What is known of one file."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT * FROM source_files WHERE source_id = ? AND path = ?", (source_id, path))
                .fetchone()
            )
        return _file(row) if row is not None else None

    def put_file(self, connection: sqlite3.Connection, source_id: str, file: SourceFile) -> None:
        """Remember a file as read now."""
        connection.execute(
            "INSERT OR REPLACE INTO source_files (source_id, path, item_id, size, modified_ns, checksum, problem)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (source_id, file.path, file.item_id, file.size, file.modified_ns, file.checksum, file.problem),
        )

    def remove_file(self, connection: sqlite3.Connection, source_id: str, path: str) -> None:
        """Forget a file that vanished."""
        connection.execute("DELETE FROM source_files WHERE source_id = ? AND path = ?", (source_id, path))

    def forget_deleted(self, connection: sqlite3.Connection, source_id: str) -> None:
        """Forget the files whose documents were deleted, on another device, say: they are read again."""
        connection.execute(
            "DELETE FROM source_files WHERE source_id = ? AND item_id IN (SELECT id FROM items WHERE deleted = 1)",
            (source_id,),
        )

    def with_problem(self, beginning: str) -> list[Source]:
        """The sources that have a file whose problem begins so."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT * FROM sources WHERE id IN"
                " (SELECT source_id FROM source_files WHERE substr(problem, 1, length(?1)) = ?1)",
                (beginning,),
            )
            return [_source(row) for row in rows]

    def problems(self) -> list[Problem]:
        """Every file that could not be read when it was last tried."""
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT path, problem FROM source_files WHERE problem <> '' ORDER BY path"
            )
            return [Problem(row["path"], row["problem"]) for row in rows]


def document_path(source: Source, relative: str, owner: str) -> str:
    """Where a document lies in the tree of strategy.md: packages under ``libraries/``, all else under its owner.

    ``relative`` is its place within the source.
    """
    if source.kind is SourceKind.PACKAGE:
        parts = ["libraries", source.language, source.library, f"v{source.version}"]
    else:
        parts = ["user-contributions", owner, source.name]
    return "/".join(part.replace("/", "_") for part in parts) + "/" + relative


def _source(row: sqlite3.Row) -> Source:
    return Source(
        id=row["id"],
        kind=SourceKind(row["kind"]),
        name=row["name"],
        location=row["location"],
        language=row["language"],
        library=row["library"],
        version=row["version"],
        added_at=from_text(row["added_at"]),
    )


def _file(row: sqlite3.Row) -> SourceFile:
    return SourceFile(
        path=row["path"],
        item_id=row["item_id"],
        size=row["size"],
        modified_ns=row["modified_ns"],
        checksum=row["checksum"],
        problem=row["problem"],
    )
