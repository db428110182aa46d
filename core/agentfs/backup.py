"""Backups: the whole truth of a workspace in one file, and a workspace made from one again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.audit import RESTORE, AuditTrail
from core.agentfs.backup_archive import DATABASE, Manifest, Member, pack, unpack
from core.agentfs.backup_encrypted import (
    Unlock,
    copy_keys,
    is_encrypted,
    pack_encrypted,
    recoverable,
    unpack_encrypted,
)
from core.agentfs.contents import SEALED_SUFFIX
from core.agentfs.database import now, to_text, translated
from core.agentfs.migration import backup as copy_database
from core.agentfs.scratch_folder import scratch_folder
from core.agentfs.whole_file import refuse_own, whole_file
from core.crypto.keys import Keys
from core.errors import InvalidInput, Unreachable, WorkspaceUnusable
from core.ids import new_id
from core.model import JSONObject

ATTEMPTS = 3
_MEMBERS = """
SELECT 'files/' || substr(sha256, 1, 2) || '/' || sha256 AS name, sha256 FROM (
    SELECT sha256 FROM items WHERE deleted = 0 UNION SELECT sha256 FROM state_history WHERE sha256 IS NOT NULL
    UNION SELECT sealed_sha256 FROM agent_states WHERE sealed_sha256 IS NOT NULL
) WHERE sha256 NOT IN (SELECT sha256 FROM contents)
UNION ALL SELECT 'snapshots/' || path, sha256 FROM snapshots
UNION ALL SELECT 'logs/' || file, file_sha256 FROM audit_segments
ORDER BY name
"""
_LEFT_OUT = tuple(
    f"DELETE FROM {table}"  # noqa: S608 - the names stand here
    for table in ("cache_bytes", "cache_contents", "cache_names", "cache_numbers")
)
SETTINGS_FILES = ("privacy_config.yml", "bailiwick.yml")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup's file, and what lies in it; ``size`` is of the file."""

    path: Path
    size: int
    manifest: Manifest
    encrypted: bool = False


def write_backup(
    agentfs: AgentFS, target: Path, *, by: Actor, replace: bool = False, keys: Keys | None = None
) -> Backup:
    """Write database, large contents, snapshots and archived audit records to ``target`` while others go on working.

    Key slots and generations, which passphrases seal, go along: what is sealed needs them; so do the workspace's own
    settings and boundaries. What opens the slots without asking, agents' keys and everything derived are left out. With
    ``keys`` the whole is sealed to the workspace's identity (``backup_encrypted``). The file is complete when it
    appears under its name. Members whose bytes are lost are named in ``manifest.missing``.

    Raises InvalidInput when ``target`` exists and is not to be replaced or cannot be written, or when no passphrase or
    recovery code would open an encrypted backup elsewhere, Locked when ``keys`` are, WorkspaceUnusable when the
    database is damaged.
    """
    identity = recoverable(agentfs.root / "keys", keys.identity) if keys is not None else None
    refuse_own(agentfs.root, target)
    with (
        whole_file(target, replace=replace) as file,
        scratch_folder(agentfs.root, ".backup-") as copied,
    ):
        for attempt in range(1, ATTEMPTS + 1):
            # What the copy names may be deleted before it is read; then a newer copy no longer names it.
            file.seek(0)
            file.truncate()
            (copied / DATABASE).unlink(missing_ok=True)
            shutil.rmtree(copied / "keys", ignore_errors=True)
            copy_database(agentfs.database, copied / DATABASE)
            _leave_out_cache(copied / DATABASE)
            # Later than the database, so that they open everything in it.
            copies = [DATABASE, *copy_keys(agentfs.root, copied), *_copy_settings(agentfs.root, copied)]
            manifest = _planned(agentfs.root, copied, copies)
            if manifest.missing and attempt < ATTEMPTS:
                continue
            sources = {member.name: agentfs.root / member.name for member in manifest.members}
            sources |= {name: copied / name for name in copies}
            try:
                if identity is None:
                    file.writelines(pack(manifest, sources))
                else:
                    identity = recoverable(copied / "keys", identity)
                    manifest = manifest.proved(identity.newest)
                    pack_encrypted(file, manifest, sources, identity.newest.key.recipient)
                break
            except (FileNotFoundError, EOFError):
                if attempt == ATTEMPTS:
                    raise Unreachable("The workspace changes faster than it can be copied.", "Try again.") from None
        file.flush()
        size = os.fstat(file.fileno()).st_size
    told: JSONObject = {"members": len(manifest.members), "bytes": manifest.size, "encrypted": identity is not None}
    agentfs.audit.record(by, "backup.write", manifest.id, told)
    return Backup(target, size, manifest, identity is not None)


