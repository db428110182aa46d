"""Rows of a foreign file's tables: only of plain tables with the columns asked for, and only so much."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from core.errors import InvalidInput

LARGEST_TOTAL = 256 * 1024 * 1024

Cell: TypeAlias = "str | int | float | bytes | None"
Row: TypeAlias = "tuple[Cell, ...]"


class ForeignTables:
    """The tables of one open copy; names and columns that are asked for are constants of ours. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection, source: Path) -> None:
        """``source`` is what errors are about."""
        self._connection = connection
        self._source = source
        self._read = 0
        self._plain: set[str] = set()
        self._others: set[str] = set()
        for name, sql, kind in connection.execute("SELECT lower(name), lower(sql), type FROM sqlite_master"):
            if kind == "table" and isinstance(sql, str) and not sql.startswith("create virtual"):
                self._plain.add(name)
            elif kind in ("table", "view"):
                self._others.add(name)

    def has(self, *names: str) -> bool:
        """Whether one of these is here as a table."""
        return not self._plain.isdisjoint(names)

    def columns(self, name: str) -> set[str]:
        """The columns of a table."""
        return {str(row["name"]).lower() for row in self._connection.execute(f"PRAGMA table_info({name})")}

    def all(self, name: str, columns: Sequence[str], most: int, hint: str = "") -> Iterator[Row]:
        """These columns of every row, none where there is no such table.

        Raises InvalidInput for a view of that name, for a column that is not there, and, with ``hint``, for more than
        ``most`` rows.
        """
        if name not in self._plain and name not in self._others:
            return
        self._require(name, columns)
        if (count := self.count(name)) > most:
            raise InvalidInput(f"{self._source} has {count:,} rows in {name}; at most {most:,} are taken in.", hint)
        statement = f"SELECT {', '.join(columns)} FROM {name}"  # noqa: S608 - names of ours
        yield from self._counted(self._connection.execute(statement))

    def newest(self, name: str, columns: Sequence[str], most: int) -> Iterator[Row]:
        """As ``all``, of the ``most`` newest rows, the newest first."""
        if self.has(name):
            self._require(name, columns)
            statement = f"SELECT {', '.join(columns)} FROM {name} ORDER BY rowid DESC LIMIT {most:d}"  # noqa: S608 - names of ours
            yield from self._counted(self._connection.execute(statement))

    def count(self, name: str) -> int:
        """How many rows a table has; 0 where there is none."""
        if not self.has(name):
            return 0
        return int(self._connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0])  # noqa: S608 - a name of ours

    def of(self, name: str, columns: Sequence[str], key: str, value: int) -> Iterator[Row]:
        """These columns of the rows whose ``key`` is ``value``; raises InvalidInput as ``all``, or where it is none."""
        self._require(name, columns)
        statement = f"SELECT {', '.join(columns)} FROM {name} WHERE {key} = ?"  # noqa: S608 - names of ours
        yield from self._counted(self._connection.execute(statement, (value,)))

    def malformed(self, how: str) -> InvalidInput:
        """The error for what no program of the format writes."""
        return InvalidInput(f"{self._source} is no AgentFS file: {how}.")

    def _require(self, name: str, columns: Sequence[str]) -> None:
        if name not in self._plain:
            raise self.malformed(f"{name} is no plain table")
        if missing := sorted(set(columns) - self.columns(name)):
            raise self.malformed(f"{name} has no column {missing[0]}")

    def _counted(self, rows: sqlite3.Cursor) -> Iterator[Row]:
        for row in rows:
            self._read += sum(len(cell) for cell in row if isinstance(cell, str | bytes))
            if self._read > LARGEST_TOTAL:
                raise InvalidInput(
                    f"{self._source} holds more than {LARGEST_TOTAL // 2**20} MiB; such files are not imported."
                )
            yield tuple(row)


def valid_text(text: str) -> str:
    """``text`` as it can be kept and printed: what was no UTF-8 in the file is a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
