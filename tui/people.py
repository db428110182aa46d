"""Who is behind an id: the names of agents and of the person, as last read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.agent_model import Actor, AgentOverview

YOU = "you"
_ID_CELLS = 6
_LEAST_ID = 16


@dataclass(frozen=True, slots=True)
class People:
    """Names by id; ``present`` are the agents that can be written to, ``types`` what they are."""

    person_id: str = ""
    person: str = ""
    names: dict[str, str] = field(default_factory=dict)
    present: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    @classmethod
    def of(cls, overviews: Sequence[AgentOverview], person: Actor, person_id: str) -> People:
        """From the agents that a registry lists, the retired ones included."""
        agents = [each.agent for each in overviews]
        living = [agent for agent in agents if agent.retired_at is None]
        names = {agent.id: agent.name for agent in agents}
        return cls(
            person_id,
            person.id,
            {**names, person_id: YOU},
            tuple(sorted(agent.name for agent in living)),
            tuple(sorted({agent.type for agent in living})),
        )

    def name(self, identifier: str) -> str:
        """A name for the id of an agent or of the person; other ids shortened to their ends."""
        return self.names.get(identifier) or short_id(identifier)

    def id_of(self, text: str) -> str | None:
        """The id that a person means by a name or an id; of one name the agent that is not retired,
        which a registry lists first."""
        if text in (YOU, "person", self.person):
            return self.person_id
        if text in self.names:
            return text
        return next((each for each, name in self.names.items() if name == text and text), None)


def short_id(identifier: str) -> str:
    """The end of a long id, which tells two of them apart; anything else as it is."""
    is_id = len(identifier) >= _LEAST_ID and identifier.isalnum()
    return f"…{identifier[-_ID_CELLS:]}" if is_id else identifier
