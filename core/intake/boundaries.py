"""Two agents at work on the same thing, as their hooks tell it: a claim conflict, and a message to who came later.

What a tool is about to change is known by the hash of its path alone, and by the leases that it lies under.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.agent_model import Actor, Admission, LeaseMode
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_text
from core.agentfs.leases import DEFAULT_SECONDS
from core.agentfs.readable import without_secrets
from core.agentfs.settings import recall_within, remember_within
from core.config import ConflictSettings
from core.conflicts.arising import Arising
from core.conflicts.claiming import Claiming
from core.conflicts.claims import Claims, Standing, claim_path, lease_claim_path
from core.errors import BailiwickError
from core.intake.records import HookRecord
from core.intake.summaries import PRIVATE
from core.model import JSONValue

WINDOW_SECONDS = 120
"""So soon after another agent changed a file, changing it too is at odds with that agent."""
_CHANGED = "intake.changed_files"
_MOST_CHANGED = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """Who was about to change a file, when, and by which call; ``alone``: that call changes no other."""

    agent: str
    at: datetime
    call: str
    alone: bool


class Boundaries:
    """For one thread at a time; everything belongs to the caller's transaction."""

    def __init__(self, agentfs: AgentFS, settings: ConflictSettings) -> None:
        self._agentfs = agentfs
        self._claims = Claims(agentfs)
        self._claiming = Claiming(agentfs, Arising(agentfs, settings))

    def crossed(self, connection: sqlite3.Connection, record: HookRecord, by: Actor) -> None:
        """A tool of the agent ``by`` begins to change files; where that cannot be judged now, it is passed over."""
        connection.execute("SAVEPOINT boundary")
        try:
            if now() - record.at < timedelta(seconds=WINDOW_SECONDS) and self._is_at_work(connection, by):
                self._cross(connection, record, by)
        except BailiwickError as error:
            # What was done is noted all the same.
            connection.execute("ROLLBACK TO boundary")
            _log.warning("whether a tool changes what another agent claims could not be judged: %s", error.message)
        finally:
            connection.execute("RELEASE boundary")

    @staticmethod
    def _is_at_work(connection: sqlite3.Connection, by: Actor) -> bool:
        """Whether the agent may claim something: it showed its key, and has its place."""
        row = connection.execute("SELECT admission FROM agents WHERE id = ?", (by.id,)).fetchone()
        return by.verified and row is not None and row["admission"] == Admission.ADMITTED

    def _cross(self, connection: sqlite3.Connection, record: HookRecord, by: Actor) -> None:
        leases = self._agentfs.leases
        held = [each for name in record.leases for each in leases.in_force_within(connection, lease_id=name)]
        tool = record.call.tool if record.call is not None else ""
        for lease in held:
            if lease.agent_id == by.id or lease.mode is LeaseMode.SHARED or lease.acquired_at > record.at:
                continue
            claim = self._claims.claim_within(
                connection, by.id, lease.resource, reason=f"its tool {tool} changes it", seconds=lease.seconds
            )
            standing = self._claims.of_lease_within(connection, lease)
            self._claiming.cross_within(connection, lease_claim_path(lease), claim, standing, by=by)
        changed = _recent(connection, record.at)
        if not held:
            for file in record.files:
                self._change(connection, record, file, changed.get(file), by)
        call = record.call.external_id if record.call is not None else ""
        change = ChangedFile(by.id, record.at, call, len(record.files) == 1)
        _remember(connection, {**changed, **dict.fromkeys(record.files, change)})

    def _change(
        self, connection: sqlite3.Connection, record: HookRecord, file: str, before: ChangedFile | None, by: Actor
    ) -> None:
        """A file that nobody leases changes; ``before`` tells who changed it shortly before."""
        found = self._claims.file_within(connection, file)
        if found is None and before is not None and before.agent != by.id:
            name = self._name(connection, record, before)
            claim = self._claims.claim_within(
                connection, before.agent, name, seconds=DEFAULT_SECONDS, reason="it changed it first", file=file
            )
            found = claim_path(name, file[:12]), Standing(claim, f"{file[:16]} {to_text(before.at)}", before.at)
        if found is None:
            return
        path, standing = found
        # It stands for as long as somebody goes on with it.
        self._claims.stand_within(connection, path, standing)
        if standing.claim.agent != by.id:
            tool = record.call.tool if record.call is not None else ""
            claim = self._claims.claim_within(
                connection, by.id, standing.claim.resource, reason=f"its tool {tool} changes it", file=file
            )
            self._claiming.cross_within(connection, path, claim, standing, by=by)

    @staticmethod
    def _name(connection: sqlite3.Connection, record: HookRecord, before: ChangedFile) -> str:
        """What the file is called: as the summary of the earlier call says, else only that it is one."""
        row = connection.execute(
            "SELECT summary FROM tool_calls WHERE agent_id = ? AND external_id = ?", (before.agent, before.call)
        ).fetchone()
        summary = row["summary"] if row is not None and before.alone else ""
        return str(summary) if summary and summary != PRIVATE else f"a file of {without_secrets(record.project)}"


def _recent(connection: sqlite3.Connection, at: datetime) -> dict[str, ChangedFile]:
    """Who changed which file, by the hash of its path, within the window before ``at``."""
    told: Any = recall_within(connection, _CHANGED) or {}
    earliest = at - timedelta(seconds=WINDOW_SECONDS)
    known = {
        file: ChangedFile(entry["agent"], from_text(entry["at"]), entry["call"], entry["alone"])
        for file, entry in told.items()
    }
    return {file: each for file, each in known.items() if each.at >= earliest}


def _remember(connection: sqlite3.Connection, changed: dict[str, ChangedFile]) -> None:
    newest = sorted(changed.items(), key=lambda each: each[1].at)[-_MOST_CHANGED:]
    told: dict[str, JSONValue] = {
        file: {"agent": each.agent, "at": to_text(each.at), "call": each.call, "alone": each.alone}
        for file, each in newest
    }
    remember_within(connection, _CHANGED, told)
