"""Asking the supervisor agent: a message that it may rule until a moment; after that the person does."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime, timedelta

from core.agent_model import Admission, Agent, Importance
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, to_text
from core.config import ConflictSettings
from core.conflicts.records import Asked, ConflictRecord, ConflictStatus
from core.errors import InvalidInput, NotFound
from core.model import JSONValue

ASK = "conflict.ask"
"""The type of the message."""


class Asking:
    """Safe from any thread and process."""

    def __init__(self, agentfs: AgentFS, settings: ConflictSettings) -> None:
        self._agentfs = agentfs
        self._settings = settings

    def ask_within(
        self, connection: sqlite3.Connection, record: ConflictRecord, *, besides: Collection[str]
    ) -> Asked | None:
        """Ask for a ruling on an open conflict, in the caller's transaction, which keeps the answer in the record.

        ``None`` where no agent can be asked: none is set, it is not here, it is one of ``besides``, who are at odds, or
        it cannot be told for the keys are locked.
        """
        agent = self._agent()
        if agent is None or agent.id in besides:
            return None
        until = now() + timedelta(seconds=self._settings.supervisor_seconds)
        content: JSONValue = {
            "conflict": record.id,
            "object": record.path,
            "until": to_text(until),
            "text": f"You are asked to rule on conflict {record.id} within {self._settings.supervisor_seconds} s.",
        }
        if not self._agentfs.messages.tell(connection, agent.id, content, type=ASK, importance=Importance.URGENT):
            return None
        return Asked(agent.name, until)

    def _agent(self) -> Agent | None:
        if not self._settings.supervisor_agent:
            return None
        try:
            agent = self._agentfs.agents.get(self._settings.supervisor_agent)
        except NotFound:
            return None
        return agent if agent.admission is not Admission.RETIRED and not agent.device else None


def require_asked(record: ConflictRecord, agent: Agent, at: datetime) -> None:
    """Raise InvalidInput unless ``agent`` is asked to rule on the conflict, and ``at`` is in time."""
    if record.status is not ConflictStatus.OPEN:
        raise InvalidInput(f"Conflict {record.id} is settled.", "Its outcome says how, and why.")
    if record.asked is None or record.asked.agent != agent.name or agent.device or record.reserved:
        raise InvalidInput(f"{agent.name} is not asked to rule on conflict {record.id}.", "The person decides.")
    if at > record.asked.until:
        raise InvalidInput(f"The time to rule on conflict {record.id} is over.", "The person decides now.")
