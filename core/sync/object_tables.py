"""The objects of the remote: those that the state names, those announced for deletion, those to be taken back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime

from core.agentfs.database import from_text, now, to_text
from core.ids import new_id
from core.sync.base_tables import base_of
from core.sync.commit import Place
from core.sync.rows import Rows


class ObjectTables(Rows):
    """Where content lies, and which of it is to go."""

    def objects(self, area: str) -> set[str]:
        """The keys of all objects that the area's state names."""
        rows = self.all("SELECT DISTINCT object FROM sync_base WHERE area = ? AND object <> ''", (area,))
        return {row["object"] for row in rows}

    def stored_bytes(self) -> int:
        """How many bytes of content lie in the remote, as far as it is named."""
        row = self.one(
            "SELECT sum(extent) AS bytes FROM (SELECT max(first + length) AS extent FROM sync_base"
            " WHERE object <> '' GROUP BY area, object)",
            (),
        )
        return int(row["bytes"] or 0) if row is not None else 0

    def extents(self, area: str, *, without: Iterable[str] = ()) -> list[tuple[str, int, str]]:
        """Each object that the area's state names, how many bytes of it at least, and a path in it; by key.

        The paths in ``without`` do not count: later commits tell of them anew.
        """
        rows = self.all(
            "SELECT object, max(first + length) AS extent, min(path) AS path FROM sync_base"
            " WHERE area = ? AND object <> '' AND path NOT IN (SELECT value FROM json_each(?))"
            " GROUP BY object ORDER BY object",
            (area, json.dumps(list(without))),
        )
        return [(row["object"], row["extent"], row["path"]) for row in rows]

    def places_in(self, area: str, key: str) -> list[tuple[str, Place]]:
        """The paths whose content lies in the object ``key``, and where."""
        rows = self.all(
            "SELECT * FROM sync_base INDEXED BY sync_base_by_object WHERE area = ? AND object = ? ORDER BY path",
            (area, key),
        )
        return [(base.path, base.place) for base in map(base_of, rows) if base.place is not None]

    def note_collected(self, connection: sqlite3.Connection, area: str, keys: Iterable[str]) -> None:
        """Note that a commit announced that objects are to be deleted."""
        moment = to_text(now())
        connection.executemany(
            "INSERT OR IGNORE INTO sync_collected (area, object, known_at) VALUES (?, ?, ?)",
            [(area, key, moment) for key in keys],
        )

    def collected(self, area: str) -> dict[str, datetime]:
        """The objects that were announced, and since when this device knows."""
        rows = self.all("SELECT object, known_at FROM sync_collected WHERE area = ?", (area,))
        return {row["object"]: from_text(row["known_at"]) for row in rows}

    def free_key(self, area: str, key: str) -> str:
        """``key``, or another like it where the log announced that what lies under it is taken away.

        Whoever announced it may be deleting it at this moment, so nothing is put there any more.
        """
        row = self.one("SELECT 1 FROM sync_collected WHERE area = ? AND object = ?", (area, key))
        return key if row is None else f"{key}-{new_id()[-10:]}"

    def forget_collected(self, area: str, keys: Iterable[str]) -> None:
        """The objects are gone."""
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM sync_collected WHERE area = ? AND object = ?", [(area, key) for key in keys]
            )

    def note_taken_back(self, area: str, path: str, key: str) -> None:
        """Note that what lies under ``key`` is to be deleted once the log says that ``path`` is nothing any more."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sync_taken_back (area, path, object) VALUES (?, ?, ?)", (area, path, key)
            )

    def taken_back(self, area: str) -> list[tuple[str, str]]:
        """The paths and keys that were noted."""
        rows = self.all("SELECT path, object FROM sync_taken_back WHERE area = ? ORDER BY path", (area,))
        return [(row["path"], row["object"]) for row in rows]

    def forget_taken_back(self, area: str, path: str, key: str) -> None:
        """It is gone."""
        with self.database.transaction() as connection:
            connection.execute(
                "DELETE FROM sync_taken_back WHERE area = ? AND path = ? AND object = ?", (area, path, key)
            )
