"""What both sides agreed on last, by path: the base of every comparison."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from core.agentfs.database import to_json
from core.model import JSONObject
from core.sync.commit import Operation, Place
from core.sync.packing import Encoding
from core.sync.rows import Rows


@dataclass(frozen=True, slots=True)
class Base:
    """What both sides agreed on last at a path. ``present``: the content is here, not only known.

    ``here``: where it is not, the version both sides agreed on before, ``None`` where there was none.
    """

    path: str
    version: str
    kind: str
    item_id: str
    header: JSONObject
    content: str
    size: int
    place: Place | None
    seq: int
    present: bool
    here: str | None = None

    @property
    def agreed(self) -> str | None:
        """The version that an edit here is an edit of."""
        return self.version if self.present else self.here


class BaseTables(Rows):
    """The state of each area, as this device knows it."""

    def base(self, area: str, path: str) -> Base | None:
        """What both sides agreed on last at ``path``."""
        row = self.one("SELECT * FROM sync_base WHERE area = ? AND path = ?", (area, path))
        return base_of(row) if row is not None else None

    def bases(self, area: str, after: str = "", limit: int = 1000) -> list[Base]:
        """What both sides agreed on, by path, those after the path ``after``."""
        rows = self.all(
            "SELECT * FROM sync_base WHERE area = ? AND path > ? ORDER BY path LIMIT ?", (area, after, limit)
        )
        return [base_of(row) for row in rows]

    def under(self, area: str, prefix: str) -> list[Base]:
        """What both sides agreed on at the paths that begin with ``prefix``, by path."""
        rows = self.all(
            "SELECT * FROM sync_base WHERE area = ? AND path >= ? AND substr(path, 1, ?) = ? ORDER BY path",
            (area, prefix, len(prefix), prefix),
        )
        return [base_of(row) for row in rows]

    def count(self, area: str) -> int:
        """How many paths the area holds."""
        row = self.one("SELECT count(*) AS n FROM sync_base WHERE area = ?", (area,))
        return int(row["n"]) if row is not None else 0

    def not_fetched(self, area: str, limit: int = 1000, *, besides: str = "") -> list[Base]:
        """What is known but not here, the smallest first, but for what is of the kind ``besides``."""
        rows = self.all(
            "SELECT * FROM sync_base WHERE area = ? AND present = 0 AND kind <> ? ORDER BY size, path LIMIT ?",
            (area, besides, limit),
        )
        return [base_of(row) for row in rows]

    def overwritten(self, area: str) -> list[Base]:
        """What is known but not here, and was changed here all the same."""
        rows = self.all(
            "SELECT b.* FROM sync_pending p CROSS JOIN sync_base b ON b.area = p.area AND b.path = p.path"
            " WHERE p.area = ? AND b.present = 0 ORDER BY p.path",
            (area,),
        )
        return [base_of(row) for row in rows]

    def missing_path(self, identifier: str) -> str:
        """The path of what is known by that id or path and not here; empty where nothing is."""
        row = self.one(
            "SELECT path FROM sync_base WHERE present = 0 AND kind <> 'library' AND (path = ? OR item_id = ?) LIMIT 1",
            (identifier, identifier),
        )
        return str(row["path"]) if row is not None else ""

    def missing_counts(self, area: str, at_most: int | None = None) -> tuple[int, int]:
        """How many paths, of at most so many bytes, are known but were not fetched, and their bytes.

        Files of published libraries do not count: they come when the library is pulled.
        """
        row = self.one(
            "SELECT count(*) AS n, sum(size) AS bytes FROM sync_base"
            " WHERE area = ? AND present = 0 AND size <= ? AND kind <> 'library'",
            (area, at_most if at_most is not None else 1 << 62),
        )
        return (int(row["n"]), int(row["bytes"] or 0)) if row is not None else (0, 0)

    def place_of_content(self, area: str, content: str) -> Place | None:
        """Where equal content lies in the area already, and was whole when it was read or sent here."""
        row = self.one(
            # Without statistics SQLite would rather read the whole area.
            "SELECT * FROM sync_base INDEXED BY sync_base_by_content"
            " WHERE area = ? AND content = ? AND object <> '' AND present = 1 LIMIT 1",
            (area, content),
        )
        return base_of(row).place if row is not None else None

    def move_base(
        self,
        connection: sqlite3.Connection,
        area: str,
        operation: Operation,
        seq: int,
        *,
        present: bool = True,
        here: str | None = None,
    ) -> None:
        """Both sides agree on what ``operation`` says from now on; ``here`` as in ``Base``."""
        if operation.version is None:
            connection.execute("DELETE FROM sync_base WHERE area = ? AND path = ?", (area, operation.path))
            return
        place = operation.place
        connection.execute(
            "INSERT OR REPLACE INTO sync_base (area, path, version, kind, item_id, header, content, object, first,"
            " length, encoding, sha256, size, seq, present, here)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                area,
                operation.path,
                operation.version,
                operation.kind,
                operation.item_id,
                to_json(dict(operation.header or {})),
                operation.content,
                place.key if place else "",
                place.first if place else 0,
                place.length if place else 0,
                place.encoding.value if place else "",
                place.sha256 if place else "",
                operation.size,
                seq,
                int(present),
                None if present else here,
            ),
        )


def base_of(row: sqlite3.Row) -> Base:
    """The base that ``row`` of ``sync_base`` tells of."""
    place = None
    if row["object"]:
        place = Place(row["object"], row["first"], row["length"], row["sha256"], Encoding(row["encoding"]))
    return Base(
        path=row["path"],
        version=row["version"],
        kind=row["kind"],
        item_id=row["item_id"],
        header=json.loads(row["header"]),
        content=row["content"],
        size=row["size"],
        place=place,
        seq=row["seq"],
        present=bool(row["present"]),
        here=row["here"],
    )
