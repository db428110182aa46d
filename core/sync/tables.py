"""What this device knows of its areas: how far it is, what both sides agreed on, what waits to go up."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.ids import new_id
from core.model import JSONObject
from core.sync.commit import AuditHead, Commit, Operation, Place
from core.sync.packing import Encoding
from core.sync_model import Area, AreaKind, DeviceStatus


@dataclass(frozen=True, slots=True)
class Position:
    """How far an area is: the last commit taken in, the hash of its stored bytes, the journal position scanned."""

    seq: int
    hash: str
    scanned: int


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


@dataclass(frozen=True, slots=True)
class Pending:
    """A path that changed here and is not in the log yet."""

    path: str
    size: int
    since: datetime


class SyncTables:
    """Reads and writes the tables of one workspace. Safe from any thread and process; methods that take a connection
    are part of the caller's transaction.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    # Areas

    def open_area(self, area: Area) -> Position:
        """How far ``area`` is; it is noted when it was not known."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sync_areas (area, kind, name) VALUES (?, ?, ?)",
                (area.id, area.kind.value, area.name),
            )
        return self.position(area.id)

    def position(self, area: str) -> Position:
        """How far the area is; all zero where it is not known."""
        row = self._one("SELECT seq, hash, scanned FROM sync_areas WHERE area = ?", (area,))
        return Position(row["seq"], row["hash"], row["scanned"]) if row is not None else Position(0, "", 0)

    def areas(self) -> list[Area]:
        """Every area known here."""
        rows = self._all("SELECT kind, name FROM sync_areas ORDER BY area", ())
        return [Area(AreaKind(row["kind"]), row["name"]) for row in rows]

    def forget(self) -> None:
        """Know nothing of any remote any more: what is here stays, and is compared anew when one is joined."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM sync_areas")
            connection.execute("DELETE FROM sync_devices")
            connection.execute("DELETE FROM sync_audit_heads")

    def begin_anew(self, area: Area) -> None:
        """Know nothing of the area's log any more: what is here stays, and is compared with it as on joining."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM sync_areas WHERE area = ?", (area.id,))
        self.open_area(area)

    def set_problem(self, area: str, problem: str) -> None:
        """Note what keeps the area from going on, or that nothing does."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE sync_areas SET problem = ? WHERE area = ?", (problem, area))

    def set_synced(self, area: str) -> None:
        """Note that the area is up to date now."""
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE sync_areas SET synced_at = ?, problem = '' WHERE area = ?", (to_text(now()), area)
            )

    # Commits

    def advance(self, connection: sqlite3.Connection, commit: Commit, stored_hash: str, raw: bytes | None) -> None:
        """Note that ``commit`` was taken in, with the bytes it was stored as."""
        connection.execute(
            "UPDATE sync_areas SET seq = ?, hash = ? WHERE area = ?", (commit.seq, stored_hash, commit.area)
        )
        connection.execute("DELETE FROM sync_tried WHERE area = ? AND seq <= ?", (commit.area, commit.seq))
        connection.execute(
            "INSERT OR REPLACE INTO sync_commits (area, seq, hash, device, at, changes, raw)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (commit.area, commit.seq, stored_hash, commit.device, to_text(commit.at), len(commit.operations), raw),
        )
        connection.execute(
            "INSERT INTO sync_devices (device, last_commit_at) VALUES (?, ?)"
            " ON CONFLICT (device) DO UPDATE SET last_commit_at = excluded.last_commit_at",
            (commit.device, to_text(commit.at)),
        )

    def note_tried(self, area: str, seq: int, commit: str) -> None:
        """Note that this device is about to try to put the commit of that id, as number ``seq``."""
        with self.database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO sync_tried (area, seq, id) VALUES (?, ?, ?)", (area, seq, commit))

    def tried(self, area: str) -> set[str]:
        """The ids of the commits that were tried and may be in the log after what was taken in."""
        return {row["id"] for row in self._all("SELECT id FROM sync_tried WHERE area = ?", (area,))}

    def commit_hash(self, area: str, seq: int) -> str | None:
        """The hash under which commit ``seq`` was taken in, where it is remembered."""
        row = self._one("SELECT hash FROM sync_commits WHERE area = ? AND seq = ?", (area, seq))
        return str(row["hash"]) if row is not None else None

    def commits(self, area: str, first: int, last: int) -> list[tuple[int, str, bytes | None]]:
        """Number, hash and stored bytes of the commits from ``first`` to ``last`` that are remembered."""
        rows = self._all(
            "SELECT seq, hash, raw FROM sync_commits WHERE area = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (area, first, last),
        )
        return [(row["seq"], row["hash"], bytes(row["raw"]) if row["raw"] is not None else None) for row in rows]

    def bytes_of_commits(self, area: str, first: int, last: int) -> int:
        """How many bytes the remembered ones of the commits from ``first`` to ``last`` have in all."""
        row = self._one(
            "SELECT sum(length(raw)) AS n FROM sync_commits WHERE area = ? AND seq BETWEEN ? AND ?", (area, first, last)
        )
        return int(row["n"] or 0) if row is not None else 0

    def seq_of_hash(self, area: str, stored_hash: str) -> int | None:
        """As which number a commit of that hash was taken in, where it is remembered."""
        row = self._one("SELECT seq FROM sync_commits WHERE area = ? AND hash = ?", (area, stored_hash))
        return int(row["seq"]) if row is not None else None

    def device_of(self, area: str, seq: int) -> str:
        """The device that wrote commit ``seq``, empty where it is not remembered."""
        row = self._one("SELECT device FROM sync_commits WHERE area = ? AND seq = ?", (area, seq))
        return str(row["device"]) if row is not None else ""

    # The base

    def base(self, area: str, path: str) -> Base | None:
        """What both sides agreed on last at ``path``."""
        row = self._one("SELECT * FROM sync_base WHERE area = ? AND path = ?", (area, path))
        return _base(row) if row is not None else None

    def bases(self, area: str, after: str = "", limit: int = 1000) -> list[Base]:
        """What both sides agreed on, by path, those after the path ``after``."""
        rows = self._all(
            "SELECT * FROM sync_base WHERE area = ? AND path > ? ORDER BY path LIMIT ?", (area, after, limit)
        )
        return [_base(row) for row in rows]

    def under(self, area: str, prefix: str) -> list[Base]:
        """What both sides agreed on at the paths that begin with ``prefix``, by path."""
        rows = self._all(
            "SELECT * FROM sync_base WHERE area = ? AND path >= ? AND substr(path, 1, ?) = ? ORDER BY path",
            (area, prefix, len(prefix), prefix),
        )
        return [_base(row) for row in rows]

    def count(self, area: str) -> int:
        """How many paths the area holds."""
        row = self._one("SELECT count(*) AS n FROM sync_base WHERE area = ?", (area,))
        return int(row["n"]) if row is not None else 0

    def not_fetched(self, area: str, limit: int = 1000, *, besides: str = "") -> list[Base]:
        """What is known but not here, the smallest first, but for what is of the kind ``besides``."""
        rows = self._all(
            "SELECT * FROM sync_base WHERE area = ? AND present = 0 AND kind <> ? ORDER BY size, path LIMIT ?",
            (area, besides, limit),
        )
        return [_base(row) for row in rows]

    def overwritten(self, area: str) -> list[Base]:
        """What is known but not here, and was changed here all the same."""
        rows = self._all(
            "SELECT b.* FROM sync_pending p CROSS JOIN sync_base b ON b.area = p.area AND b.path = p.path"
            " WHERE p.area = ? AND b.present = 0 ORDER BY p.path",
            (area,),
        )
        return [_base(row) for row in rows]

    def place_of_content(self, area: str, content: str) -> Place | None:
        """Where equal content lies in the area already, and was whole when it was read or sent here."""
        row = self._one(
            # Without statistics SQLite would rather read the whole area.
            "SELECT * FROM sync_base INDEXED BY sync_base_by_content"
            " WHERE area = ? AND content = ? AND object <> '' AND present = 1 LIMIT 1",
            (area, content),
        )
        return _base(row).place if row is not None else None

    def objects(self, area: str) -> set[str]:
        """The keys of all objects that the area's state names."""
        rows = self._all("SELECT DISTINCT object FROM sync_base WHERE area = ? AND object <> ''", (area,))
        return {row["object"] for row in rows}

    def stored_bytes(self) -> int:
        """How many bytes of content lie in the remote, as far as it is named."""
        row = self._one(
            "SELECT sum(extent) AS bytes FROM (SELECT max(first + length) AS extent FROM sync_base"
            " WHERE object <> '' GROUP BY area, object)",
            (),
        )
        return int(row["bytes"] or 0) if row is not None else 0

    def extents(self, area: str, *, without: Iterable[str] = ()) -> list[tuple[str, int, str]]:
        """Each object that the area's state names, how many bytes of it at least, and a path in it; by key.

        The paths in ``without`` do not count: later commits tell of them anew.
        """
        rows = self._all(
            "SELECT object, max(first + length) AS extent, min(path) AS path FROM sync_base"
            " WHERE area = ? AND object <> '' AND path NOT IN (SELECT value FROM json_each(?))"
            " GROUP BY object ORDER BY object",
            (area, json.dumps(list(without))),
        )
        return [(row["object"], row["extent"], row["path"]) for row in rows]

    def places_in(self, area: str, key: str) -> list[tuple[str, Place]]:
        """The paths whose content lies in the object ``key``, and where."""
        rows = self._all(
            "SELECT * FROM sync_base INDEXED BY sync_base_by_object WHERE area = ? AND object = ? ORDER BY path",
            (area, key),
        )
        return [(base.path, base.place) for base in map(_base, rows) if base.place is not None]

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

    # The outbox

    def note_scanned(self, area: str, position: int, changed: Iterable[tuple[str, int]], level: Iterable[str]) -> None:
        """Note what changed here (paths with sizes), what is level again, and how far the journal was read, at once."""
        moment = to_text(now())
        with self.database.transaction() as connection:
            connection.executemany(
                "INSERT INTO sync_pending (area, path, size, since) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (area, path) DO UPDATE SET size = excluded.size",
                [(area, path, size, moment) for path, size in changed],
            )
            connection.executemany(
                "DELETE FROM sync_pending WHERE area = ? AND path = ?", [(area, path) for path in level]
            )
            connection.execute("UPDATE sync_areas SET scanned = ? WHERE area = ?", (position, area))

    def pending(self, area: str, limit: int = -1, *, at_most: int | None = None) -> list[Pending]:
        """What waits to go up, of at most so many bytes: small files before large ones, of these the oldest first."""
        rows = self._all(
            "SELECT * FROM sync_pending WHERE area = ? AND size <= ? ORDER BY size > 100000, since, path LIMIT ?",
            (area, at_most if at_most is not None else 1 << 62, limit),
        )
        return [Pending(row["path"], row["size"], from_text(row["since"])) for row in rows]

    def unscanned_counts(self, area: str, owner: str) -> tuple[int, int]:
        """How many items of ``owner`` changed that no scan has looked at yet and none of the outbox is, their bytes."""
        row = self._one(
            "SELECT count(*) AS n, sum(size) AS bytes FROM items WHERE owner = ? AND position >"
            " coalesce((SELECT scanned FROM sync_areas WHERE area = ?), 0)"
            " AND path NOT IN (SELECT path FROM sync_pending WHERE area = ?)",
            (owner, area, area),
        )
        return (int(row["n"]), int(row["bytes"] or 0)) if row is not None else (0, 0)

    def pending_counts(self, area: str) -> tuple[int, int]:
        """How many paths wait, and their bytes."""
        row = self._one("SELECT count(*) AS n, sum(size) AS bytes FROM sync_pending WHERE area = ?", (area,))
        return (int(row["n"]), int(row["bytes"] or 0)) if row is not None else (0, 0)

    def missing_path(self, identifier: str) -> str:
        """The path of what is known by that id or path and not here; empty where nothing is."""
        row = self._one(
            "SELECT path FROM sync_base WHERE present = 0 AND kind <> 'library' AND (path = ? OR item_id = ?) LIMIT 1",
            (identifier, identifier),
        )
        return str(row["path"]) if row is not None else ""

    def missing_counts(self, area: str, at_most: int | None = None) -> tuple[int, int]:
        """How many paths, of at most so many bytes, are known but were not fetched, and their bytes.

        Files of published libraries do not count: they come when the library is pulled.
        """
        row = self._one(
            "SELECT count(*) AS n, sum(size) AS bytes FROM sync_base"
            " WHERE area = ? AND present = 0 AND size <= ? AND kind <> 'library'",
            (area, at_most if at_most is not None else 1 << 62),
        )
        return (int(row["n"]), int(row["bytes"] or 0)) if row is not None else (0, 0)

    def synced(self, area: str) -> tuple[datetime | None, str]:
        """When the area was level last, and what keeps it from going on."""
        row = self._one("SELECT synced_at, problem FROM sync_areas WHERE area = ?", (area,))
        if row is None:
            return None, ""
        return from_text(row["synced_at"]) if row["synced_at"] else None, str(row["problem"])

    def devices(self) -> list[DeviceStatus]:
        """Every device that wrote a commit or showed a card; which of them this is, is for others to say."""
        rows = self._all(
            "SELECT d.*, (SELECT count(*) FROM sync_commits c WHERE c.device = d.device) AS commits"
            " FROM sync_devices d ORDER BY last_commit_at DESC",
            (),
        )
        return [
            DeviceStatus(
                row["device"],
                row["name"],
                row["user"],
                False,
                row["commits"],
                from_text(row["last_commit_at"]) if row["last_commit_at"] else None,
                row["audit_position"],
                row["problem"],
            )
            for row in rows
        ]

    def not_pending(self, connection: sqlite3.Connection, area: str, path: str) -> None:
        """The path waits no longer."""
        connection.execute("DELETE FROM sync_pending WHERE area = ? AND path = ?", (area, path))

    def add_pending(self, connection: sqlite3.Connection, area: str, path: str, size: int = 0) -> None:
        """The path waits to go up."""
        connection.execute(
            "INSERT OR IGNORE INTO sync_pending (area, path, size, since) VALUES (?, ?, ?, ?)",
            (area, path, size, to_text(now())),
        )

    # Objects to be deleted

    def note_collected(self, connection: sqlite3.Connection, area: str, keys: Iterable[str]) -> None:
        """Note that a commit announced that objects are to be deleted."""
        moment = to_text(now())
        connection.executemany(
            "INSERT OR IGNORE INTO sync_collected (area, object, known_at) VALUES (?, ?, ?)",
            [(area, key, moment) for key in keys],
        )

    def collected(self, area: str) -> dict[str, datetime]:
        """The objects that were announced, and since when this device knows."""
        rows = self._all("SELECT object, known_at FROM sync_collected WHERE area = ?", (area,))
        return {row["object"]: from_text(row["known_at"]) for row in rows}

    def free_key(self, area: str, key: str) -> str:
        """``key``, or another like it where the log announced that what lies under it is taken away.

        Whoever announced it may be deleting it at this moment, so nothing is put there any more.
        """
        row = self._one("SELECT 1 FROM sync_collected WHERE area = ? AND object = ?", (area, key))
        return key if row is None else f"{key}-{new_id()[-10:]}"

    def forget_collected(self, area: str, keys: Iterable[str]) -> None:
        """The objects are gone."""
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM sync_collected WHERE area = ? AND object = ?", [(area, key) for key in keys]
            )

    # What was taken back

    def note_taken_back(self, area: str, path: str, key: str) -> None:
        """Note that what lies under ``key`` is to be deleted once the log says that ``path`` is nothing any more."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO sync_taken_back (area, path, object) VALUES (?, ?, ?)", (area, path, key)
            )

    def taken_back(self, area: str) -> list[tuple[str, str]]:
        """The paths and keys that were noted."""
        rows = self._all("SELECT path, object FROM sync_taken_back WHERE area = ? ORDER BY path", (area,))
        return [(row["path"], row["object"]) for row in rows]

    def forget_taken_back(self, area: str, path: str, key: str) -> None:
        """It is gone."""
        with self.database.transaction() as connection:
            connection.execute(
                "DELETE FROM sync_taken_back WHERE area = ? AND path = ? AND object = ?", (area, path, key)
            )

    # Devices

    def device(self, device: str) -> tuple[str, str]:
        """Name and user of a device as its card says, empty where no card was seen."""
        row = self._one("SELECT name, user FROM sync_devices WHERE device = ?", (device,))
        return (str(row["name"]), str(row["user"])) if row is not None else ("", "")

    def signing_key(self, device: str) -> str:
        """The device's public key as its card said, empty where no card was seen."""
        row = self._one("SELECT signing_key FROM sync_devices WHERE device = ?", (device,))
        return str(row["signing_key"]) if row is not None else ""

    def put_device(self, device: str, name: str, user: str, signing_key: str) -> None:
        """Note what a device's card says; whoever calls has checked it."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO sync_devices (device, name, user, signing_key) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (device) DO UPDATE SET name = excluded.name, user = excluded.user,"
                " signing_key = excluded.signing_key",
                (device, name, user, signing_key),
            )

    def note_audit_head(self, connection: sqlite3.Connection, commit: Commit) -> str:
        """Note the audit head in a commit; the answer says what is wrong with that device's trail, empty if nothing."""
        head = commit.audit
        row = connection.execute("SELECT problem FROM sync_devices WHERE device = ?", (commit.device,)).fetchone()
        problem = str(row["problem"]) if row is not None else ""
        for position, digest in [(head.position, head.hash), *([head.before] if head.before is not None else [])]:
            other = connection.execute(
                "SELECT 1 FROM sync_audit_heads INDEXED BY sync_audit_heads_by_position"
                " WHERE device = ? AND position = ? AND hash <> ?",
                (commit.device, position, digest),
            ).fetchone()
            if other is not None:
                problem = f"its audit trail was rewritten: record {position:,} is not the one that it showed before"
        # Only commits of one area are in an order.
        seen = connection.execute(
            "SELECT max(position) AS position FROM sync_audit_heads WHERE device = ? AND area = ? AND seq < ?",
            (commit.device, commit.area, commit.seq),
        ).fetchone()
        if seen["position"] is not None and head.position < seen["position"]:
            problem = (
                f"its audit trail was cut off: it ended at record {seen['position']:,} before,"
                f" and at {head.position:,} in commit {commit.seq} of {commit.area}"
            )
        connection.execute(
            "INSERT OR REPLACE INTO sync_audit_heads (device, position, hash, area, seq) VALUES (?, ?, ?, ?, ?)",
            (commit.device, head.position, head.hash, commit.area, commit.seq),
        )
        connection.execute(
            "INSERT INTO sync_devices (device, audit_position, audit_hash, problem) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (device) DO UPDATE SET problem = excluded.problem,"
            " audit_hash = CASE WHEN excluded.audit_position >= audit_position THEN excluded.audit_hash"
            " ELSE audit_hash END, audit_position = max(audit_position, excluded.audit_position)",
            (commit.device, head.position, head.hash, problem),
        )
        return problem

    def devices_with_cards(self) -> set[str]:
        """The devices whose card was seen and checked."""
        return {row["device"] for row in self._all("SELECT device FROM sync_devices WHERE signing_key <> ''", ())}

    def device_problems(self) -> list[tuple[str, str, str]]:
        """The devices with a problem: id, name, and what it is."""
        rows = self._all("SELECT device, name, problem FROM sync_devices WHERE problem <> '' ORDER BY device", ())
        return [(row["device"], row["name"], row["problem"]) for row in rows]

    def last_audit_position(self, device: str, area: str) -> int:
        """The position of the head that a device's newest commit in ``area`` showed; 0 where there is none."""
        row = self._one(
            "SELECT position FROM sync_audit_heads WHERE device = ? AND area = ? ORDER BY seq DESC LIMIT 1",
            (device, area),
        )
        return int(row["position"]) if row is not None else 0

    def audit_heads(self, device: str) -> list[AuditHead]:
        """The heads that a device showed, by position."""
        rows = self._all(
            "SELECT DISTINCT position, hash FROM sync_audit_heads WHERE device = ? ORDER BY position", (device,)
        )
        return [AuditHead(row["position"], row["hash"]) for row in rows]

    def _one(self, statement: str, parameters: tuple[object, ...]) -> sqlite3.Row | None:
        with translated(self.database.path):
            row: sqlite3.Row | None = self.database.connection().execute(statement, parameters).fetchone()
        return row

    def _all(self, statement: str, parameters: tuple[object, ...]) -> list[sqlite3.Row]:
        with translated(self.database.path):
            return self.database.connection().execute(statement, parameters).fetchall()


def _base(row: sqlite3.Row) -> Base:
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
