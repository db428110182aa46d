"""What the agents pane reads: the list, and what one of its sections shows of the chosen agent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from core.errors import AccessDenied, Locked, NotFound, SealBroken, WrongKey
from tui.bridge import WorkspaceLike

if TYPE_CHECKING:
    from core.agent_model import Actor, AgentOverview, Lease, Session, State, StateEntry, ToolCall
    from core.agentfs.agentfs import AgentFS
    from core.hardware.pool import WorkerPool

MOST_STATES = 2000
MOST_SESSIONS = 50
MOST_CALLS = 50


class AgentWorkspace(WorkspaceLike, Protocol):
    """What the agents pane and its dialogs need of ``core.workspace.Workspace``."""

    @property
    def pool(self) -> WorkerPool: ...

    @property
    def agentfs(self) -> AgentFS: ...

    @property
    def person(self) -> Actor: ...


class Section(StrEnum):
    """The parts of an agent's detail."""

    STATES = "states"
    LEASES = "leases"
    SESSIONS = "sessions"
    ABOUT = "about"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be read. Without ``agent_id`` only the list is.

    ``key`` names the state whose value is wanted, unless it is still at the known ``version``.
    """

    retired: bool
    agent_id: str = ""
    section: Section = Section.STATES
    key: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What one section shows of an agent; the other sections' fields are empty.

    ``state`` is the wanted one, where it is there and not known already; ``refused`` says why its value is not shown.
    """

    agent_id: str
    section: Section
    states: tuple[StateEntry, ...] = ()
    state: State | None = None
    refused: str = ""
    leases: tuple[Lease, ...] = ()
    sessions: tuple[Session, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    key_path: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the workspace."""

    overviews: tuple[AgentOverview, ...]
    facts: AgentFacts | None


def read(agentfs: AgentFS, wanted: Wanted) -> Reading:
    """Look; reads the disk. Facts are ``None`` when the agent is not there."""
    overviews = tuple(agentfs.agents.all(retired=wanted.retired))
    known = any(overview.agent.id == wanted.agent_id for overview in overviews)
    return Reading(overviews, _facts(agentfs, wanted) if known else None)


def _facts(agentfs: AgentFS, wanted: Wanted) -> AgentFacts:
    agent_id = wanted.agent_id
    match wanted.section:
        case Section.STATES:
            entries = tuple(agentfs.states.entries(agent_id, limit=MOST_STATES))
            known = any((each.key, each.version) == (wanted.key, wanted.version) for each in entries)
            facts = AgentFacts(agent_id, wanted.section, states=entries)
            return _with_state(facts, agentfs, wanted.key) if wanted.key and not known else facts
        case Section.LEASES:
            return AgentFacts(agent_id, wanted.section, leases=tuple(agentfs.leases.held(agent_id)))
        case Section.SESSIONS:
            sessions = agentfs.sessions.all(agent_id, limit=MOST_SESSIONS)
            calls = agentfs.sessions.calls(agent=agent_id, limit=MOST_CALLS)
            return AgentFacts(agent_id, wanted.section, sessions=tuple(sessions), calls=tuple(calls))
        case Section.ABOUT:
            path = agentfs.agents.key_path(agent_id)
            return AgentFacts(agent_id, wanted.section, key_path=str(path) if path.is_file() else "")


def _with_state(facts: AgentFacts, agentfs: AgentFS, key: str) -> AgentFacts:
    """``facts`` with the state; one that is locked comes without its value."""
    try:
        return replace(facts, state=agentfs.states.get(facts.agent_id, key))
    except NotFound:
        return facts
    except Locked:
        found = agentfs.states.all(facts.agent_id, key, limit=1)
        return replace(facts, state=next((each for each in found if each.key == key), None))
    except (AccessDenied, SealBroken, WrongKey) as error:
        return replace(facts, refused=str(error))
