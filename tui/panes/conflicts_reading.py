"""What the conflicts pane asks of the core; everything here runs beside the screen's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from core.conflicts.records import ConflictStatus
from tui.bridge import WorkspaceLike

if TYPE_CHECKING:
    from core.agent_model import Actor
    from core.conflicts.arbitration import Arbitration, SideLabel
    from core.conflicts.service import ConflictService
    from core.conflicts.summaries import ConflictSummary
    from core.hardware.pool import WorkerPool


class Section(StrEnum):
    """The lists of the conflicts pane."""

    OPEN = "open"
    SETTLED = "settled"


class ConflictsWorkspace(WorkspaceLike, Protocol):
    """What the conflicts pane and its dialogs need of ``core.workspace.Workspace``."""

    @property
    def pool(self) -> WorkerPool: ...

    @property
    def person(self) -> Actor: ...

    @property
    def conflicts(self) -> ConflictService: ...


@dataclass(frozen=True, slots=True)
class Listing:
    """All conflicts with the names of agents in place of their ids; ``names`` are those."""

    open: tuple[ConflictSummary, ...] = ()
    settled: tuple[ConflictSummary, ...] = ()
    names: Mapping[str, str] | None = None

    def of(self, section: Section) -> tuple[ConflictSummary, ...]:
        """The conflicts of a section."""
        return self.open if section is Section.OPEN else self.settled


def read_list(workspace: ConflictsWorkspace) -> Listing:
    """Every conflict."""
    names = {each.agent.id: each.agent.name for each in workspace.agentfs.agents.all(retired=True)}
    found = [
        replace(each, local=_named(each.local, names), remote=_named(each.remote, names))
        for each in workspace.conflicts.all()
    ]
    return Listing(
        tuple(each for each in found if each.status is ConflictStatus.OPEN),
        tuple(each for each in found if each.status is not ConflictStatus.OPEN),
        names,
    )


def read_one(workspace: ConflictsWorkspace, identifier: str) -> Arbitration:
    """One conflict to rule on. Raises NotFound and Locked."""
    return with_names(workspace, workspace.conflicts.open(identifier))


def with_names(workspace: ConflictsWorkspace, arbitration: Arbitration) -> Arbitration:
    """The conflict with the names of agents in place of their ids."""
    names = {each.agent.id: each.agent.name for each in workspace.agentfs.agents.all(retired=True)}
    return replace(
        arbitration,
        base=_named(arbitration.base, names) if arbitration.base is not None else None,
        local=_named(arbitration.local, names),
        remote=_named(arbitration.remote, names),
    )


def _named(label: SideLabel, names: Mapping[str, str]) -> SideLabel:
    return replace(label, who=names[label.who]) if label.who in names else label
