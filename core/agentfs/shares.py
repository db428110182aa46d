"""What owners said about single items: shared with an agent, a team or everybody, or kept from a team."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.agent_model import Actor
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, from_text, now, to_text, translated
from core.agentfs.journal import item_touched
from core.model import JSONObject


@dataclass(frozen=True, slots=True)
class ShareRecord:
    """One share. ``audience`` is agent, team or public; ``name`` an agent's id or a team, ``*`` for every team.

    ``in_full``: whole, where the kind is shared anonymously by default. ``opted_out``: kept from that team instead.
    """

    item_id: str
    audience: str
    name: str
    in_full: bool
    opted_out: bool
    shared_by: str
    at: datetime


class ShareStore:
    """Safe from any thread and process; every change is audited."""

    def __init__(self, database: Database, audit: AuditTrail) -> None:
        self._database = database
        self._audit = audit

    def of(self, item_id: str) -> list[ShareRecord]:
        """What was said about one item."""
        return self._select("WHERE item_id = ?", (item_id,))

    def all(self) -> list[ShareRecord]:
        """Every share and opt-out, the newest first."""
        return self._select("ORDER BY at DESC, item_id", ())

    def put(
        self,
        item_id: str,
        audience: str,
        name: str,
        *,
        by: Actor,
        in_full: bool = False,
        opted_out: bool = False,
        lifted: Sequence[str] = (),
    ) -> bool:
        """Share the item, or with ``opted_out`` keep it from a team; says whether that is new. Committed on return.

        The opt-outs from the teams ``lifted`` end with it.
        """
        with self._database.transaction() as connection:
            known = connection.execute(
                "SELECT in_full, opted_out FROM shares WHERE item_id = ? AND audience = ? AND name = ?",
                (item_id, audience, name),
            ).fetchone()
            if known is not None and (known["in_full"], known["opted_out"]) == (in_full, opted_out) and not lifted:
                return False
            connection.execute(
                "INSERT INTO shares (item_id, audience, name, in_full, opted_out, shared_by, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (item_id, audience, name) DO UPDATE SET"
                " in_full = excluded.in_full, opted_out = excluded.opted_out, shared_by = excluded.shared_by,"
                " at = excluded.at",
                (item_id, audience, name, int(in_full), int(opted_out), by.id, to_text(now())),
            )
            connection.execute(
                "DELETE FROM shares WHERE item_id = ? AND opted_out = 1 AND (audience, name) <> (?, ?)"
                " AND name IN (SELECT value FROM json_each(?))",
                (item_id, audience, name, json.dumps(list(lifted))),
            )
            told: JSONObject = {"audience": audience, "name": name, "in_full": in_full}
            if lifted:
                told = {**told, "lifted": list(lifted)}
            action = "share.opt_out" if opted_out else "share.put"
            self._audit.append(connection, by, action, item_id, told, journal=item_touched(connection, item_id))
        return True

    def remove(self, item_id: str, audience: str = "", name: str = "", *, by: Actor) -> int:
        """Take back one share, or all of the item; returns how many there were. Opt-outs stay."""
        with self._database.transaction() as connection:
            condition = "item_id = ? AND opted_out = 0 AND (? = '' OR (audience = ? AND name = ?))"
            taken = connection.execute(
                f"DELETE FROM shares WHERE {condition} RETURNING audience, name",  # noqa: S608 - our own text
                (item_id, audience, audience, name),
            ).fetchall()
            for row in taken:
                told = {"audience": row["audience"], "name": row["name"]}
                journal = item_touched(connection, item_id)
                self._audit.append(connection, by, "share.remove", item_id, told, journal=journal)
        return len(taken)

    def replace_within(
        self, connection: sqlite3.Connection, item_id: str, shares: Iterable[ShareRecord], *, by: Actor
    ) -> bool:
        """Have exactly ``shares`` of the item, in the caller's transaction; says whether that changed anything."""
        wanted = {(each.audience, each.name): each for each in shares}
        present = {(each.audience, each.name): each for each in self.of(item_id)}
        gone = [present[key] for key in sorted(present.keys() - wanted.keys())]
        new = [
            share
            for key, share in sorted(wanted.items())
            if (old := present.get(key)) is None or (old.in_full, old.opted_out) != (share.in_full, share.opted_out)
        ]
        for each in gone:
            connection.execute(
                "DELETE FROM shares WHERE item_id = ? AND audience = ? AND name = ?",
                (item_id, each.audience, each.name),
            )
        for each in new:
            connection.execute(
                "INSERT OR REPLACE INTO shares (item_id, audience, name, in_full, opted_out, shared_by, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    item_id,
                    each.audience,
                    each.name,
                    int(each.in_full),
                    int(each.opted_out),
                    each.shared_by,
                    to_text(each.at),
                ),
            )
        for action, changed in (("share.remove", gone), ("share.put", new)):
            for each in changed:
                told: JSONObject = {"audience": each.audience, "name": each.name, "opted_out": each.opted_out}
                journal = item_touched(connection, item_id)
                self._audit.append(connection, by, action, item_id, told, journal=journal)
        return bool(gone or new)

    def _select(self, clause: str, parameters: tuple[str, ...]) -> list[ShareRecord]:
        with translated(self._database.path):
            rows = self._database.connection().execute(f"SELECT * FROM shares {clause}", parameters)  # noqa: S608 - ours
            return [
                ShareRecord(
                    item_id=row["item_id"],
                    audience=row["audience"],
                    name=row["name"],
                    in_full=bool(row["in_full"]),
                    opted_out=bool(row["opted_out"]),
                    shared_by=row["shared_by"],
                    at=from_text(row["at"]),
                )
                for row in rows
            ]
