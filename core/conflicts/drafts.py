"""What a person has chosen of an open conflict so far: kept on this device, found again by place and sides."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, to_json, to_text, translated
from core.conflicts.merging.decisions import ABSENT, Choice, Content, Decision, Written
from core.errors import BailiwickError, Locked
from core.ids import sha256_hex
from core.model import JSONValue

FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeptChoice:
    """What was chosen by hand at the place whose decision has ``key``, and ``path`` for a person."""

    key: str
    path: str
    choice: Choice
    custom: Content = ABSENT


@dataclass(frozen=True, slots=True)
class Draft:
    """Choices over three versions, of which ``versions`` is a hash; ``written`` is a whole result written by hand."""

    versions: str
    choices: tuple[KeptChoice, ...]
    written: Written | None = None


def draft_of(decisions: Iterable[Decision], versions: Iterable[bytes | None], written: Written | None = None) -> Draft:
    """The draft of what is chosen by hand. Pure."""
    kept = tuple(KeptChoice(each.key, each.path, each.choice, each.custom) for each in decisions if is_kept(each))
    return Draft(versions_hash(versions), kept, written)


def is_kept(decision: Decision) -> bool:
    """Whether somebody chose there; what a rule chose is chosen again anyway."""
    return not decision.auto and not decision.is_open


def versions_hash(versions: Iterable[bytes | None]) -> str:
    """What tells three versions from others."""
    return sha256_hex(" ".join(sha256_hex(each) if each is not None else "-" for each in versions).encode())


class DraftStore:
    """Safe from any thread and process; the last who saves holds."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def get(self, conflict_id: str) -> Draft | None:
        """The draft of a conflict, ``None`` where there is none, or none that can be read. Raises Locked."""
        with translated(self._agentfs.database.path):
            row = (
                self._agentfs.database.connection()
                .execute("SELECT data, sealed FROM conflict_drafts WHERE conflict_id = ?", (conflict_id,))
                .fetchone()
            )
        if row is None:
            return None
        try:
            data = self._agentfs.guard.open(_seal_name(conflict_id), row["data"]) if row["sealed"] else row["data"]
            return _read(data)
        except Locked:
            raise
        except BailiwickError:
            return None

    def saved(self) -> dict[str, str]:
        """When the drafts were saved, by the ids of their conflicts."""
        with translated(self._agentfs.database.path):
            rows = self._agentfs.database.connection().execute("SELECT conflict_id, saved_at FROM conflict_drafts")
            return {row["conflict_id"]: row["saved_at"] for row in rows}

    def put(self, conflict_id: str, draft: Draft, *, seals: bool) -> None:
        """Keep a draft, sealed where the conflict is; one without any choice is none. Raises Locked."""
        with self._agentfs.database.transaction() as connection:
            self.put_within(connection, conflict_id, draft, seals=seals)

    def put_within(self, connection: sqlite3.Connection, conflict_id: str, draft: Draft, *, seals: bool) -> None:
        """As ``put``, in the caller's transaction."""
        if not draft.choices and draft.written is None:
            connection.execute("DELETE FROM conflict_drafts WHERE conflict_id = ?", (conflict_id,))
            return
        data = _written(draft)
        if seals:
            data = self._agentfs.guard.seal(_seal_name(conflict_id), data)
        connection.execute(
            "INSERT OR REPLACE INTO conflict_drafts (conflict_id, data, sealed, saved_at) VALUES (?, ?, ?, ?)",
            (conflict_id, data, int(seals), to_text(now())),
        )


def _seal_name(conflict_id: str) -> str:
    return f"draft:{conflict_id}"


def _written(draft: Draft) -> bytes:
    told: dict[str, JSONValue] = {
        "v": FORMAT,
        "versions": draft.versions,
        "choices": [[each.key, each.path, each.choice.value, _told(each.custom)] for each in draft.choices],
    }
    if draft.written is not None:
        told["written"] = _told(draft.written.content)
    return to_json(told).encode("utf-8", "surrogatepass")


def _read(data: bytes) -> Draft | None:
    try:
        told = json.loads(data)
        if told["v"] != FORMAT:
            return None
        return Draft(
            str(told["versions"]),
            tuple(
                KeptChoice(str(key), str(path), Choice(choice), _content(custom))
                for key, path, choice, custom in told["choices"]
            ),
            Written(_content(told["written"])) if "written" in told else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _told(content: Content) -> JSONValue:
    if content is ABSENT:
        return []
    if isinstance(content, bytes):
        return ["bytes", base64.b64encode(content).decode("ascii")]
    return ["value", content]


def _content(told: Any) -> Content:
    match told:
        case []:
            return ABSENT
        case ["bytes", str(text)]:
            return base64.b64decode(text, validate=True)
        case ["value", value]:
            held: JSONValue = value
            return held
    raise ValueError("no content")
