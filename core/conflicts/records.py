"""Conflicts as items: what was changed differently in two places, with both versions whole, and what they began with.

A conflict lies at ``conflicts/<id>`` and travels like everything else, so that it can be ruled on any device. There is
one for each object and base; what differs later of the same object is added to it.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, translated
from core.agentfs.items import ItemWrite, Written
from core.conflicts.outcomes import Outcome
from core.conflicts.record_form import (
    FOLDER,
    FORMAT,
    IS_CONFLICT,
    Asked,
    ConflictRecord,
    ConflictStatus,
    Side,
    conflict_id,
    metadata_of,
    read_record,
    write_record,
)
from core.conflicts.record_merging import continued, joined, merged, ruled
from core.errors import NotFound
from core.model import JSONObject, Kind, Level, Sensitivity

__all__ = [
    "FOLDER",
    "FORMAT",
    "IS_CONFLICT",
    "Asked",
    "Begun",
    "ConflictEntry",
    "ConflictRecord",
    "ConflictStatus",
    "ConflictStore",
    "Side",
    "conflict_id",
    "joined",
    "merged",
    "metadata_of",
    "more_private",
    "read_record",
    "ruled",
    "write_record",
]
_SOURCES = {Sensitivity.NONE: 0, Sensitivity.PATTERN: 1, Sensitivity.UNKNOWN: 2, Sensitivity.SECRET: 3}


@dataclass(frozen=True, slots=True)
class ConflictEntry:
    """What a list shows of a conflict without opening it; ``path`` is that of the object."""

    id: str
    path: str
    kind: str
    status: ConflictStatus
    opened_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Begun:
    """A conflict that was found: its record as it is to be, ``before`` as it was known, and why that is sensitive."""

    record: ConflictRecord
    before: ConflictRecord | None
    found: Sensitivity


class ConflictStore:
    """Safe from any thread and process."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def begin(self, path: str, kind: str, base: Side | None, local: Side, remote: Side) -> Begun:
        """The record, not written yet, of a conflict that was found; one of the same object and base goes on in it.

        Raises Locked.
        """
        moment = now()
        record = ConflictRecord(
            conflict_id(path, base.version if base is not None else None),
            path, kind, ConflictStatus.OPEN, base, local, remote, moment, moment,
        )  # fmt: skip
        present = self._agentfs.items.at_path(record.item_path)
        if present is None:
            return Begun(record, None, Sensitivity.NONE)
        before = read_record(self._agentfs.items.content(present))
        return Begun(continued(before, record), before, present.sensitive)

    def open_within(
        self,
        connection: sqlite3.Connection,
        path: str,
        kind: str,
        base: Side | None,
        local: Side,
        remote: Side,
        *,
        owner: str,
        found: Sensitivity,
        by: Actor,
    ) -> ConflictRecord:
        """Keep both versions, in the caller's transaction, whatever rules say of them.

        ``found`` is why any of the versions is sensitive: the record is then too. Raises Locked.
        """
        begun = self.begin(path, kind, base, local, remote)
        found = more_private(found, begun.found)
        self.put_within(connection, begun.record, owner=owner, found=found, by=by, action="conflict.open")
        return begun.record

    def put_within(
        self,
        connection: sqlite3.Connection,
        record: ConflictRecord,
        *,
        owner: str,
        found: Sensitivity,
        by: Actor,
        action: str,
        outcome: Outcome | None = None,
    ) -> Written:
        """Write the record as it is to be, in the caller's transaction; the audit tells its outcome, or ``outcome``.

        Raises Locked.
        """
        judged = self._agentfs.guard.judge(record.item_path, Kind.DECISION, "", found=found, level=Level.PRIVATE)
        seals = judged.seal
        write = ItemWrite(
            record.item_path,
            Kind.DECISION,
            owner,
            write_record(record),
            level=Level.PRIVATE,
            critical=True,
            metadata=metadata_of(record, seals=seals),
            found=found,
        )
        if outcome is None and record.status is ConflictStatus.RESOLVED:
            outcome = record.outcome
        details: JSONObject = {"round": record.round}
        if outcome is not None:
            hashes = {f"{name}_sha256": each for name, each in outcome.hashes.items()} if not seals else {}
            details = {**details, "by": outcome.by.value, "took": outcome.took.value, **hashes}
        return self._agentfs.items.put(connection, write, by=by, action=action, details=details, new_item_id=record.id)

    def get(self, identifier: str) -> ConflictRecord:
        """One conflict, by its id; raises NotFound, and Locked when it is sealed and the keys are locked."""
        item = self._agentfs.items.at_path(f"{FOLDER}/{identifier.removeprefix(f'{FOLDER}/')}")
        if item is None:
            raise NotFound(f"There is no conflict {identifier}.", "`bailiwick conflicts list` shows them.")
        return read_record(self._agentfs.items.content(item))

    def all(self, status: ConflictStatus | None = None) -> list[ConflictEntry]:
        """Every conflict, or those of one status, the oldest first; opens none."""
        with translated(self._agentfs.database.path):
            rows = (
                self._agentfs.database.connection()
                .execute(f"SELECT metadata FROM items WHERE {IS_CONFLICT}")  # noqa: S608 - our own constant
                .fetchall()
            )
        entries = [_entry(json.loads(row["metadata"])) for row in rows]
        found = [each for each in entries if each is not None and status in (None, each.status)]
        return sorted(found, key=lambda each: (each.opened_at, each.id))

    def count_open(self) -> int:
        """How many wait for a ruling."""
        with translated(self._agentfs.database.path):
            row = (
                self._agentfs.database.connection()
                .execute(
                    f"SELECT count(*) AS n FROM items WHERE {IS_CONFLICT} AND metadata->>'status' = ?",  # noqa: S608 - our own constant
                    (ConflictStatus.OPEN.value,),
                )
                .fetchone()
            )
        return int(row["n"])


def more_private(one: Sensitivity, other: Sensitivity) -> Sensitivity:
    """Of two reasons why something is sensitive the stronger one."""
    return max(one, other, key=_SOURCES.__getitem__)


def _entry(metadata: Any) -> ConflictEntry | None:
    try:
        return ConflictEntry(
            str(metadata["id"]),
            str(metadata["object"]),
            str(metadata["object_kind"]),
            ConflictStatus(metadata["status"]),
            from_text(metadata["opened_at"]),
            from_text(metadata["updated_at"]),
        )
    except (ValueError, TypeError, KeyError):
        return None
