"""The journal: one row for every change that other devices have to hear of, in the change's own transaction."""

from __future__ import annotations

import sqlite3

from core.agentfs.database import now, to_text


def journaled(
    connection: sqlite3.Connection, item_id: str, operation: str, sha256: str, base: str | None, moment: str
) -> int:
    """Note a change of an item's content; the answer is its position. ``operation`` is put or delete."""
    cursor = connection.execute(
        "INSERT INTO journal (item_id, operation, sha256, base_sha256, at) VALUES (?, ?, ?, ?, ?)",
        (item_id, operation, sha256, base, moment),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def item_touched(connection: sqlite3.Connection, item_id: str) -> int | None:
    """Note that something of an item but its content changed: its level, a share, a receipt.

    The answer is the position, for the audit record of the change; ``None`` where there is no such item.
    """
    row = connection.execute("SELECT sha256 FROM items WHERE id = ? AND deleted = 0", (item_id,)).fetchone()
    if row is None:
        return None
    position = journaled(connection, item_id, "put", row["sha256"], row["sha256"], to_text(now()))
    connection.execute("UPDATE items SET position = ? WHERE id = ?", (position, item_id))
    return position


def agent_touched(connection: sqlite3.Connection, agent_id: str) -> int:
    """Note that something of an agent changed that its other devices show; the answer is the position."""
    position = journaled(connection, agent_id, "put", "", None, to_text(now()))
    connection.execute("UPDATE agents SET position = ? WHERE id = ?", (position, agent_id))
    return position
