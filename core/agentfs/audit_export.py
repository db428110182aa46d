"""The whole audit trail as one file for other eyes: a JSON line per record, archived segments included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.audit import FIELDS
from core.agentfs.audit_archive import Record
from core.agentfs.database import to_json, translated
from core.agentfs.whole_file import refuse_own, whole_file


def export_trail(agentfs: AgentFS, target: Path, *, replace: bool = False) -> int:
    """Write every record to ``target``, oldest first; returns how many.

    A record has the fields that its hash is made of, as the table holds them (see ``core.agentfs.audit.chained``), so
    that the chain can be checked without Bailiwick. Raises InvalidInput when ``target`` cannot be written, and
    WorkspaceUnusable when an archived segment is missing or was changed; then there is no file.
    """
    count = 0
    refuse_own(agentfs.root, target)
    with whole_file(target, replace=replace) as file:
        for record in _records(agentfs):
            file.write(f"{to_json(record)}\n".encode())
            count += 1
    return count


def _records(agentfs: AgentFS) -> Iterator[Record]:
    with translated(agentfs.database.path):
        connection = agentfs.database.connection()
        connection.execute("BEGIN")
        try:
            for segment in connection.execute("SELECT file, file_sha256 FROM audit_segments ORDER BY first").fetchall():
                yield from agentfs.audit_check.archive.records(segment["file"], segment["file_sha256"])
            for row in connection.execute("SELECT * FROM audit ORDER BY position"):
                yield {name: row[name] for name in ("position", *FIELDS, "hash")}
        finally:
            connection.execute("COMMIT")
