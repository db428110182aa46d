"""The bytes of items, kept once by their SHA-256: small ones in the database, large ones in ``files/``."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from core.agentfs.database import Database, translated
from core.agentfs.whole_file import sync_folder
from core.errors import WorkspaceUnusable
from core.ids import sha256_hex

INLINE_BYTES = 64 * 1024
SEALED_SUFFIX = ".age"
LEFT_SECONDS = 120.0
_TEMPORARY = re.compile(r"\.[0-9a-f]{64}\.[0-9]+\.[0-9a-f]{8}")


class ContentStore:
    """Content by hash. Safe from any thread and process: a file is complete before its name exists."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def write(self, connection: sqlite3.Connection, data: bytes, *, sealed: bool = False) -> str:
        """Keep ``data`` as part of the caller's transaction; the answer is its SHA-256.

        Of ``sealed`` data, which are age files, the file's name says so.
        """
        digest = sha256_hex(data)
        if len(data) <= INLINE_BYTES:
            connection.execute("INSERT OR IGNORE INTO contents (sha256, bytes) VALUES (?, ?)", (digest, data))
        else:
            self._write_file(self._path(digest, sealed=sealed), digest, data)
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes of ``digest``; raises WorkspaceUnusable when they are missing or damaged."""
        with translated(self._database.path):
            row = (
                self._database.connection().execute("SELECT bytes FROM contents WHERE sha256 = ?", (digest,)).fetchone()
            )
        data = bytes(row["bytes"]) if row is not None else self._file(digest)
        if sha256_hex(data) != digest:
            raise _damaged(digest, "damaged")
        return data

    def discard_unused(self, digests: list[str]) -> None:
        """Forget those of ``digests`` that no living item and no state, past or present, holds any more."""
        for digest in digests:
            with self._database.transaction() as connection:
                used = connection.execute(
                    "SELECT 1 FROM items WHERE sha256 = :digest AND deleted = 0"
                    " UNION ALL SELECT 1 FROM state_history WHERE sha256 = :digest"
                    " UNION ALL SELECT 1 FROM agent_states WHERE sealed_sha256 = :digest LIMIT 1",
                    {"digest": digest},
                ).fetchone()
                if used is None:
                    connection.execute("DELETE FROM contents WHERE sha256 = ?", (digest,))
                    for sealed in (False, True):
                        self._path(digest, sealed=sealed).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Delete what processes left unfinished that died while they wrote; returns how many files.

        What is younger than two minutes may still be written to: by a process that is not seen from here, perhaps.
        """
        swept = 0
        for path in self._folder.glob("[0-9a-f][0-9a-f]/.*"):
            with suppress(OSError):
                if _TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime > LEFT_SECONDS:
                    path.unlink()
                    swept += 1
        return swept

    def damaged(self) -> list[str]:
        """Hashes that living items name and whose bytes are missing or do not match; reads everything."""
        with translated(self._database.path):
            rows = self._database.connection().execute("SELECT DISTINCT sha256 FROM items WHERE deleted = 0").fetchall()
        broken = []
        for row in rows:
            try:
                self.read(row["sha256"])
            except (WorkspaceUnusable, OSError):
                broken.append(str(row["sha256"]))
        return broken

    def _path(self, digest: str, *, sealed: bool) -> Path:
        return self._folder / digest[:2] / (f"{digest}{SEALED_SUFFIX}" if sealed else digest)

    def _file(self, digest: str) -> bytes:
        for sealed in (False, True):
            try:
                return self._path(digest, sealed=sealed).read_bytes()
            except FileNotFoundError:
                continue
        raise _damaged(digest, "missing")

    @staticmethod
    def _write_file(path: Path, digest: str, data: bytes) -> None:
        # A damaged file is written anew: adding its source again is the cure that the error names.
        if path.exists() and sha256_hex(path.read_bytes()) == digest:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{digest}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _damaged(digest: str, how: str) -> WorkspaceUnusable:
    return WorkspaceUnusable(
        f"The stored bytes {digest[:12]}… are {how}.", "Add the source again: `bailiwick doctor` names it."
    )
