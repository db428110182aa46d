"""Finding an item, and an audience, by what a person calls it."""

from __future__ import annotations

import os

from core.agent_model import Agent
from core.agentfs.agentfs import AgentFS
from core.agentfs.readable import check_readable
from core.errors import InvalidInput, NotFound
from core.model import Item, Kind
from core.privacy import EVERY_TEAM, Audience, AudienceKind, Purpose

LONGEST_TEAM = 200
OWN_DEVICES = "own-devices"
LOGS = "logs"
_PURPOSES = {
    AudienceKind.AGENT: Purpose.ANSWER,
    AudienceKind.TEAM: Purpose.SYNC,
    AudienceKind.PUBLIC: Purpose.PUSH,
}


def find_item(agentfs: AgentFS, target: str) -> Item:
    """The living item of an id, a path, a hit's id, a path that has an agent's name in place of its id, or a file.

    ``agents/scout/state/plan`` and ``scout/plan`` both name scout's state ``plan``; a file names the document that was
    read from it. Raises NotFound.
    """
    for candidate in (target, target.rpartition(":")[0]):
        item = agentfs.items.get(candidate) if candidate else None
        if item is not None and not item.deleted:
            return item
    for path in (target, *_state_paths(agentfs, target)):
        if (item := agentfs.items.at_path(path)) is not None:
            return item
    if (item := _read_from(agentfs, target)) is not None:
        return item
    raise NotFound(f"There is no item {target}.", "Name its id or path, a state as AGENT/KEY, or a file that was read.")


def _read_from(agentfs: AgentFS, target: str) -> Item | None:
    if not target or "\0" in target:
        return None
    path = os.path.realpath(os.path.expanduser(target))
    for source in agentfs.sources.all():
        known = agentfs.sources.file(source.id, path)
        item = agentfs.items.get(known.item_id) if known is not None and known.item_id else None
        if item is not None and not item.deleted:
            return item
    return None


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
    audience = _audience(agentfs, text)
    if audience is None:
        raise InvalidInput(f"{text!r} names nobody to share with.", "Say team:NAME, agent:NAME or public.")
    return audience


def _audience(agentfs: AgentFS, text: str) -> Audience | None:
    form, _, name = text.partition(":")
    if form == AudienceKind.PUBLIC and not name:
        return Audience.public()
    if form == AudienceKind.TEAM and name:
        _check_team(name)
        return Audience.team(name, member=name in agentfs.guard.settings.teams)
    if form == AudienceKind.AGENT and name:
        return agent_audience(agentfs, agentfs.agents.get(name))
    return None


def _check_team(name: str) -> None:
    """Raise InvalidInput when no team can have that name, or it may not be kept: it stays readable with the item."""
    if name == EVERY_TEAM:
        raise InvalidInput(
            "An item is shared with one team at a time.", "`bailiwick unshare ITEM` keeps it from every team."
        )
    if len(name) > LONGEST_TEAM or not name.isprintable() or name != name.strip():
        raise InvalidInput(f"{name[:40]!r} cannot be a team's name.", f"Use up to {LONGEST_TEAM} printable characters.")
    check_readable(name, "The team's name")


def agent_audience(agentfs: AgentFS, agent: Agent) -> Audience:
    """The agent as an audience, with the teams of the user it works for."""
    return Audience.agent(agent.id, agent.owner, agentfs.permissions.teams_of(agent.owner))


def find_receiver(agentfs: AgentFS, text: str) -> tuple[Audience, Purpose]:
    """As ``find_audience``, ``own-devices`` and ``logs`` besides, with what it would be for."""
    if text == OWN_DEVICES:
        return Audience.own_devices(), Purpose.SYNC
    if text == LOGS:
        return Audience.log(), Purpose.LOG
    audience = _audience(agentfs, text)
    if audience is None:
        raise InvalidInput(f"{text!r} names nobody.", f"Say {OWN_DEVICES}, agent:NAME, team:NAME, public or {LOGS}.")
    return audience, _PURPOSES[audience.kind]


def audience_text(agentfs: AgentFS, kind: str, name: str) -> str:
    """What ``find_receiver`` understands as this audience."""
    if kind == AudienceKind.AGENT:
        return f"agent:{audience_name(agentfs, kind, name).removeprefix('agent ')}"
    if kind == AudienceKind.TEAM:
        return f"team:{name}"
    return {AudienceKind.OWN_DEVICES: OWN_DEVICES, AudienceKind.LOG: LOGS}.get(AudienceKind(kind), kind)


def audience_name(agentfs: AgentFS, kind: str, name: str) -> str:
    """How a person calls an audience."""
    if kind == AudienceKind.AGENT:
        try:
            return f"agent {agentfs.agents.get(name).name}"
        except NotFound:
            return f"agent {name}"
    if kind == AudienceKind.TEAM:
        return "every team" if name == EVERY_TEAM else f"team {name}"
    return {"public": "everybody", "own_devices": "your own devices", "log": "logs", "error_message": "messages"}[kind]


def readable_path(agentfs: AgentFS, path: str) -> str:
    """A path with its agent's name in place of the id, whether something lies there or not."""
    parts = path.split("/", 2)
    if parts[0] != "agents" or len(parts) == 1:
        return path
    try:
        return "/".join(("agents", agentfs.agents.get(parts[1]).name, *parts[2:]))
    except NotFound:
        return path


def display_path(agentfs: AgentFS, item: Item) -> str:
    """The item's path with its agent's name in place of the id."""
    if item.agent_id and item.kind is not Kind.MESSAGE and item.path.startswith(f"agents/{item.agent_id}/"):
        try:
            return item.path.replace(item.agent_id, agentfs.agents.get(item.agent_id).name, 1)
        except NotFound:
            return item.path
    return item.path
