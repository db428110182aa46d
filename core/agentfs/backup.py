"""Backups: the whole truth of a workspace in one file, and a workspace made from one again."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.backup_archive import DATABASE, Manifest, Member, pack, unpack
from core.agentfs.database import now, translated
from core.agentfs.migration import backup as copy_database
from core.agentfs.whole_file import whole_file
from core.errors import InvalidInput, Unreachable, WorkspaceUnusable

ATTEMPTS = 3
_MEMBERS = """
SELECT 'files/' || substr(sha256, 1, 2) || '/' || sha256 AS name, sha256 FROM (
    SELECT sha256 FROM items WHERE deleted = 0 UNION SELECT sha256 FROM state_history WHERE sha256 IS NOT NULL
) WHERE sha256 NOT IN (SELECT sha256 FROM contents)
UNION ALL SELECT 'snapshots/' || path, sha256 FROM snapshots
UNION ALL SELECT 'logs/' || file, file_sha256 FROM audit_segments
ORDER BY name
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup's file, and what lies in it; ``size`` is of the file."""

    path: Path
    size: int
    manifest: Manifest


def write_backup(agentfs: AgentFS, target: Path, *, by: Actor, replace: bool = False) -> Backup:
    """Write database, large contents, snapshots and archived audit records to ``target`` while others go on working.

    Keys, settings files and everything derived are left out. The file is complete when it appears under its name.
    Members whose bytes are lost are named in ``manifest.missing``. Raises InvalidInput when ``target`` exists and is
    not to be replaced or cannot be written, WorkspaceUnusable when the database is damaged.
    """
    with (
        whole_file(target, replace=replace) as file,
        tempfile.TemporaryDirectory(prefix=".backup-", dir=agentfs.root, ignore_cleanup_errors=True) as folder,
    ):
        copy = Path(folder) / DATABASE
        for attempt in range(1, ATTEMPTS + 1):
            # What the copy names may be deleted before it is read; then a newer copy no longer names it.
            file.seek(0)
            file.truncate()
            copy.unlink(missing_ok=True)
            copy_database(agentfs.database, copy)
            manifest = _planned(agentfs.root, copy)
            if manifest.missing and attempt < ATTEMPTS:
                continue
            sources = {member.name: agentfs.root / member.name for member in manifest.members} | {DATABASE: copy}
            try:
                pack(file, manifest, sources)
                break
            except FileNotFoundError:
                if attempt == ATTEMPTS:
                    raise Unreachable("The workspace changes faster than it can be copied.", "Try again.") from None
        file.flush()
        size = os.fstat(file.fileno()).st_size
    agentfs.audit.record(by, "backup.write", manifest.id, {"members": len(manifest.members), "bytes": manifest.size})
    return Backup(target, size, manifest)


def restore_backup(source: Path, root: Path, *, by: Actor) -> Backup:
    """Make a workspace at ``root``, which must not exist, from the backup ``source``.

    Every hash is checked before anything appears there. The index is derived anew by the next engine, and agents get
    new keys when they register again. Raises InvalidInput when the backup is not whole, or ``root`` is taken,
    WorkspaceUnusable when a newer Bailiwick wrote it.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InvalidInput(f"{root} exists already.", "Name a workspace that does not, with --workspace.")
    folder = _beside(root)
    try:
        manifest = unpack(source, folder)
        _check_database(source, folder / DATABASE)
        restored = AgentFS(folder)
        try:
            restored.audit.record(by, "backup.restore", manifest.id, {"members": len(manifest.members)})
        finally:
            restored.close()
        _move(folder, root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Backup(source, source.stat().st_size, manifest)


def _planned(root: Path, copy: Path) -> Manifest:
    """What the database copy names, each member hashed as it lies on the disk."""
    with translated(root / DATABASE), closing(_read_only(copy)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise WorkspaceUnusable(
                f"{root / DATABASE} is damaged.", "No backup was written; `bailiwick doctor` tells more."
            )
        named = connection.execute(_MEMBERS).fetchall()
    members = [Member(DATABASE, copy.stat().st_size, _sha256(copy))]
    missing = []
    for name, sha256 in named:
        path = root / name
        try:
            whole, size = _sha256(path) == sha256, path.stat().st_size
        except OSError:
            whole, size = False, 0
        if whole:
            members.append(Member(name, size, sha256))
        else:
            missing.append(name)
    return Manifest(now(), tuple(members), tuple(missing))


def _check_database(source: Path, path: Path) -> None:
    try:
        with closing(_read_only(path)) as connection:
            verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError:
        verdict, version = "", 0
    if verdict != "ok" or not version:
        raise InvalidInput(f"The database in {source} is damaged.", "Nothing was restored; use another backup.")


def _beside(root: Path) -> Path:
    """A new folder beside ``root``, from where what is restored can be renamed into place."""
    try:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{root.name[:100]}.restoring-", dir=root.parent))
    except OSError as error:
        raise InvalidInput(
            f"{root} cannot be made ({os.strerror(error.errno or 0)}).", "Name another folder with --workspace."
        ) from None


def _move(folder: Path, root: Path) -> None:
    try:
        os.rename(folder, root)
    except OSError:
        raise InvalidInput(f"{root} was made by another process meanwhile.", "Name another workspace.") from None
    descriptor = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
