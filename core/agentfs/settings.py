"""What a workspace remembers by itself (chosen theme, measured disk speed); files and flags are ``core.config``."""

from __future__ import annotations

import json
import sqlite3

from core.agent_model import Actor
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, now, to_json, to_text, translated
from core.ids import sha256_hex
from core.model import JSONValue

REMOTE = "sync.remote"
"""The key that holds where the remote is, without credentials; whether there is one is asked before sync is loaded."""


class SettingsStore:
    """JSON values by key. Safe from any thread and process."""

    def __init__(self, database: Database, audit: AuditTrail, by: Actor) -> None:
        """``by`` is who acts where nobody is named."""
        self._database = database
        self._audit = audit
        self._by = by

    def get(self, key: str) -> JSONValue:
        """The remembered value, or ``None``."""
        with translated(self._database.path):
            return recall_within(self._database.connection(), key)

    def put(self, key: str, value: JSONValue, *, by: Actor | None = None) -> None:
        """Remember ``value``."""
        with self._database.transaction() as connection:
            told = {"value_sha256": sha256_hex(to_json(value).encode())}
            self._audit.append(connection, by or self._by, "setting.put", key, told)
            remember_within(connection, key, value)


def recall_within(connection: sqlite3.Connection, key: str) -> JSONValue:
    """As ``SettingsStore.get``, in the caller's transaction."""
    row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    value: JSONValue = json.loads(row["value"]) if row is not None else None
    return value


def remember_within(connection: sqlite3.Connection, key: str, value: JSONValue) -> None:
    """As ``SettingsStore.put``, in the caller's transaction and without a record of its own in the audit trail."""
    connection.execute(
        "INSERT INTO settings (key, value, updated_at) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (key, to_json(value), to_text(now())),
    )
