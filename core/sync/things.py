"""What lies at a path, told by the path alone."""

from __future__ import annotations

import re
from enum import StrEnum

from core.errors import InvalidInput
from core.ids import looks_like_id


class Thing(StrEnum):
    """What travels in a way of its own; ``ITEM`` is everything else."""

    AGENT = "agent"
    STATE = "state"
    MESSAGE = "message"
    SESSION = "session"
    CONFLICT = "conflict"
    ITEM = "item"


_STATE = re.compile("agents/([^/]+)/state/(.+)", re.DOTALL)
_ORDER = (Thing.AGENT, Thing.CONFLICT, Thing.SESSION, Thing.MESSAGE, Thing.STATE, Thing.ITEM)
MERGING = frozenset({Thing.AGENT, Thing.MESSAGE, Thing.CONFLICT})
"""What two devices may both change without ever disagreeing."""
LASTING = frozenset({Thing.AGENT, Thing.MESSAGE, Thing.SESSION})
"""What nobody deletes."""


def thing_at(path: str) -> Thing:
    """What lies at ``path``."""
    first, _, rest = path.partition("/")
    if first == "agents" and looks_like_id(rest):
        return Thing.AGENT
    if first == "agents" and _STATE.fullmatch(path):
        return Thing.STATE
    if looks_like_id(rest):
        named = {"messages": Thing.MESSAGE, "sessions": Thing.SESSION, "conflicts": Thing.CONFLICT}
        return named.get(first, Thing.ITEM)
    return Thing.ITEM


def order(path: str) -> int:
    """In which order things arrive, lowest first: agents before what is theirs, conflicts before what they tell of, so
    that it is known what was ruled when two rulings meet.
    """
    return _ORDER.index(thing_at(path))


def agent_path(agent_id: str) -> str:
    """The path of an agent."""
    return f"agents/{agent_id}"


def last_part(path: str) -> str:
    """The id that a path of the form ``NOUN/ID`` ends with."""
    return path.rpartition("/")[2]


def state_place(path: str) -> tuple[str, str]:
    """The agent's id and the key of a state's path; raises InvalidInput where it is none."""
    found = _STATE.fullmatch(path)
    if found is None or not looks_like_id(found[1]):
        raise InvalidInput("What came of a state does not lie where states do.")
    return found[1], found[2]
