"""Numbered migrations: the schema of ``agentfs.db`` moves forward one file at a time, after a backup."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

from core.agentfs.database import Database, translated
from core.errors import WorkspaceUnusable


def migrate(database: Database, snapshots: Path) -> None:
    """Bring the schema up to date; safe when several processes do it at once.

    Raises WorkspaceUnusable when the file was written by a newer version.
    """
    scripts = _scripts()
    newest = max(scripts)
    with translated(database.path):
        current = _version(database.connection())
    if current > newest:
        raise WorkspaceUnusable(
            f"This workspace was written by a newer Bailiwick (schema {current}; this one knows {newest}).",
            "Update Bailiwick, or name another workspace with --workspace.",
        )
    if current == newest:
        return
    if current > 0:
        backup(database, snapshots / f"agentfs-before-{current + 1:04d}.db")
    with database.transaction() as connection:
        for number in range(_version(connection) + 1, newest + 1):
            for statement in _statements(scripts[number]):
                connection.execute(statement)
            # A PRAGMA takes no parameters; the number comes from our own file names.
            connection.execute(f"PRAGMA user_version = {number:d}")


def backup(database: Database, target: Path) -> None:
    """Copy the database to ``target`` with SQLite's online backup."""
    with translated(database.path):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = sqlite3.connect(target)
        try:
            database.connection().backup(copy)
        finally:
            copy.close()


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _scripts() -> dict[int, str]:
    folder = resources.files("core.agentfs") / "migrations"
    return {
        int(entry.name[:4]): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


def _statements(script: str) -> list[str]:
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements
