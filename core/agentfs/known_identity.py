"""What the database remembers of the workspace's identity, so that lost or exchanged key slots are noticed."""

from __future__ import annotations

import json
import sqlite3

from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, now, to_text, translated
from core.errors import WorkspaceUnusable

IDENTITY_SETTING = "keys.identity"
_SEALED = (
    "SELECT sha256 FROM (SELECT sha256, updated_at AS at FROM items WHERE sealed = 1 AND deleted = 0"
    " UNION ALL SELECT sha256, at FROM state_history WHERE sealed = 1 AND sha256 IS NOT NULL) ORDER BY at LIMIT 1"
)


class KnownIdentity:
    """Safe from any thread and process; the first identity that is noted stands."""

    def __init__(self, database: Database, contents: ContentStore) -> None:
        self._database = database
        self._contents = contents

    def known(self) -> str:
        """The id of the identity, empty while nothing was sealed under one."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT value FROM settings WHERE key = ?", (IDENTITY_SETTING,))
                .fetchone()
            )
        return str(json.loads(row["value"])) if row is not None else ""

    def note(self, identity_id: str) -> None:
        """Remember the identity, as part of this thread's transaction where it has one open."""
        if self._database.connection().in_transaction:
            _note(self._database.connection(), identity_id)
            return
        with self._database.transaction() as connection:
            _note(connection, identity_id)

    def oldest_sealed(self) -> bytes | None:
        """The oldest thing that is sealed here, None where nothing is, or where its bytes are lost."""
        with translated(self._database.path):
            row = self._database.connection().execute(_SEALED).fetchone()
        if row is None:
            return None
        try:
            return self._contents.read(row["sha256"])
        except (WorkspaceUnusable, OSError):
            return None


def _note(connection: sqlite3.Connection, identity_id: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO settings (key, value, updated_at) VALUES (?, ?, ?)",
        (IDENTITY_SETTING, json.dumps(identity_id), to_text(now())),
    )
