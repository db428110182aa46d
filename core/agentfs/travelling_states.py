"""States on their way between the user's devices: with the versions before the present one, as far as they fit.

Versions are counted on each device for itself: what arrives is told from what is here by when, how and by whom it was
written, and comes after the versions that are here already. So no version is lost, and none is counted twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from core.agent_model import Actor, StateOperation
from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, from_text, now, to_json, to_text, translated
from core.agentfs.guard import Guard
from core.agentfs.items import ItemStore, Written
from core.agentfs.states import HISTORY, UPSERT
from core.agentfs.travelling_items import ArrivingItem, TravellingItems
from core.errors import BailiwickError, InvalidInput, Locked
from core.ids import sha256_hex
from core.model import JSONObject, JSONValue, Kind

HISTORY_BYTES = 64 * 1024
"""Bytes of former values that travel with a state; what is older stays on the devices that have it."""
_MOST_VERSIONS = 200
_LONGEST_NAME = 512


@dataclass(frozen=True, slots=True)
class TravellingVersion:
    """One version. ``text`` is its value as canonical JSON, ``None`` where it holds none, or where it does not fit."""

    version: int
    operation: StateOperation
    kind: Kind
    critical: bool
    actor: str
    session_id: str | None
    at: datetime
    restored_from: int | None
    text: str | None


class TravellingStates:
    """Safe from any thread and process; what arrives belongs to the caller's transaction."""

    def __init__(
        self, database: Database, items: ItemStore, contents: ContentStore, guard: Guard, travelling: TravellingItems
    ) -> None:
        self._database = database
        self._items = items
        self._contents = contents
        self._guard = guard
        self._travelling = travelling

    def expires_at(self, state_id: str) -> datetime | None:
        """When the present value expires."""
        with translated(self._database.path):
            row = (
                self._database.connection()
                .execute("SELECT expires_at FROM agent_states WHERE id = ?", (state_id,))
                .fetchone()
            )
        return from_text(row["expires_at"]) if row is not None and row["expires_at"] else None

    def history(self, state_id: str) -> list[TravellingVersion]:
        """The newest versions, the oldest of them first, with their values as far as they fit. Raises Locked."""
        with translated(self._database.path):
            rows = (
                self._database.connection()
                .execute(
                    "SELECT * FROM state_history WHERE state_id = ? ORDER BY version DESC LIMIT ?",
                    (state_id, _MOST_VERSIONS),
                )
                .fetchall()
            )
        left = HISTORY_BYTES
        told = []
        for number, row in enumerate(rows):
            text = self._text(row) if row["sha256"] is not None and left > 0 else None
            left -= len(text) if text is not None and number else 0
            if number and (left < 0 or (text is None and row["sha256"] is not None)):
                break
            told.append(_travelling(row, text))
        return told[::-1]

    def _text(self, row: sqlite3.Row) -> str | None:
        try:
            return self._items.opened(row["state_id"], row["sha256"], sealed=bool(row["sealed"])).decode()
        except Locked:
            raise
        except BailiwickError:
            return None

    def arrive(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        key: str,
        arriving: ArrivingItem,
        history: Sequence[TravellingVersion],
        expires_at: datetime | None,
        *,
        by: Actor,
    ) -> Written:
        """Make the value of ``arriving`` the present one, after the versions of ``history`` that are not here yet.

        The last of ``history`` is the version that wrote it.
        """
        row = connection.execute(
            "SELECT * FROM agent_states WHERE agent_id = ? AND state_key = ?", (agent_id, key)
        ).fetchone()
        last = history[-1]
        number = self._next(connection, row, history)
        known = self._known(connection, row["id"]) if row is not None else set()
        missing = [each for each in history[:-1] if _mark(each) not in known]
        numbers = {id(each): (number := max(number + 1, each.version)) for each in missing}
        goes_on = row is None or missing or self._newest(connection, row["id"]) != _mark(last)
        version = max(number + 1, last.version) if goes_on else int(row["version"])
        write = replace(arriving.write, metadata={"agent": agent_id, "key": key, "version": version})
        told: JSONObject = {"agent": agent_id, "version": version, "key_sha256": sha256_hex(key.encode())}
        written = self._travelling.arrive(
            connection, replace(arriving, write=write), by=by, action="state.put", details=told
        )
        for each in missing:
            self._keep(connection, written.item_id, each, numbers[id(each)])
        size = len(write.data)
        values = (
            written.item_id,
            agent_id,
            key,
            "" if written.sealed else write.data.decode(),
            to_text(min(last.at, now())),
            version,
            write.kind.value,
            int(write.critical),
            size,
            to_text(expires_at) if expires_at is not None else None,
            written.level.value,
            written.sensitive.value,
            written.sha256 if written.sealed else None,
        )
        connection.execute(UPSERT, values)
        connection.execute(
            "UPDATE agents SET state_bytes = state_bytes + ? WHERE id = ?",
            (size - (row["size"] if row is not None else 0), agent_id),
        )
        self._note(connection, written.item_id, last, version, written)
        return written

    def _next(
        self, connection: sqlite3.Connection, row: sqlite3.Row | None, history: Sequence[TravellingVersion]
    ) -> int:
        """The number of the newest version here, or of the one before the first that arrives."""
        if row is None:
            return history[0].version - 1
        newest = connection.execute(
            "SELECT max(version) AS n FROM state_history WHERE state_id = ?", (row["id"],)
        ).fetchone()
        return max(int(newest["n"] or 0), int(row["version"]))

    @staticmethod
    def _known(connection: sqlite3.Connection, state_id: str) -> set[tuple[str, str, str]]:
        rows = connection.execute("SELECT at, operation, actor FROM state_history WHERE state_id = ?", (state_id,))
        return {(row["at"], row["operation"], row["actor"]) for row in rows}

    @staticmethod
    def _newest(connection: sqlite3.Connection, state_id: str) -> tuple[str, str, str] | None:
        row = connection.execute(
            "SELECT at, operation, actor FROM state_history WHERE state_id = ? ORDER BY version DESC LIMIT 1",
            (state_id,),
        ).fetchone()
        return (row["at"], row["operation"], row["actor"]) if row is not None else None

    def _keep(self, connection: sqlite3.Connection, state_id: str, told: TravellingVersion, version: int) -> None:
        """A former version, judged and sealed by itself."""
        sha256, sealed, sensitive = None, False, ""
        if told.text is not None:
            value: JSONValue = json.loads(told.text)
            path = connection.execute("SELECT path FROM items WHERE id = ?", (state_id,)).fetchone()["path"]
            judged = self._guard.judge(path, told.kind, value)
            data = told.text.encode()
            data = self._guard.seal(state_id, data) if judged.seal else data
            sha256, sealed = self._contents.write(connection, data, sealed=judged.seal), judged.seal
            sensitive = judged.sensitive.value
        self._insert(connection, state_id, told, version, sha256, sealed, sensitive)

    def _note(
        self, connection: sqlite3.Connection, state_id: str, told: TravellingVersion, version: int, written: Written
    ) -> None:
        there = connection.execute(
            "SELECT 1 FROM state_history WHERE state_id = ? AND version = ?", (state_id, version)
        ).fetchone()
        if there is None:
            sensitive = written.sensitive.value
            self._insert(connection, state_id, told, version, written.sha256, written.sealed, sensitive)
            return
        connection.execute(
            "UPDATE state_history SET sha256 = ?, sealed = ?, sensitive = ? WHERE state_id = ? AND version = ?",
            (written.sha256, int(written.sealed), written.sensitive.value, state_id, version),
        )

    @staticmethod
    def _insert(
        connection: sqlite3.Connection,
        state_id: str,
        told: TravellingVersion,
        version: int,
        sha256: str | None,
        sealed: bool,
        sensitive: str,
    ) -> None:
        connection.execute(
            HISTORY,
            (
                state_id,
                version,
                told.operation.value,
                sha256,
                told.kind.value,
                int(told.critical),
                told.actor,
                told.session_id,
                to_text(told.at),
                told.restored_from,
                int(sealed),
                sensitive,
            ),
        )


