"""Judging what was written before: by an older Bailiwick, under other boundaries, or another scope of sealing.

What has to be sealed now is sealed, former versions of states too, and its plain bytes are overwritten in the database.
Copies made earlier, snapshots and backups, stay as they were made.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, to_json, translated
from core.agentfs.guard import Guard, Judged
from core.agentfs.items import ItemStore
from core.agentfs.settings import SettingsStore
from core.content_format import decode
from core.errors import BailiwickError
from core.ids import sha256_hex
from core.model import Item, Kind, Sensitivity

JUDGED_UNDER = "privacy.judged_under"
_PAGE = 50
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
        self._sealed_any = False

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
                if (judged.sensitive, judged.level, judged.seal) != (
                    row["sensitive"],
                    row["level"],
                    bool(row["sealed"]),
                ):
                    changed.append((row["id"],))
        with self._database.transaction() as connection:
            connection.executemany("UPDATE items SET sensitive = 'unknown' WHERE id = ?", changed)
        self._settings.put(JUDGED_UNDER, present)
        self.look_again()
        return len(changed)

    def look_again(self) -> None:
        """Begin anew with what could not be judged, now that the keys are unlocked."""
        self._after = self._waiting = 0

    def step(self, seconds: float, should_stop: Callable[[], bool] = lambda: False) -> Judging:
        """Judge items for about ``seconds``."""
        deadline = time.monotonic() + seconds
        judged = sealed = 0
        while not should_stop() and time.monotonic() < deadline:
            page = self._page()
            if not page:
                if self._sealed_any:
                    self._overwrite()
                return Judging(judged, sealed, left=False, waiting=self._waiting)
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
        judged = self._verdict(item, content)
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
            self._tell(connection, item, judged, content, sha256)
            freed += self._former_versions(connection, item, sha256)
        self._contents.discard_unused(freed)
        changed = int(judged.seal and not item.sealed)
        self._sealed_any |= bool(freed)
        return changed

    def _verdict(self, item: Item, content: bytes) -> Judged:
        if item.kind is Kind.SESSION:
            found = Sensitivity.NONE
        elif item.kind is Kind.DOCUMENT:
            document = decode(content)
            texts = (document.title, *(passage.embedding_text for passage in document.passages))
            found = self._guard.scan("\n".join(texts), published=item.path.startswith(_PUBLISHED))
        else:
            found = self._guard.scan(content.decode("utf-8"))
        return self._guard.judge(item.path, item.kind, "", found=found)

    def _tell(self, connection: sqlite3.Connection, item: Item, judged: Judged, content: bytes, sha256: str) -> None:
        """Carry the verdict to where the content is shown from."""
        shown = "" if judged.seal else content.decode("utf-8")
        told = (judged.sensitive.value, judged.level.value, sha256 if judged.seal else None, shown, item.id)
        if item.kind is Kind.MESSAGE:
            connection.execute(
                "UPDATE agent_communications SET sensitive = ?, level = ?, sealed_sha256 = ?, message_content = ?"
                " WHERE id = ?",
                told,
            )
        elif item.agent_id and item.kind is not Kind.SESSION:
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

    def _former_versions(self, connection: sqlite3.Connection, item: Item, sha256: str) -> list[str]:
        """Seal those that hold what is sensitive; returns the hashes of their plain bytes."""
        freed = []
        rows = connection.execute(
            "SELECT version, sha256 FROM state_history WHERE state_id = ? AND sealed = 0 AND sha256 IS NOT NULL"
            " AND sha256 <> ?",
            (item.id, sha256),
        ).fetchall()
        for row in rows:
            content = self._contents.read(row["sha256"])
            if self._verdict(item, content).seal:
                sealed = self._contents.write(connection, self._guard.seal(item.id, content), sealed=True)
                connection.execute(
                    "UPDATE state_history SET sha256 = ?, sealed = 1 WHERE state_id = ? AND version = ?",
                    (sealed, item.id, row["version"]),
                )
                freed.append(row["sha256"])
        return freed

    def _overwrite(self) -> None:
        """Have the plain bytes gone from the write-ahead log, and the copy that the migration made."""
        self._sealed_any = False
        with translated(self._database.path):
            self._database.connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for copy in (self._database.path.parent / "snapshots").glob(f"{_BEFORE_MIGRATION}*.db"):
            copy.unlink(missing_ok=True)
