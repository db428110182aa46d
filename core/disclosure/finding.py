"""Finding an item, and an audience, by what a person calls it."""

from __future__ import annotations

from core.agentfs.agentfs import AgentFS
from core.errors import InvalidInput, NotFound
from core.model import Item, Kind
from core.privacy import Audience, AudienceKind

_FORMS = "team:NAME, agent:NAME or public"


def find_item(agentfs: AgentFS, target: str) -> Item:
    """The living item of an id, a path, a hit's id, or a path that has an agent's name in place of its id.

    ``agents/scout/state/plan`` and ``scout/plan`` both name scout's state ``plan``. Raises NotFound.
    """
    for candidate in (target, target.rpartition(":")[0]):
        item = agentfs.items.get(candidate) if candidate else None
        if item is not None and not item.deleted:
            return item
    for path in (target, *_state_paths(agentfs, target)):
        if (item := agentfs.items.at_path(path)) is not None:
            return item
    raise NotFound(
        f"There is no item {target}.",
        "Name its id or path, or a state as AGENT/KEY.",
    )


def _state_paths(agentfs: AgentFS, target: str) -> list[str]:
    parts = target.removeprefix("agents/").split("/", 1)
    if len(parts) != 2:
        return []
    try:
        agent = agentfs.agents.get(parts[0])
    except NotFound:
        return []
    rest = parts[1]
    return [f"agents/{agent.id}/{rest}", f"agents/{agent.id}/state/{rest}"]


def find_audience(agentfs: AgentFS, text: str) -> Audience:
    """The audience that ``team:NAME``, ``agent:NAME`` or ``public`` names; raises InvalidInput and NotFound."""
    form, _, name = text.partition(":")
    if form == AudienceKind.PUBLIC and not name:
        return Audience.public()
    if form == AudienceKind.TEAM and name:
        return Audience.team(name, member=name in agentfs.guard.settings.teams)
    if form == AudienceKind.AGENT and name:
        agent = agentfs.agents.get(name)
        return Audience.agent(agent.id, agent.owner)
    raise InvalidInput(f"{text!r} names nobody to share with.", f"Say {_FORMS}.")


def audience_name(agentfs: AgentFS, kind: str, name: str) -> str:
    """How a person calls an audience."""
    if kind == AudienceKind.AGENT:
        try:
            return f"agent {agentfs.agents.get(name).name}"
        except NotFound:
            return f"agent {name}"
    if kind == AudienceKind.TEAM:
        return "every team" if name == "*" else f"team {name}"
    return {"public": "everybody", "own_devices": "your own devices", "log": "logs", "error_message": "messages"}[kind]


def display_path(agentfs: AgentFS, item: Item) -> str:
    """The item's path with its agent's name in place of the id."""
    if item.agent_id and item.kind is not Kind.MESSAGE and item.path.startswith(f"agents/{item.agent_id}/"):
        try:
            return item.path.replace(item.agent_id, agentfs.agents.get(item.agent_id).name, 1)
        except NotFound:
            return item.path
    return item.path