def restore_backup(source: Path, root: Path, *, by: Actor, unlock: Unlock | None = None) -> Backup:
    """Make a workspace at ``root``, which must not exist, from the backup ``source``; ``unlock`` opens encrypted ones.

    Every hash is checked before anything appears there; until then all bytes are in a folder beside it. The workspace
    is a device of its own, for the one it came from may live on. The index is derived anew by the next engine, and
    agents get new keys when they register again.

    Raises InvalidInput when the backup is not whole, or ``root`` is taken, WorkspaceUnusable when a newer Bailiwick
    wrote it, Locked when it is encrypted and there is no ``unlock``, and what that raises.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InvalidInput(f"{root} exists already.", "Name a workspace that does not, with --workspace.")
    encrypted = is_encrypted(source)
    with _beside(root) as folder:
        manifest = unpack_encrypted(source, folder, unlock) if encrypted else unpack(source, folder, str(source))
        _check_database(source, folder / DATABASE)
        _begin_device(folder, manifest, by)
        _move(folder, root)
    return Backup(source, source.stat().st_size, manifest, encrypted)


def _leave_out_cache(database: Path) -> None:
    """Take out of the copy what was only kept to be read again: it can be had from where it came from."""
    with translated(database), closing(sqlite3.connect(database)) as connection:
        if connection.execute("SELECT 1 FROM cache_names UNION ALL SELECT 1 FROM cache_bytes LIMIT 1").fetchone():
            with connection:
                for statement in _LEFT_OUT:
                    connection.execute(statement)
            connection.execute("VACUUM")


def _copy_settings(root: Path, copied: Path) -> list[str]:
    """Copy the workspace's own settings and boundaries, under which it is to be guarded wherever it comes to life."""
    names = []
    for name in SETTINGS_FILES:
        try:
            shutil.copyfile(root / name, copied / name)
        except FileNotFoundError:
            continue
        names.append(name)
    return names


def _planned(root: Path, copied: Path, copies: list[str]) -> Manifest:
    """The ``copies``, and what the database among them names, each member hashed as it lies on the disk."""
    with translated(root / DATABASE), closing(_read_only(copied / DATABASE)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise WorkspaceUnusable(
                f"{root / DATABASE} is damaged.", "No backup was written; `bailiwick doctor` tells more."
            )
        named = connection.execute(_MEMBERS).fetchall()
    members = [Member(name, (copied / name).stat().st_size, _sha256(copied / name)) for name in copies]
    missing = []
    for name, sha256 in named:
        if name.startswith("files/") and not (root / name).exists() and (root / f"{name}{SEALED_SUFFIX}").exists():
            name += SEALED_SUFFIX
        path = root / name
        try:
            whole, size = _sha256(path) == sha256, path.stat().st_size
        except OSError:
            whole, size = False, 0
        if whole:
            members.append(Member(name, size, sha256))
        else:
            missing.append(name)
    return Manifest(now(), tuple(sorted(members, key=lambda member: member.name)), tuple(missing))


def _begin_device(folder: Path, manifest: Manifest, by: Actor) -> None:
    """Give the restored workspace a device id of its own; its first record says whose trail it goes on with."""
    restored = AgentFS(folder)
    try:
        device = new_id()
        with restored.database.transaction() as connection:
            _, head = restored.audit.head()
            told: JSONObject = {"members": len(manifest.members), "device": restored.device, "head": head}
            AuditTrail(restored.database, device).append(connection, by, RESTORE, manifest.id, told)
            connection.execute(
                "UPDATE settings SET value = ?, updated_at = ? WHERE key = 'device.id'",
                (json.dumps(device), to_text(now())),
            )
    finally:
        restored.close()
    begun = AgentFS(folder)
    try:
        begun.audit_check.sign_head()
    finally:
        begun.close()


def _check_database(source: Path, path: Path) -> None:
    try:
        with closing(_read_only(path)) as connection:
            verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError:
        verdict, version = "", 0
    if verdict != "ok" or not version:
        raise InvalidInput(f"The database in {source} is damaged.", "Nothing was restored; use another backup.")


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    """A new folder beside ``root``, from where what is restored can be renamed into place."""
    with ExitStack() as stack:
        try:
            root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = stack.enter_context(scratch_folder(root.parent, f".{root.name[:100]}.restoring-"))
        except OSError as error:
            raise InvalidInput(
                f"{root} cannot be made ({os.strerror(error.errno or 0)}).", "Name another folder with --workspace."
            ) from None
        yield folder


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
