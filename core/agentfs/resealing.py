"""Sealing everything again under another identity, for a workspace that joins a remote whose keys are not its own.

What is sealed is sealed anew beside the old, page by page, each page in one transaction; then one transaction puts the
new in place of the old and notes the new identity, and last the old key slots are set aside, where ``age`` still opens
copies made before (snapshots, backups) with them. Interrupted at any moment, it goes on where it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.audit import AuditTrail
from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, translated
from core.agentfs.guard import Guard, sealed_form
from core.agentfs.known_identity import IDENTITY_SETTING, KnownIdentity
from core.agentfs.settings import remember_within
from core.crypto.generations import GENERATIONS_FOLDER
from core.crypto.identity import Identity
from core.crypto.slots import SLOTS_FOLDER
from core.crypto.whole_files import sync_folder
from core.errors import SealBroken, WorkspaceUnusable, WrongKey

REPLACED_FOLDER = "replaced"
_PAGE = 20
_REFERENCES = """
SELECT id AS item, sha256 FROM items WHERE sealed = 1 AND deleted = 0
UNION SELECT state_id, sha256 FROM state_history WHERE sealed = 1 AND sha256 IS NOT NULL
UNION SELECT id, sealed_sha256 FROM agent_states WHERE sealed_sha256 IS NOT NULL
UNION SELECT id, sealed_sha256 FROM agent_communications WHERE sealed_sha256 IS NOT NULL
"""
_PLACES = (
    ("items", "sha256"),
    ("state_history", "sha256"),
    ("agent_states", "sealed_sha256"),
    ("agent_communications", "sealed_sha256"),
)


class Resealing:
    """Used by one thread at a time; other processes may go on working, and see either all old or all new."""

    def __init__(
        self, database: Database, contents: ContentStore, guard: Guard, audit: AuditTrail, keys_folder: Path
    ) -> None:
        self._database = database
        self._contents = contents
        self._guard = guard
        self._audit = audit
        self._folder = keys_folder
        self._known = KnownIdentity(database, contents)

    def is_needed(self, identity: Identity) -> bool:
        """Whether this workspace has keys, or things sealed, that are not ``identity``'s."""
        if self._known.known() == identity.id:
            return False
        return self._guard.has_keys or bool(self._known.known()) or self._known.oldest_sealed() is not None

    def run(self, identity: Identity, progress: Callable[[int, int], None], *, by: Actor) -> int:
        """Seal everything again under ``identity``; returns how many things that were.

        The keys of this workspace must be unlocked. Afterwards the workspace has no key slots: give it those of
        ``identity`` at once. What cannot be opened stays as it is. Raises Locked, SealBroken when the slots are lost,
        and what writing raises.
        """
        with self._database.transaction() as connection:
            # What was begun for another identity is of no use.
            connection.execute("DELETE FROM resealed WHERE identity <> ?", (identity.id,))
        self._guard.prepare()
        unreadable: set[str] = set()
        done = self._count(identity)
        while page := self._page(unreadable):
            with self._database.transaction() as connection:
                for item_id, sha256 in page:
                    if self._reseal(connection, item_id, sha256, identity):
                        done += 1
                    else:
                        unreadable.add(sha256)
            progress(done, done + self._left(unreadable))
        return self._switch(identity, unreadable, by)

    def set_aside(self, identity: Identity) -> None:
        """Move the key slots that are not ``identity``'s out of the way; they open what was copied before."""
        from core.crypto.slots import KeySlots

        slots = KeySlots(self._folder)
        if not slots.ids():
            return
        with slots.changing():
            foreign = [slot for slot in slots.listed() if slot.header is None or slot.header.identity_id != identity.id]
            if not foreign:
                return
            name = next((slot.header.identity_id for slot in foreign if slot.header), "unknown")
            target = self._folder / REPLACED_FOLDER / name
            for part in (SLOTS_FOLDER, GENERATIONS_FOLDER):
                (target / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in (self._folder / GENERATIONS_FOLDER).glob("*.age"):
                os.replace(path, target / GENERATIONS_FOLDER / path.name)
            for slot in foreign:
                for ending in ("age", "json"):
                    path = self._folder / SLOTS_FOLDER / f"{slot.id}.{ending}"
                    if path.exists():
                        os.replace(path, target / SLOTS_FOLDER / path.name)
            for part in (SLOTS_FOLDER, GENERATIONS_FOLDER):
                sync_folder(self._folder / part)
                sync_folder(target / part)

    def _page(self, unreadable: set[str]) -> list[tuple[str, str]]:
        with translated(self._database.path):
            return list(_first(_PAGE, self._pending(self._database.connection(), unreadable)))

    @staticmethod
    def _pending(connection: sqlite3.Connection, unreadable: set[str]) -> Iterator[tuple[str, str]]:
        rows = connection.execute(
            f"SELECT item, sha256 FROM ({_REFERENCES})"  # noqa: S608 - our own text
            " WHERE sha256 NOT IN (SELECT old FROM resealed) AND sha256 NOT IN (SELECT new FROM resealed)"
        )
        for row in rows:
            if row["sha256"] not in unreadable:
                yield str(row["item"]), str(row["sha256"])

    def _left(self, unreadable: set[str]) -> int:
        with translated(self._database.path):
            return sum(1 for _ in self._pending(self._database.connection(), unreadable))

    def _count(self, identity: Identity) -> int:
        with translated(self._database.path):
            row = self._database.connection().execute(
                "SELECT count(*) AS n FROM resealed WHERE identity = ?", (identity.id,)
            )
            return int(row.fetchone()["n"])

    def _reseal(self, connection: sqlite3.Connection, item_id: str, sha256: str, identity: Identity) -> bool:
        try:
            content = self._guard.open(item_id, self._contents.read(sha256))
        except (WrongKey, SealBroken, WorkspaceUnusable, OSError):
            return False
        anew = self._contents.write(connection, sealed_form(identity, item_id, content), sealed=True)
        connection.execute(
            "INSERT OR REPLACE INTO resealed (old, new, identity) VALUES (?, ?, ?)", (sha256, anew, identity.id)
        )
        return True

    def _switch(self, identity: Identity, unreadable: set[str], by: Actor) -> int:
        """Put the new in place of the old, with what was sealed meanwhile."""
        before = self._known.known()
        with self._database.transaction() as connection:
            for item_id, sha256 in list(self._pending(connection, unreadable)):
                self._reseal(connection, item_id, sha256, identity)
            for table, column in _PLACES:
                connection.execute(
                    f"UPDATE {table} SET {column} = (SELECT new FROM resealed WHERE old = {column})"  # noqa: S608 - ours
                    f" WHERE {column} IN (SELECT old FROM resealed)"
                )
            old = [str(row["old"]) for row in connection.execute("SELECT old FROM resealed")]
            remember_within(connection, IDENTITY_SETTING, identity.id)
            connection.execute("DELETE FROM resealed")
            self._audit.append(connection, by, "keys.replace", identity.id, {"before": before, "resealed": len(old)})
        self.set_aside(identity)
        self._contents.discard_unused(old)
        return len(old)


def _first(count: int, pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for _, pair in zip(range(count), pairs, strict=False):
        yield pair
