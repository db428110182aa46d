"""What conflicts are about: what lies at an object's path now, and writing a ruling there."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text
from core.agentfs.items import ItemWrite
from core.agentfs.json_text import checked_json
from core.conflicts.merging.forms import mergeable, restored
from core.conflicts.records import Side
from core.content_format import decode
from core.errors import InvalidInput
from core.ids import looks_like_id
from core.model import Item, JSONObject, JSONValue, Kind, Level

if TYPE_CHECKING:
    from core.conflicts.claims import Claims

CLAIMS = "claims/"
_STATE = re.compile("agents/([^/]+)/state/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Present:
    """What is at a path now, in the form in which it is merged; ``content`` is ``None`` where nothing is.

    ``who`` wrote it, as far as is known.
    """

    content: bytes | None
    at: datetime | None = None
    who: str = ""


class Objects:
    """Safe from any thread. Writing belongs to the caller's transaction."""

    def __init__(self, agentfs: AgentFS, user: str) -> None:
        """``user`` owns what is written where nothing was."""
        self._agentfs = agentfs
        self._user = user

    def present(self, path: str) -> Present:
        """What is at ``path`` now. Raises Locked, and WorkspaceUnusable and SealBroken for what is damaged."""
        if path.startswith(CLAIMS):
            return self._claims().present(path)
        item = self._agentfs.items.at_path(path)
        if item is None:
            return Present(None)
        content = mergeable(item.kind, self._agentfs.items.content(item))
        return Present(content, item.updated_at, self._who(item))

    def write_within(
        self, connection: sqlite3.Connection, path: str, content: bytes | None, *, by: Actor, like: Side | None = None
    ) -> list[str]:
        """Have ``content``, in the form in which it was merged, be at ``path``; ``None`` deletes.

        ``like`` is a version of the object that tells what it is where nothing lies there now. The answer is the hashes
        that are not held any more, to be discarded once the transaction is committed. Raises InvalidInput for content
        that cannot be there, QuotaExceeded, Locked.
        """
        if path.startswith(CLAIMS):
            self._claims().write_within(connection, path, content, by=by)
            return []
        item = self._agentfs.items.at_path(path)
        if content is None:
            return self._delete(connection, path, item, by)
        place = state_place(path)
        if place is not None:
            self._put_state(connection, *place, content, item, by)
            return []
        freed = self._put_item(connection, path, content, item, by, like)
        return [freed] if freed else []

    def _claims(self) -> Claims:
        # Imported here: claims need what is at a path, too.
        from core.conflicts.claims import Claims

        return Claims(self._agentfs)

    def _delete(self, connection: sqlite3.Connection, path: str, item: Item | None, by: Actor) -> list[str]:
        if item is None:
            return []
        if item.kind in (Kind.SESSION, Kind.MESSAGE):
            raise InvalidInput(f"A {item.kind} is not deleted.", "Take the side that has it.")
        if (place := state_place(path)) is not None:
            self._agentfs.states.delete_within(connection, *place, by=by)
            return []
        freed = self._agentfs.items.delete(connection, item.id, by=by)
        return [freed] if freed else []

    def _put_state(
        self, connection: sqlite3.Connection, agent_id: str, key: str, content: bytes, item: Item | None, by: Actor
    ) -> None:
        try:
            value: JSONValue = json.loads(content)
        except (ValueError, RecursionError):
            raise InvalidInput(f"The result for {key} is not JSON.") from None
        row = connection.execute(
            "SELECT expires_at FROM agent_states WHERE agent_id = ? AND state_key = ?", (agent_id, key)
        ).fetchone()
        expires_at = (
            from_text(row["expires_at"]) if row is not None and row["expires_at"] and item is not None else None
        )
        text, found = checked_json(value, f"The result for {key}"), self._agentfs.guard.scan(value)
        self._agentfs.states.put_within(connection, agent_id, key, text, by=by, found=found, expires_at=expires_at)

    def _put_item(
        self, connection: sqlite3.Connection, path: str, content: bytes, item: Item | None, by: Actor, like: Side | None
    ) -> str | None:
        header: JSONObject = (like.header if like is not None else None) or {}
        kind = item.kind if item is not None else _kind(header, path)
        if kind in (Kind.SESSION, Kind.MESSAGE):
            raise InvalidInput(f"A {kind} is as it was: it is not written anew.", "Take what stands.")
        data = restored(kind, content, self._agentfs.items.content(item) if item is not None else None)
        metadata = dict(item.metadata) if item is not None else _metadata(header)
        level = item.level if item is not None else _level(header)
        found = self._agentfs.guard.scan(content.decode("utf-8", "replace"))
        if kind is Kind.DOCUMENT:
            document = decode(data)
            seals = self._agentfs.guard.judge(path, kind, "", found=found, level=level).seal
            title = path.rpartition("/")[2] if seals else document.title
            metadata |= {"title": title, "passages": len(document.passages)}
            metadata.pop("checksum", None)
        write = ItemWrite(
            path,
            kind,
            item.owner if item is not None else self._user,
            data,
            level=level,
            critical=item.critical if item is not None else header.get("critical") is True,
            metadata=metadata,
            agent_id=item.agent_id if item is not None else str(header.get("agent", "")),
            found=found,
        )
        return self._agentfs.items.put(connection, write, by=by).freed

    def _who(self, item: Item) -> str:
        """Who wrote the present version, where the history of a state tells it."""
        if state_place(item.path) is None:
            return ""
        row = (
            self._agentfs.database.connection()
            .execute(
                "SELECT coalesce(a.name, h.actor) AS who FROM state_history h LEFT JOIN agents a ON a.id = h.actor"
                " WHERE h.state_id = ? ORDER BY h.version DESC LIMIT 1",
                (item.id,),
            )
            .fetchone()
        )
        return str(row["who"]) if row is not None else ""


def state_place(path: str) -> tuple[str, str] | None:
    """The agent's id and the key of a state's path; ``None`` where it is another's."""
    found = _STATE.fullmatch(path)
    return (found[1], found[2]) if found is not None and looks_like_id(found[1]) else None


def _kind(header: JSONObject, path: str) -> Kind:
    try:
        return Kind(str(header.get("kind", "")))
    except ValueError:
        raise InvalidInput(f"What {path} was is not known any more.", "Write it anew.") from None


def _metadata(header: JSONObject) -> dict[str, JSONValue]:
    told = header.get("metadata")
    return dict(told) if isinstance(told, dict) else {}


def _level(header: JSONObject) -> Level | None:
    try:
        return Level(str(header.get("level", "")))
    except ValueError:
        return None
