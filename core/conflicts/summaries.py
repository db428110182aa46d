"""What a list shows of conflicts, and what became of acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.conflicts.arbitration import Arbitration, SideLabel
from core.conflicts.outcomes import Outcome
from core.conflicts.records import Asked, ConflictStatus


@dataclass(frozen=True, slots=True)
class ConflictSummary:
    """One conflict in a list. ``places`` are those that somebody changed, ``open`` those to be decided still.

    Both are 0 where it cannot be opened, for it ``is_sealed`` and the keys are locked. ``agents`` are the ids of those
    whose own it is about.
    """

    id: str
    path: str
    kind: str
    status: ConflictStatus
    opened_at: datetime
    updated_at: datetime
    local: SideLabel
    remote: SideLabel
    places: int = 0
    open: int = 0
    reserved: str = ""
    asked: Asked | None = None
    outcome: Outcome | None = None
    has_draft: bool = False
    is_sealed: bool = False
    agents: tuple[str, ...] = ()
    about: str = ""
    """The path with its agent's name, as a person reads it."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A ruling that holds now; ``changed`` says whether the object is another than before."""

    id: str
    path: str
    outcome: Outcome
    changed: bool
    about: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Nothing was applied, for a side moved meanwhile: the conflict as it is now, and how many places are open anew."""

    arbitration: Arbitration
    reopened: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A ruling among many that could not be made, and why."""

    id: str
    path: str
    why: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a ruling among many would make of an object, as text: what stands and what would.

    ``loses`` counts the places where the other side changed something that would not be taken; ``refused`` says why it
    would not be made at all.
    """

    id: str
    path: str
    before: str
    after: str
    loses: int = 0
    refused: str = ""
    about: str = ""
