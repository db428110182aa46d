"""Reading rows of the tables of synchronising."""

from __future__ import annotations

import sqlite3

from core.agentfs.database import Database, translated


class Rows:
    """Safe from any thread and process; methods that take a connection are part of the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def one(self, statement: str, parameters: tuple[object, ...]) -> sqlite3.Row | None:
        """The first row."""
        with translated(self.database.path):
            row: sqlite3.Row | None = self.database.connection().execute(statement, parameters).fetchone()
        return row

    def all(self, statement: str, parameters: tuple[object, ...]) -> list[sqlite3.Row]:
        """Every row."""
        with translated(self.database.path):
            return self.database.connection().execute(statement, parameters).fetchall()
