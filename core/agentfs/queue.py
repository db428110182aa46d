"""Work that any process may ask for and the engine does: it survives the end of either."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from core.agentfs.database import Database, now, to_json, to_text, translated
from core.model import JSONObject


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of queued work; ``payload`` is what ``enqueue`` was given."""

    position: int
    name: str
    payload: JSONObject


class TaskQueue:
    """First in, first out. Safe from any thread and process; a task is done by one of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, connection: sqlite3.Connection, name: str, payload: JSONObject) -> None:
        """Ask for work within the caller's transaction; an equal task that still waits is not asked for twice."""
        text = to_json(dict(payload))
        connection.execute(
            "INSERT INTO queue (task, payload, created_at) SELECT ?, ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM queue WHERE state = 'waiting' AND task = ? AND payload = ?)",
            (name, text, to_text(now()), name, text),
        )

    def claim(self) -> Task | None:
        """The oldest waiting task, now marked as running, or ``None``."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE queue SET state = 'running' WHERE position ="
                " (SELECT min(position) FROM queue WHERE state = 'waiting') RETURNING *"
            ).fetchone()
        return Task(row["position"], row["task"], json.loads(row["payload"])) if row is not None else None

    def finish(self, task: Task, error: str = "", *, cancelled: bool = False) -> None:
        """Close a running task; ``error`` is the sentence it failed with."""
        state = "cancelled" if cancelled else "failed" if error else "done"
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE queue SET state = ?, error = ?, finished_at = ? WHERE position = ?",
                (state, error, to_text(now()), task.position),
            )
            connection.execute(
                "DELETE FROM queue WHERE state IN ('done', 'cancelled') AND position < ?", (task.position - 1000,)
            )

    def last_error(self, name: str, payload: JSONObject) -> str:
        """The sentence with which the newest such task failed; empty where it did not."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute(
                    "SELECT error FROM queue WHERE task = ? AND payload = ? ORDER BY position DESC LIMIT 1",
                    (name, to_json(dict(payload))),
                )
                .fetchone()
            )
        return str(row["error"] or "") if row is not None else ""

    def cancel_waiting(self, name: str) -> int:
        """Cancel every waiting task called ``name``; returns how many."""
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE queue SET state = 'cancelled', finished_at = ? WHERE state = 'waiting' AND task = ?",
                (to_text(now()), name),
            ).rowcount

    def waiting(self) -> int:
        """How many tasks wait or run."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT count(*) AS n FROM queue WHERE state IN ('waiting', 'running')")
                .fetchone()
            )
        return int(row["n"])

    def recover(self) -> None:
        """Let tasks wait again that a dead engine left running; only the engine calls this, at its start."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE queue SET state = 'waiting' WHERE state = 'running'")
