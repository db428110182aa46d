"""Taking away what nothing names any more: announced in the log, deleted after a time of grace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.agentfs.agentfs import AgentFS
from core.remote.store import ObjectStore
from core.sync_model import Area

GRACE_HOURS = 72.0
MOST_SKEW_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Reclaimable:
    """What an area holds that nothing names: ``objects`` and ``bytes`` in all, ``ready`` those whose time is over.

    ``next_at`` is when the next may be deleted, ``waits`` a sentence where something keeps collecting from going on.
    """

    area: str
    objects: int
    bytes: int
    ready: int
    next_at: datetime | None = None
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one step of collecting did: objects announced in the log, objects and bytes deleted."""

    announced: int
    deleted: int
    bytes: int
    left: Reclaimable


def reclaimable(agentfs: AgentFS, store: ObjectStore, area: Area) -> Reclaimable:
    """What could be taken away in ``area``; lists its objects (one class A operation per 1,000) and changes nothing."""
    raise NotImplementedError


def collect(agentfs: AgentFS, store: ObjectStore, area: Area, *, grace_hours: float = GRACE_HOURS) -> Collected:
    """Announce in the log what nothing names; delete what was announced ``grace_hours`` ago and is unnamed still."""
    raise NotImplementedError


def sweep_temporary(store: ObjectStore, *, older_than_hours: float = 24.0) -> int:
    """Delete what uploads that never ended left under ``temp/``; returns how many objects."""
    raise NotImplementedError