def packed(value: bytes, history: Sequence[TravellingVersion]) -> bytes:
    """A state as it travels: its value and its history in one."""
    versions = [
        [
            each.version,
            each.operation.value,
            each.kind.value,
            each.critical,
            each.actor,
            each.session_id,
            to_text(each.at),
            each.restored_from,
            json.loads(each.text) if each.text is not None else None,
            each.text is not None,
        ]
        # The value of the last is the present one.
        for each in [*history[:-1], *(_without_value(each) for each in history[-1:])]
    ]
    return to_json({"value": json.loads(value), "history": versions}).encode()


def unpacked(data: bytes) -> tuple[bytes, list[TravellingVersion]]:
    """What ``packed`` was given; raises InvalidInput for anything that no device of ours sends."""
    try:
        told = json.loads(data)
        history = [_version(each) for each in told["history"]]
        value = to_json(told["value"]).encode()
        if not history or any(before.version >= after.version for before, after in pairwise(history)):
            raise ValueError("no versions")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidInput(f"What came of a state is not what Bailiwick sends ({type(error).__name__}).") from None
    return value, history


def _mark(version: TravellingVersion) -> tuple[str, str, str]:
    """What tells a version from the others of its state, whatever its number is on a device."""
    return to_text(version.at), version.operation.value, version.actor


def _travelling(row: sqlite3.Row, text: str | None) -> TravellingVersion:
    return TravellingVersion(
        row["version"],
        StateOperation(row["operation"]),
        Kind(row["kind"]),
        bool(row["critical"]),
        row["actor"],
        row["session_id"],
        from_text(row["at"]),
        row["restored_from"],
        text,
    )


def _without_value(version: TravellingVersion) -> TravellingVersion:
    return replace(version, text=None)


def _version(told: Any) -> TravellingVersion:
    version, operation, kind, critical, actor, session_id, at, restored_from, value, holds_value = told
    numbers = (version, 1 if restored_from is None else restored_from)
    if not all(type(each) is int and 0 < each < 1 << 53 for each in numbers):
        raise ValueError("no number")
    if not isinstance(actor, str) or not isinstance(session_id, str | None) or len(actor) > _LONGEST_NAME:
        raise ValueError("no actor")
    moment = from_text(at)
    if moment.tzinfo is None:
        raise ValueError("no moment")
    text = to_json(value) if holds_value else None
    return TravellingVersion(
        version, StateOperation(operation), Kind(kind), bool(critical), actor, session_id, moment, restored_from, text
    )
