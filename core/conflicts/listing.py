"""Lists of conflicts, told without opening what is sealed; how much of each is open is counted once and remembered."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, translated
from core.agentfs.device_names import device_names
from core.conflicts.arbitration import SideLabel, arbitrate, is_change, is_exchanged, with_draft
from core.conflicts.drafts import DraftStore
from core.conflicts.objects import Objects, state_place
from core.conflicts.outcomes import read_outcome
from core.conflicts.records import IS_CONFLICT, Asked, ConflictStatus, read_record
from core.conflicts.summaries import ConflictSummary
from core.disclosure.finding import readable_path
from core.errors import BailiwickError
from core.model import Item

_CONFLICTS = f"SELECT path, metadata, sealed, position FROM items WHERE {IS_CONFLICT}"  # noqa: S608 - our own constant
_MOST_REMEMBERED = 5000


class ConflictListing:
    """Safe from any thread."""

    def __init__(self, agentfs: AgentFS, objects: Objects, drafts: DraftStore) -> None:
        self._agentfs = agentfs
        self._objects = objects
        self._drafts = drafts
        self._counted: dict[tuple[str, int, int, str], tuple[int, int]] = {}
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()

    def all(self, status: ConflictStatus | None = None) -> list[ConflictSummary]:
        """Every conflict, or those of one status, the oldest first."""
        with translated(self._agentfs.database.path):
            rows = self._agentfs.database.connection().execute(_CONFLICTS).fetchall()
        names, saved = device_names(self._agentfs.database), self._drafts.saved()
        found = []
        for row in rows:
            metadata = json.loads(row["metadata"])
            summary = self._summary(metadata, names, is_sealed=bool(row["sealed"]))
            if summary is None or status not in (None, summary.status):
                continue
            if summary.status is ConflictStatus.OPEN:
                draft = saved.get(summary.id, "")
                places, still_open = self._count(summary, row["position"], draft)
                summary = replace(summary, places=places, open=still_open, has_draft=bool(draft))
            found.append(summary)
        return sorted(found, key=lambda each: (each.opened_at, each.id))

    def _summary(self, told: Any, names: Mapping[str, str], *, is_sealed: bool) -> ConflictSummary | None:
        try:
            asked, outcome, sides = told.get("asked"), told.get("outcome"), told.get("sides", {})
            path = str(told["object"])
            one, other = sides.get("local", {}), sides.get("remote", {})
            exchanged = is_exchanged(str(one.get("device", "")), str(other.get("device", "")), self._agentfs.device)
            if exchanged:
                one, other = other, one
            ruling = read_outcome(outcome) if outcome else None
            return ConflictSummary(
                str(told["id"]),
                path,
                str(told["object_kind"]),
                ConflictStatus(told["status"]),
                from_text(told["opened_at"]),
                from_text(told["updated_at"]),
                self._label("local", one, names),
                self._label("remote", other, names),
                reserved=str(told.get("reserved", "")),
                asked=Asked(str(asked["agent"]), from_text(asked["until"])) if asked else None,
                outcome=ruling.exchanged if exchanged and ruling is not None else ruling,
                is_sealed=is_sealed,
                agents=_agents(path, told),
                about=self._about(path),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def _about(self, path: str) -> str:
        place = state_place(path)
        if place is None:
            return path
        if place[0] not in self._names:
            self._names[place[0]] = readable_path(self._agentfs, f"agents/{place[0]}")
        return f"{self._names[place[0]]}/state/{place[1]}"

    def _label(self, name: str, told: Any, names: Mapping[str, str]) -> SideLabel:
        device, at = str(told.get("device", "")), told.get("at")
        return SideLabel(
            name,
            str(told.get("who", "")),
            device,
            names.get(device, ""),
            from_text(at) if at else None,
            is_here=device == self._agentfs.device,
            is_deleted=bool(told.get("deleted", False)),
        )

    def _count(self, summary: ConflictSummary, position: int, draft: str) -> tuple[int, int]:
        """How many places were changed, and how many are open; none where it cannot be opened."""
        item = self._agentfs.items.at_path(summary.path)
        known = (summary.id, position, item.position if item is not None else 0, draft)
        with self._lock:
            if known in self._counted:
                return self._counted[known]
        record_item = self._agentfs.items.at_path(f"conflicts/{summary.id}")
        try:
            counted = self._counts(record_item) if record_item is not None else (0, 0)
        except BailiwickError:
            return 0, 0
        with self._lock:
            if len(self._counted) >= _MOST_REMEMBERED:
                self._counted.clear()
            self._counted[known] = counted
        return counted

    def _counts(self, item: Item) -> tuple[int, int]:
        record = read_record(self._agentfs.items.content(item))
        present = self._objects.present(record.path)
        arbitration = arbitrate(record, present, device=self._agentfs.device, names={})
        arbitration = with_draft(arbitration, self._drafts.get(record.id))
        return sum(1 for each in arbitration.decisions if is_change(each)), len(arbitration.open)


def _agents(path: str, told: Any) -> tuple[str, ...]:
    place = state_place(path)
    named = told.get("agents", [])
    found = [place[0]] if place is not None else []
    return tuple(dict.fromkeys([*found, *(each for each in named if isinstance(each, str))]))
