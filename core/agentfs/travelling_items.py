"""How any item is taken in from another device: written by the rules of this one, with its dates and its shares."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.agent_model import Actor
from core.agentfs.database import now, to_text
from core.agentfs.items import ItemStore, ItemWrite, Written
from core.agentfs.shares import ShareRecord, ShareStore
from core.ids import looks_like_id
from core.model import JSONObject


@dataclass(frozen=True, slots=True)
class ArrivingItem:
    """An item as it is to be here. ``id`` is the one it has elsewhere, and gets here where it is free."""

    id: str
    write: ItemWrite
    shares: Sequence[ShareRecord] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


class TravellingItems:
    """Safe from any thread and process; everything belongs to the caller's transaction."""

    def __init__(self, items: ItemStore, shares: ShareStore) -> None:
        self._items = items
        self._shares = shares

    def arrive(
        self,
        connection: sqlite3.Connection,
        arriving: ArrivingItem,
        *,
        by: Actor,
        action: str = "",
        details: JSONObject | None = None,
    ) -> Written:
        """Write the item; one that lies at its path already keeps its id. Raises Locked where it must be sealed."""
        taken = connection.execute("SELECT 1 FROM items WHERE id = ?", (arriving.id,)).fetchone() is not None
        new_item_id = arriving.id if looks_like_id(arriving.id) and not taken else ""
        written = self._items.put(
            connection, arriving.write, by=by, action=action, details=details, new_item_id=new_item_id
        )
        self._shares.replace_within(connection, written.item_id, arriving.shares, by=by)
        moment = now()
        for column, told in (("created_at", arriving.created_at), ("updated_at", arriving.updated_at)):
            if told is not None:
                # A clock that is ahead elsewhere must not bring the future here.
                connection.execute(
                    f"UPDATE items SET {column} = ? WHERE id = ?",  # noqa: S608 - one of two names of ours
                    (to_text(min(told, moment)), written.item_id),
                )
        return written

    def audit(
        self,
        connection: sqlite3.Connection,
        by: Actor,
        action: str,
        subject: str,
        details: JSONObject,
        journal: int | None = None,
    ) -> None:
        """Leave a record of something else that arrived with an item."""
        self._items.audit.append(connection, by, action, subject, details, journal=journal)
