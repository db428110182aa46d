"""Archived segments of the audit trail: old records move to a file, and the chain goes on through it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.audit import FIELDS, AuditTrail
from core.agentfs.database import Database, to_json, to_text, translated
from core.agentfs.whole_file import sync_folder
from core.errors import WorkspaceUnusable

Record = dict[str, str | int | None]


class AuditArchive:
    """Moves records to ``logs/audit-FIRST-LAST.jsonl.gz`` and reads them again. Safe from any thread and process."""

    def __init__(self, database: Database, trail: AuditTrail, folder: Path) -> None:
        self._database = database
        self._trail = trail
        self._folder = folder

    def archive(self, before: datetime, *, by: Actor) -> int:
        """Move the records before the first that is not older than ``before`` to a file; returns how many.

        The newest record always stays.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM audit WHERE position < (SELECT max(position) FROM audit)"
                " AND position < (SELECT coalesce(min(position), 9e18) FROM audit WHERE at >= ?) ORDER BY position",
                (to_text(before),),
            ).fetchall()
            if not rows:
                return 0
            first, last = rows[0]["position"], rows[-1]["position"]
            records = ({name: row[name] for name in ("position", *FIELDS, "hash")} for row in rows)
            path = self._folder / f"audit-{first}-{last}.jsonl.gz"
            self._write(path, records)
            journals = [row["journal"] for row in rows if row["journal"] is not None]
            connection.execute(
                "INSERT INTO audit_segments (first, last, first_journal, last_journal, last_hash, file, file_sha256)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    first,
                    last,
                    min(journals, default=None),
                    max(journals, default=None),
                    rows[-1]["hash"],
                    path.name,
                    _file_sha256(path),
                ),
            )
            connection.execute("DELETE FROM audit WHERE position <= ?", (last,))
            self._trail.append(connection, by, "audit.archive", path.name, {"first": first, "last": last})
        return len(rows)

    def records(self, name: str, sha256: str) -> Iterator[Record]:
        """The records of a segment; raises WorkspaceUnusable when its file is missing or not as it was written.

        Whoever can change the file may have changed its checksum too, so nothing is taken for granted of what it holds.
        """
        path = self._folder / name
        if not path.is_file():
            raise WorkspaceUnusable(f"The archived records {path} are missing.", "Put the file back.")
        if _file_sha256(path) != sha256:
            raise WorkspaceUnusable(f"The archived records {path} were changed.", "Put the original file back.")
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    record: Record = json.loads(line)
                    if not isinstance(record["position"], int) or not record.keys() >= {*FIELDS, "hash"}:
                        raise ValueError(line)
                    yield record
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zlib.error):
            raise WorkspaceUnusable(
                f"The archived records {path} cannot be read.", "Put the original file back."
            ) from None

    def _write(self, path: Path, records: Iterator[Record]) -> None:
        with translated(path):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_suffix(".part")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
                with gzip.open(raw, "wt", encoding="utf-8") as file:
                    for record in records:
                        file.write(to_json(record) + "\n")
                raw.flush()
                os.fsync(raw.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
