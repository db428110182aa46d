"""AgentFS files as other programs write them, made here with SQLite alone; and agents to import them into."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.model import JSONValue

ADA = Actor(ActorKind.PERSON, "ada", "cli")
KEYS = "CREATE TABLE kv_store (key TEXT PRIMARY KEY, value TEXT NOT NULL, created_at INTEGER, updated_at INTEGER)"
SHIPPED_CALLS = (
    "CREATE TABLE tool_calls (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, parameters TEXT, result TEXT,"
    " error TEXT, status TEXT NOT NULL DEFAULT 'pending', started_at INTEGER NOT NULL, completed_at INTEGER,"
    " duration_ms INTEGER)"
)
SPECIFIED_CALLS = (
    "CREATE TABLE tool_calls (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, parameters TEXT, result TEXT,"
    " error TEXT, started_at INTEGER NOT NULL, completed_at INTEGER NOT NULL, duration_ms INTEGER NOT NULL)"
)
FILES = """
CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE fs_inode (ino INTEGER PRIMARY KEY AUTOINCREMENT, mode INTEGER NOT NULL, nlink INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0);
CREATE TABLE fs_dentry (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, parent_ino INTEGER NOT NULL,
    ino INTEGER NOT NULL, UNIQUE (parent_ino, name));
CREATE TABLE fs_data (ino INTEGER NOT NULL, chunk_index INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (ino, chunk_index));
CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL);
INSERT INTO fs_inode (ino, mode, nlink) VALUES (1, 16877, 1);
"""
FOLDER, FILE, LINK = 0o40755, 0o100644, 0o120777


def make(path: Path, *statements: str, keys: Mapping[str, JSONValue] | None = None) -> Path:
    """The SQLite file at ``path`` after ``statements``, with ``keys`` in a ``kv_store`` where they are given."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.executescript(statement)
        if keys is not None:
            connection.execute(KEYS)
            rows = [(key, json.dumps(value)) for key, value in keys.items()]
            connection.executemany("INSERT INTO kv_store (key, value) VALUES (?, ?)", rows)
        connection.commit()
    return path


def insert(path: Path, table: str, columns: str, *rows: tuple[object, ...]) -> Path:
    """The file at ``path`` with ``rows`` more in a table."""
    statement = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(rows[0]))})"  # noqa: S608 - of the tests
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(statement, rows)
        connection.commit()
    return path


def values(agentfs: AgentFS, agent: str) -> dict[str, JSONValue]:
    """Every state of an agent."""
    return {state.key: state.value for state in agentfs.states.all(agent, limit=100_000, by=ADA)}


def written(agentfs: AgentFS) -> tuple[int, int]:
    """How far journal and audit trail have come: nothing is written without a step in one of them."""
    return agentfs.items.position(), agentfs.audit.head()[0]
