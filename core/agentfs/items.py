"""Items and the journal: every change of truth is one row in each, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.agent_model import Actor
from core.agentfs.audit import AuditTrail
from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.agentfs.guard import Guard, Judged
from core.agentfs.journal import journaled
from core.errors import SealBroken, WorkspaceUnusable, WrongKey
from core.ids import new_id, sha256_hex
from core.model import Item, JSONObject, JSONValue, Kind, Level, Sensitivity


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """What an item at ``path`` shall be from now on.

    Without ``level`` the boundaries give it one. ``found`` is what a scan of its content said already; without it,
    ``data`` are scanned as text.
    """

    path: str
    kind: Kind
    owner: str
    data: bytes
    level: Level | None = None
    critical: bool = False
    metadata: JSONObject = field(default_factory=dict)
    agent_id: str = ""
    found: Sensitivity | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What ``put`` did. ``sha256`` is of the bytes as they lie, sealed or not; ``freed`` the one no longer held."""

    item_id: str
    sha256: str
    freed: str | None
    level: Level
    sensitive: Sensitivity
    sealed: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """How often an item was opened, and when last."""

    access_count: int
    last_accessed: datetime


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How many items there are, how many of them are sensitive because of what, and how many are sealed."""

    items: int
    sensitive: Counter[Sensitivity]
    sealed: int


class ItemStore:
    """Reads and writes items; every change is journaled and audited. Safe from any thread."""

    def __init__(self, database: Database, contents: ContentStore, audit: AuditTrail, guard: Guard, by: Actor) -> None:
        """``by`` is who acts where nobody is named."""
        self._database = database
        self._contents = contents
        self._guard = guard
        self.audit = audit
        self.by = by

    def put(
        self,
        connection: sqlite3.Connection,
        write: ItemWrite,
        *,
        by: Actor | None = None,
        action: str = "",
        details: JSONObject | None = None,
        new_item_id: str = "",
    ) -> Written:
        """Create or replace the item at ``write.path`` within the caller's transaction, sealed where it has to be.

        A new item gets ``new_item_id``, or an id made here. The audit record says that ``by`` did ``action``
        (``<kind>.put`` by itself), with ``details``. An equal item is left alone. Raises Locked when it has to be
        sealed and the keys are locked.
        """
        row = connection.execute("SELECT * FROM items WHERE path = ?", (write.path,)).fetchone()
        living = row is not None and not row["deleted"]
        judged = self._judged(write)
        metadata = to_json(dict(write.metadata))
        item_id = str(row["id"]) if row is not None else new_item_id or new_id()
        if living and row["metadata"] == metadata and self._is_equal(row, write.data, judged):
            return Written(item_id, row["sha256"], None, judged.level, judged.sensitive, judged.seal)
        data = self._guard.seal(item_id, write.data) if judged.seal else write.data
        if slot_id := self._guard.take_founded():
            self.audit.append(connection, self.by, "keys.add", slot_id, {"kind": "key_file"})
        sha256 = self._contents.write(connection, data, sealed=judged.seal)
        moment = to_text(now())
        base = str(row["sha256"]) if living else None
        position = journaled(connection, item_id, "put", sha256, base, moment)
        connection.execute(
            "INSERT INTO items (id, path, kind, owner, level, sha256, base_sha256, critical, size, metadata,"
            " created_at, updated_at, version, deleted, position, sensitive, sealed, agent_id)"
            " VALUES (:id, :path, :kind, :owner, :level, :sha256, :base, :critical, :size, :metadata,"
            " :at, :at, 1, 0, :position, :sensitive, :sealed, :agent)"
            " ON CONFLICT (path) DO UPDATE SET kind = excluded.kind, owner = excluded.owner, level = excluded.level,"
            " sha256 = excluded.sha256, base_sha256 = excluded.base_sha256, critical = excluded.critical,"
            " size = excluded.size, metadata = excluded.metadata, updated_at = excluded.updated_at,"
            " version = version + 1, deleted = 0, position = excluded.position, sensitive = excluded.sensitive,"
            " sealed = excluded.sealed, agent_id = excluded.agent_id",
            {
                "id": item_id,
                "path": write.path,
                "kind": write.kind,
                "owner": write.owner,
                "level": judged.level,
                "sha256": sha256,
                "base": base,
                "critical": int(write.critical),
                "size": len(write.data),
                "metadata": metadata,
                "at": moment,
                "position": position,
                "sensitive": judged.sensitive,
                "sealed": int(judged.seal),
                "agent": write.agent_id or None,
            },
        )
        told = {"sha256": sha256, "base": base, **(details or {})}
        self.audit.append(connection, by or self.by, action or f"{write.kind}.put", item_id, told, journal=position)
        freed = base if base != sha256 else None
        return Written(item_id, sha256, freed, judged.level, judged.sensitive, judged.seal)

    def rewrite(self, connection: sqlite3.Connection, item: Item, content: bytes, judged: Judged) -> str:
        """Keep the item's same ``content`` in the form that was judged now; the answer is the hash it lies under.

        Within the caller's transaction, which has looked that the item is still as given. Raises Locked.
        """
        data = self._guard.seal(item.id, content) if judged.seal else content
        sha256 = self._contents.write(connection, data, sealed=judged.seal)
        metadata = dict(item.metadata)
        if judged.seal and item.kind is Kind.DOCUMENT:
            metadata |= {"title": str(metadata.get("source", item.path)).rpartition("/")[2]}
            metadata.pop("checksum", None)
        position = journaled(connection, item.id, "put", sha256, item.sha256, to_text(now()))
        connection.execute(
            "UPDATE items SET sha256 = ?, base_sha256 = ?, sealed = ?, metadata = ?, version = version + 1,"
            " position = ? WHERE id = ?",
            (sha256, item.sha256, int(judged.seal), to_json(metadata), position, item.id),
        )
        action = "item.seal" if judged.seal else "item.unseal"
        told: JSONObject = {"sha256": sha256, "base": item.sha256}
        self.audit.append(connection, self.by, action, item.id, told, journal=position)
        return sha256

    def content(self, item: Item) -> bytes:
        """The item's bytes, opened where they are sealed. Raises Locked, SealBroken and WorkspaceUnusable."""
        return self.opened(item.id, item.sha256, sealed=item.sealed)

    def opened(self, item_id: str, sha256: str, *, sealed: bool) -> bytes:
        """As ``content``, of any version of an item's content."""
        data = self._contents.read(sha256)
        return self._guard.open(item_id, data) if sealed else data

    def delete(
        self,
        connection: sqlite3.Connection,
        item_id: str,
        *,
        by: Actor | None = None,
        action: str = "",
        details: JSONObject | None = None,
    ) -> str | None:
        """Turn the item into a tombstone within the caller's transaction; returns the content hash it held."""
        row = connection.execute("SELECT sha256, kind FROM items WHERE id = ? AND deleted = 0", (item_id,)).fetchone()
        if row is None:
            return None
        moment = to_text(now())
        sha256 = str(row["sha256"])
        # What is written at this path later is something else: nobody has shared that. What it was kept from still is.
        connection.execute("DELETE FROM shares WHERE item_id = ? AND opted_out = 0", (item_id,))
        position = journaled(connection, item_id, "delete", sha256, sha256, moment)
        connection.execute(
            "UPDATE items SET deleted = 1, base_sha256 = sha256, updated_at = ?, version = version + 1, position = ?"
            " WHERE id = ?",
            (moment, position, item_id),
        )
        told = {"base": sha256, **(details or {})}
        self.audit.append(connection, by or self.by, action or f"{row['kind']}.delete", item_id, told, journal=position)
        return sha256

    def get(self, item_id: str) -> Item | None:
        """The item, tombstones included."""
        return self._one("SELECT * FROM items WHERE id = ?", item_id)

    def at_path(self, path: str) -> Item | None:
        """The living item at ``path``."""
        return self._one("SELECT * FROM items WHERE path = ? AND deleted = 0", path)

    def any_below(self, folder: str) -> bool:
        """Whether something lives in ``folder``, which ends with a slash."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute(
                    "SELECT 1 FROM items WHERE path >= ? AND path < ? AND deleted = 0 LIMIT 1",
                    (folder, f"{folder[:-1]}0"),
                )
                .fetchone()
            )
        return row is not None

    def changes_since(self, position: int, limit: int) -> list[Item]:
        """Items last changed after journal ``position``, oldest change first, each once in its latest state."""
        return self._many("SELECT * FROM items WHERE position > ? ORDER BY position LIMIT ?", (position, limit))

    def own_changes_since(self, owner: str, position: int, limit: int) -> list[Item]:
        """As ``changes_since``, of one owner's items."""
        statement = "SELECT * FROM items WHERE position > ? AND owner = ? ORDER BY position LIMIT ?"
        with translated(self._database.path):
            return [_item(row) for row in self._database.connection().execute(statement, (position, owner, limit))]

    def documents_since(self, position: int, limit: int) -> list[Item]:
        """As ``changes_since``, documents alone."""
        return self._many(
            "SELECT * FROM items WHERE kind = 'document' AND position > ? ORDER BY position LIMIT ?", (position, limit)
        )

    def sealed(self) -> list[Item]:
        """Every living item whose content is sealed."""
        with translated(self._database.path):
            rows = self._database.connection().execute("SELECT * FROM items WHERE sealed = 1 AND deleted = 0")
            return [_item(row) for row in rows]

    def position(self) -> int:
        """The journal position of the newest change; 0 in an empty workspace."""
        return self._number("SELECT max(position) FROM items")

    def document_position(self) -> int:
        """The journal position of the newest change of a document; 0 when there was none."""
        return self._number("SELECT max(position) FROM items WHERE kind = 'document'")

    def count(self, kind: Kind) -> int:
        """How many living items of ``kind`` there are."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT count(*) AS n FROM items WHERE kind = ? AND deleted = 0", (kind,))
                .fetchone()
            )
        return int(row["n"])

    def count_sealed(self, kind: Kind) -> int:
        """How many living items of ``kind`` are sealed."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT count(*) AS n FROM items WHERE kind = ? AND sealed = 1 AND deleted = 0", (kind,))
                .fetchone()
            )
        return int(row["n"])

    def counts(self) -> ItemCounts:
        """How many living items are sensitive and sealed; reads no path."""
        with translated(self._database.path):
            rows = (
                self._database.connection()
                .execute(
                    "SELECT sensitive, count(*) AS n, sum(sealed) AS sealed FROM items WHERE deleted = 0"
                    " GROUP BY sensitive"
                )
                .fetchall()
            )
        return ItemCounts(
            sum(row["n"] for row in rows),
            Counter({Sensitivity(row["sensitive"]): row["n"] for row in rows}),
            sum(row["sealed"] for row in rows),
        )

    def record_usage(self, counts: Mapping[str, int], moment: datetime) -> None:
        """Add ``counts`` (accesses by item id) at ``moment``; ids that are no items are passed over."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO item_usage (item_id, access_count, last_accessed)"
                " SELECT id, ?, ? FROM items WHERE id = ?"
                " ON CONFLICT (item_id) DO UPDATE SET access_count = access_count + excluded.access_count,"
                " last_accessed = max(last_accessed, excluded.last_accessed)",
                [(count, to_text(moment), item_id) for item_id, count in counts.items()],
            )

    def usage(self, item_ids: Iterable[str]) -> dict[str, Usage]:
        """Usage of those of ``item_ids`` that were ever opened."""
        wanted = json.dumps(list(item_ids))
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT * FROM item_usage WHERE item_id IN (SELECT value FROM json_each(?))", (wanted,)
            )
            return {row["item_id"]: Usage(row["access_count"], from_text(row["last_accessed"])) for row in rows}

    def _judged(self, write: ItemWrite) -> Judged:
        value = _scannable(write.data) if write.found is None else None
        return self._guard.judge(write.path, write.kind, value, found=write.found, level=write.level)

    def _is_equal(self, row: sqlite3.Row, data: bytes, judged: Judged) -> bool:
        """Whether the item at ``row`` holds ``data`` already, in the form that was judged."""
        if (bool(row["sealed"]), row["sensitive"], row["level"]) != (judged.seal, judged.sensitive, judged.level):
            return False
        if not judged.seal:
            return bool(row["sha256"] == sha256_hex(data))
        try:
            return bool(row["size"] == len(data)) and self.opened(row["id"], row["sha256"], sealed=True) == data
        except (WrongKey, SealBroken, WorkspaceUnusable):
            # Writing it anew is the cure for what cannot be opened.
            return False

    def _number(self, statement: str) -> int:
        with translated(self._database.path):
            return int(self._database.connection().execute(statement).fetchone()[0] or 0)

    def _many(self, statement: str, parameters: tuple[int, int]) -> list[Item]:
        with translated(self._database.path):
            return [_item(row) for row in self._database.connection().execute(statement, parameters)]

    def _one(self, statement: str, parameter: str) -> Item | None:
        with translated(self._database.path):
            row = self._database.connection().execute(statement, (parameter,)).fetchone()
        return _item(row) if row is not None else None


def _scannable(data: bytes) -> JSONValue:
    """``data`` as JSON, or as the text it is."""
    text = data.decode("utf-8", "replace")
    try:
        value: JSONValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _item(row: sqlite3.Row) -> Item:
    return Item(
        id=row["id"],
        path=row["path"],
        kind=Kind(row["kind"]),
        owner=row["owner"],
        level=Level(row["level"]),
        sha256=row["sha256"],
        base_sha256=row["base_sha256"],
        critical=bool(row["critical"]),
        size=row["size"],
        metadata=json.loads(row["metadata"]),
        created_at=from_text(row["created_at"]),
        updated_at=from_text(row["updated_at"]),
        version=row["version"],
        deleted=bool(row["deleted"]),
        position=row["position"],
        sensitive=Sensitivity(row["sensitive"]),
        sealed=bool(row["sealed"]),
        agent_id=row["agent_id"] or "",
    )
