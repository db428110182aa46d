"""How a state's row becomes the value that somebody may have: allowed, opened where sealed, redacted if need be."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from core.agent_model import Actor, State
from core.agentfs.database import from_text
from core.agentfs.guard import Guard
from core.agentfs.items import ItemStore
from core.agentfs.permissions import Permissions
from core.errors import AccessDenied, Locked, SealBroken, WorkspaceUnusable, WrongKey
from core.model import Item, JSONValue, Kind, Level, Sensitivity


class StateReading:
    """Safe from any thread."""

    def __init__(self, items: ItemStore, guard: Guard, permissions: Permissions) -> None:
        self._items = items
        self._guard = guard
        self._permissions = permissions

    def require(self, row: sqlite3.Row, by: Actor) -> bool:
        """Raise AccessDenied unless ``by`` may read the state of this row; says whether it must be redacted first."""
        return not self._is_plainly_own(row, by) and self._permissions.require(by, self._item(row))

    def state(self, row: sqlite3.Row, by: Actor) -> State:
        """The state of a row of ``agent_states``; raises AccessDenied, Locked and SealBroken."""
        redacts = self.require(row, by)
        state = _state(row, self._value(row))
        return replace(state, value=self._redacted(state.value), redacted=True) if redacts else state

    def present(self, row: sqlite3.Row, by: Actor) -> State | None:
        """As ``state``, but ``None`` where ``by`` may not read it, and without its value where that is locked.

        It leaves no record, so it may be asked within a transaction.
        """
        redacts = False
        if not self._is_plainly_own(row, by):
            item = self._item(row)
            if not self._permissions.is_own(by, item.owner, item.agent_id):
                decision = self._permissions.decision(by, item)
                if not decision.is_allowed:
                    return None
                redacts = decision.redacts
        try:
            state = _state(row, self._value(row))
        except Locked:
            return replace(_state(row, None), locked=True)
        except (WrongKey, SealBroken, WorkspaceUnusable) as error:
            return replace(_state(row, None), locked=True, problem=error.message)
        try:
            return replace(state, value=self._redacted(state.value), redacted=True) if redacts else state
        except AccessDenied:
            return None

    def states(self, rows: Iterable[sqlite3.Row], by: Actor) -> list[State]:
        """Those that ``by`` may read."""
        return [state for row in rows if (state := self.present(row, by)) is not None]

    def version(self, row: sqlite3.Row, version: sqlite3.Row, by: Actor) -> JSONValue:
        """The value of a row of ``state_history`` of the state ``row``; raises as ``state``."""
        self.require_own(row, by)
        data = self._items.opened(row["id"], version["sha256"], sealed=bool(version["sealed"]))
        value: JSONValue = json.loads(data)
        return value

    def require_own(self, row: sqlite3.Row, by: Actor) -> None:
        """Raise AccessDenied unless it is ``by``'s own: a former version may hold what made it private then."""
        if not self._is_plainly_own(row, by):
            self._permissions.require_own(by, self._item(row))

    def _is_plainly_own(self, row: sqlite3.Row, by: Actor) -> bool:
        own = self._permissions.is_own(by, self._permissions.owner_of(row["agent_id"]), row["agent_id"])
        return own and not row["sensitive"]

    def _item(self, row: sqlite3.Row) -> Item:
        item = self._items.get(row["id"])
        assert item is not None
        return item

    def _value(self, row: sqlite3.Row) -> JSONValue:
        sealed = row["sealed_sha256"]
        text = row["state_value"] if sealed is None else self._items.opened(row["id"], sealed, sealed=True)
        value: JSONValue = json.loads(text)
        return value

    def _redacted(self, value: JSONValue) -> JSONValue:
        from core.privacy import RedactionRefused, redact

        try:
            return redact(value, self._guard.classifier()).value
        except RedactionRefused as error:
            raise AccessDenied(error.message, error.hint) from None


def _state(row: sqlite3.Row, value: JSONValue) -> State:
    return State(
        id=row["id"],
        agent_id=row["agent_id"],
        key=row["state_key"],
        value=value,
        version=row["version"],
        kind=Kind(row["kind"]),
        critical=bool(row["critical"]),
        size=row["size"],
        updated_at=from_text(row["updated_at"]),
        expires_at=from_text(row["expires_at"]) if row["expires_at"] else None,
        level=Level(row["level"]),
        sensitive=Sensitivity(row["sensitive"]),
        sealed=row["sealed_sha256"] is not None,
    )
