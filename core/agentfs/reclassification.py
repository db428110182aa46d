"""Judging what was written before: by an older Bailiwick, under other boundaries, or another scope of sealing.

What has to be sealed now is sealed, former versions of states too, those of deleted ones among them, and its plain
bytes are overwritten in the database. What is sealed stays so until it is written again: a boundary that is gone may be
a file that was lost. Copies made earlier, snapshots and backups, stay as they were made.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, now, to_json, to_text, translated
from core.agentfs.guard import Guard, Judged
from core.agentfs.items import ItemStore
from core.agentfs.journal import item_touched
from core.agentfs.settings import SettingsStore
from core.content_format import decode
from core.errors import BailiwickError
from core.ids import sha256_hex
from core.model import Item, JSONObject, JSONValue, Kind, Sensitivity

JUDGED_UNDER = "privacy.judged_under"
OVERWRITING_OWED = "privacy.overwriting_owed"
_PAGE = 50
_STATE_PATH = re.compile("agents/[^/]+/state/")
_PUBLISHED = "libraries/"
_BEFORE_MIGRATION = "agentfs-before-"


@dataclass(frozen=True, slots=True)
class Judging:
    """What one step did. ``left`` is whether there is more to look at now; ``waiting`` for the keys to be unlocked."""

    judged: int = 0
    sealed: int = 0
    left: bool = False
    waiting: int = 0


class Reclassifier:
    """Used by one thread of the engine. Interrupted at any moment, it goes on where it was."""

    def __init__(
        self, database: Database, items: ItemStore, contents: ContentStore, guard: Guard, settings: SettingsStore
    ) -> None:
        self._database = database
        self._items = items
        self._contents = contents
        self._guard = guard
        self._settings = settings
        self._after = 0
        self._waiting = 0
        self._after_version = ("", 0)
        self._versions_left = True

    def note_rules(self) -> int:
        """Mark for judging what the boundaries or the scope say otherwise of than before; returns how many items.

        Raises ConfigurationError when the boundaries cannot be read.
        """
        rules = self._guard.rules
        patterns = sorted(pattern.text for pattern in rules.patterns)
        controls = sorted(f"{kind} {control.default}" for kind, control in rules.controls.items())
        said = [patterns, controls, rules.default_level, self._guard.settings.seal_all]
        present = sha256_hex(to_json(said).encode())
        if self._settings.get(JUDGED_UNDER) == present or not self._items.position():
            return 0
        changed = []
        with translated(self._database.path):
            rows = self._database.connection().execute(
                "SELECT id, path, kind, level, sensitive, sealed FROM items"
                " WHERE deleted = 0 AND sensitive <> 'unknown'"
            )
            for row in rows:
                found = Sensitivity.SECRET if row["sensitive"] == Sensitivity.SECRET else Sensitivity.NONE
                judged = self._guard.judge(row["path"], Kind(row["kind"]), "", found=found)
                differs = (judged.sensitive, judged.level) != (row["sensitive"], row["level"])
                if differs or (judged.seal and not row["sealed"]):
                    changed.append((row["id"],))
        with self._database.transaction() as connection:
            connection.executemany("UPDATE items SET sensitive = 'unknown' WHERE id = ?", changed)
            connection.execute("UPDATE state_history SET sensitive = 'unknown' WHERE sealed = 0")
        self._settings.put(JUDGED_UNDER, present)
        self.look_again()
        return len(changed)

    def look_again(self) -> None:
        """Begin anew with what could not be judged, now that the keys are unlocked."""
        self._after = self._waiting = 0
        self._after_version = ("", 0)

    def step(self, seconds: float, should_stop: Callable[[], bool] = lambda: False) -> Judging:
        """Judge items for about ``seconds``."""
        deadline = time.monotonic() + seconds
        judged = sealed = 0
        while not should_stop() and time.monotonic() < deadline:
            page = self._page()
            if not page:
                judged += self._judge_versions(should_stop, deadline)
                left = self._versions_left or not self._overwritten()
                return Judging(judged, sealed, left, waiting=self._waiting)
            for item in page:
                if should_stop() or time.monotonic() > deadline:
                    break
                self._after = item.position
                try:
                    sealed += self._judge(item)
                    judged += 1
                except (BailiwickError, ValueError):
                    # Locked or damaged: it stays unknown, which everything takes for private.
                    self._waiting += 1
        return Judging(judged, sealed, left=True, waiting=self._waiting)

    def _page(self) -> list[Item]:
        with translated(self._database.path):
            rows = (
                self._database.connection()
                .execute(
                    "SELECT id FROM items WHERE sensitive = 'unknown' AND deleted = 0 AND position > ?"
                    " ORDER BY position LIMIT ?",
                    (self._after, _PAGE),
                )
                .fetchall()
            )
        return [item for row in rows if (item := self._items.get(row["id"])) is not None]

    def _judge(self, item: Item) -> int:
        content = self._items.content(item)
        judged = self._verdict(item.path, item.kind, content)
        if item.sealed:
            judged = replace(judged, seal=True)
        freed: list[str] = []
        with self._database.transaction() as connection:
            row = connection.execute("SELECT position FROM items WHERE id = ?", (item.id,)).fetchone()
            if row["position"] != item.position:
                return 0
            sha256 = item.sha256
            if judged.seal != item.sealed:
                sha256 = self._items.rewrite(connection, item, content, judged)
                freed.append(item.sha256)
            connection.execute(
                "UPDATE items SET sensitive = ?, level = ? WHERE id = ?",
                (judged.sensitive.value, judged.level.value, item.id),
            )
            if judged.level is not item.level and not freed:
                journal = item_touched(connection, item.id)
                told: JSONObject = {"level": judged.level.value}
                self._items.audit.append(connection, self._items.by, "item.level", item.id, told, journal=journal)
            self._tell(connection, item, judged, content, sha256)
            if freed:
                self._owe_overwriting(connection)
        self._contents.discard_unused(freed)
        return int(judged.seal and not item.sealed)

    def _verdict(self, path: str, kind: Kind, content: bytes) -> Judged:
        if path.startswith("sessions/"):
            found = Sensitivity.NONE
        elif kind is Kind.DOCUMENT:
            document = decode(content)
            texts: list[JSONValue] = [document.title, *(passage.embedding_text for passage in document.passages)]
            found = self._guard.scan(texts, published=path.startswith(_PUBLISHED))
        else:
            found = self._guard.scan(json.loads(content))
        return self._guard.judge(path, kind, None, found=found)

    def _tell(self, connection: sqlite3.Connection, item: Item, judged: Judged, content: bytes, sha256: str) -> None:
        """Carry the verdict to where the content is shown from."""
        shown = "" if judged.seal else content.decode("utf-8")
        told = (judged.sensitive.value, judged.level.value, sha256 if judged.seal else None, shown, item.id)
        if item.path.startswith("messages/"):
            connection.execute(
                "UPDATE agent_communications SET sensitive = ?, level = ?, sealed_sha256 = ?, message_content = ?"
                " WHERE id = ?",
                told,
            )
        elif _STATE_PATH.match(item.path):
            connection.execute(
                "UPDATE agent_states SET sensitive = ?, level = ?, sealed_sha256 = ?, state_value = ?"
                " WHERE id = ? AND state_value IS NOT NULL",
                told,
            )
            if sha256 != item.sha256:
                connection.execute(
                    "UPDATE state_history SET sha256 = ?, sealed = ? WHERE state_id = ? AND sha256 = ?",
                    (sha256, int(judged.seal), item.id, item.sha256),
                )

    def _judge_versions(self, should_stop: Callable[[], bool], deadline: float) -> int:
        """Judge former versions of states, whatever became of the states; returns how many."""
        judged = 0
        self._versions_left = True
        while not should_stop() and time.monotonic() < deadline:
            rows = self._versions()
            if not rows:
                self._versions_left = False
                break
            for row in rows:
                self._after_version = (row["state_id"], row["version"])
                try:
                    self._judge_version(row)
                    judged += 1
                except (BailiwickError, ValueError):
                    self._waiting += 1
        return judged

    def _versions(self) -> list[sqlite3.Row]:
        with translated(self._database.path):
            return (
                self._database.connection()
                .execute(
                    "SELECT h.state_id, h.version, h.sha256, h.sealed, h.kind, i.path FROM state_history h"
                    " JOIN items i ON i.id = h.state_id WHERE h.sensitive = 'unknown' AND h.sha256 IS NOT NULL"
                    " AND (h.state_id, h.version) > (?, ?) ORDER BY h.state_id, h.version LIMIT ?",
                    (*self._after_version, _PAGE),
                )
                .fetchall()
            )

    def _judge_version(self, row: sqlite3.Row) -> None:
        content = self._items.opened(row["state_id"], row["sha256"], sealed=bool(row["sealed"]))
        judged = self._verdict(row["path"], Kind(row["kind"]), content)
        freed = []
        with self._database.transaction() as connection:
            sha256 = row["sha256"]
            if judged.seal and not row["sealed"]:
                sha256 = self._contents.write(connection, self._guard.seal(row["state_id"], content), sealed=True)
                freed.append(row["sha256"])
                self._owe_overwriting(connection)
            connection.execute(
                "UPDATE state_history SET sensitive = ?, sha256 = ?, sealed = ?"
                " WHERE state_id = ? AND version = ? AND sha256 = ?",
                (
                    judged.sensitive.value,
                    sha256,
                    int(judged.seal or row["sealed"]),
                    row["state_id"],
                    row["version"],
                    row["sha256"],
                ),
            )
        self._contents.discard_unused(freed)

    @staticmethod
    def _owe_overwriting(connection: sqlite3.Connection) -> None:
        """Note, in the transaction that seals, that plain bytes still lie in the log and in the migration's copy."""
        connection.execute(
            "INSERT OR IGNORE INTO settings (key, value, updated_at) VALUES (?, 'true', ?)",
            (OVERWRITING_OWED, to_text(now())),
        )

    def _overwritten(self) -> bool:
        """Have the plain bytes gone that are still owed; says whether they are."""
        if self._settings.get(OVERWRITING_OWED) is None:
            return True
        with translated(self._database.path):
            busy = self._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            return False
        for copy in (self._database.path.parent / "snapshots").glob(f"{_BEFORE_MIGRATION}*.db"):
            copy.unlink(missing_ok=True)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM settings WHERE key = ?", (OVERWRITING_OWED,))
        return True
