"""``bailiwick agents``: who works here."""

from __future__ import annotations

from collections.abc import Sequence

import click

from core.agent_model import Agent, AgentOverview, AgentStatus
from core.errors import InvalidInput, NotFound
from core.model import JSONObject, JSONValue
from tui.commands.acting import Acting, acting_options
from tui.commands.given import json_of
from tui.commands.nouns import answer, noun, opened_agentfs, plain, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.moments import clock, now, since


@noun
def agents() -> None:
    """Register agents, and see who is alive and doing what."""


@agents.command("list")
@click.option("--all", "retired", is_flag=True, help="The retired ones too.")
@common_options
@pass_invocation
def list_agents(invocation: Invocation, retired: bool) -> None:
    """List the agents with what they do now, unread messages, leases and states."""
    with opened_agentfs(invocation) as opened:
        found = opened.agentfs.agents.all(retired=retired)
    heads = ("NAME", "TYPE", "STATUS", "TOOL", "SEEN", "UNREAD", "LEASES", "STATES", "ID")
    rows = [_row(each) for each in found]
    lines = table(heads, rows, "No agent is here yet: `bailiwick agents register NAME --type T` makes one.")
    lines += [_waits(each.agent) for each in found if each.agent.place is not None]
    answer(invocation, {"agents": [_document(each) for each in found]}, lines)


@agents.command()
@click.argument("agent")
@common_options
@pass_invocation
def show(invocation: Invocation, agent: str) -> None:
    """Show one agent, retired or not."""
    with opened_agentfs(invocation) as opened:
        wanted = opened.agentfs.agents.get(agent).id
        found = next((each for each in opened.agentfs.agents.all(retired=True) if each.agent.id == wanted), None)
        key_path = str(opened.agentfs.agents.key_path(wanted))
    if found is None:
        raise NotFound(f"{agent} is a person.", "`bailiwick agents list` shows the agents.")
    answer(invocation, {**_document(found), "key_path": key_path}, _details(found))


@agents.command()
@click.argument("name")
@click.option("--type", "kind", required=True, metavar="T", help="research, poc, documentation, validation …")
@click.option("--capabilities", metavar="JSON|@FILE", help="What the agent can do, as a JSON object.")
@click.option("--tool", "tools", multiple=True, metavar="T", help="A tool the agent has.")
@click.option("--responsibility", "patterns", multiple=True, metavar="PATTERN", help="A path or topic of its own.")
@click.option("--client", default="", metavar="C", help="The program the agent runs in.")
@common_options
@pass_invocation
def register(
    invocation: Invocation,
    name: str,
    kind: str,
    capabilities: str | None,
    tools: tuple[str, ...],
    patterns: tuple[str, ...],
    client: str,
) -> None:
    """Make NAME an agent with a key of its own, or recognise it again."""
    declared = _capabilities(capabilities, tools, patterns)
    with opened_agentfs(invocation, make=True) as opened:
        registered = opened.agentfs.agents.register(
            name, kind, declared, owner=opened.settings.user.id, by=opened.person, client=client
        )
    agent = registered.agent
    document = {"agent": _agent(agent), "key_path": registered.key_path, "created": registered.created}
    what = "is registered" if registered.created else "was here already and is recognised"
    lines = [f"{agent.name} {what} ({agent.type}, {agent.id}).", f"Its key: {registered.key_path}"]
    answer(invocation, document, [*lines, _waits(agent)] if agent.place is not None else lines)


@agents.command()
@click.argument("agent")
@click.option("--status", type=click.Choice([each.value for each in AgentStatus]), default=None)
@click.option("--tool", default="", metavar="T", help="The tool that runs now.")
@click.option("--note", default="", metavar="N", help="What went wrong.")
@acting_options()
@common_options
@pass_invocation
def heartbeat(invocation: Invocation, agent: str, status: str | None, tool: str, note: str, acting: Acting) -> None:
    """Give a sign of life: renews leases, keeps the place in line."""
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened, agent)
        told = AgentStatus(status) if status else None
        found = opened.agentfs.agents.heartbeat(agent, by=by, status=told, tool=tool, note=note)
    lines = [_waits(found)] if found.place is not None else [f"{found.name} is {found.status}."]
    answer(invocation, _agent(found), lines)


@agents.command()
@click.argument("agent")
@click.option("--reason", default="", metavar="R", help="Why; whoever writes to the agent is told.")
@common_options
@pass_invocation
def retire(invocation: Invocation, agent: str, reason: str) -> None:
    """End an agent for good: its leases and sessions end, its history stays, its name is free again."""
    with opened_agentfs(invocation) as opened:
        found = opened.agentfs.agents.retire(agent, by=opened.person, reason=reason)
    answer(invocation, _agent(found), [f"{found.name} is retired."])


def _capabilities(given: str | None, tools: Sequence[str], patterns: Sequence[str]) -> JSONObject | None:
    """The capabilities with the tools and patterns named beside them; ``None`` when nothing was said."""
    if given is None and not tools and not patterns:
        return None
    value: JSONValue = json_of(given, "--capabilities") if given is not None else {}
    if not isinstance(value, dict):
        raise InvalidInput("--capabilities is not a JSON object.", """Such as '{"languages": ["python"]}'.""")
    for key, added in (("tools", tools), ("responsibilities", patterns)):
        held = value.get(key, [])
        if added and isinstance(held, list):
            value[key] = [*held, *added]
        elif added and isinstance(held, dict):
            value[key] = {**{each: {} for each in added}, **held}
    return value


def _agent(agent: Agent) -> dict[str, object]:
    document = plain(agent)
    assert isinstance(document, dict)
    return {**document, "responsibilities": list(agent.responsibilities), "tools": list(agent.tools)}


def _document(overview: AgentOverview) -> dict[str, object]:
    return {
        **_agent(overview.agent),
        "unread": overview.unread,
        "leases": overview.leases,
        "states": overview.states,
        "session_id": overview.session_id,
    }


def _row(overview: AgentOverview) -> tuple[str, ...]:
    agent = overview.agent
    status = agent.admission.value if agent.place is not None or agent.retired_at else agent.status.value
    seen = since(agent.last_activity, now())
    counts = (str(overview.unread), str(overview.leases), str(overview.states))
    return (agent.name, agent.type, status, agent.current_tool or "–", seen, *counts, agent.id)


def _waits(agent: Agent) -> str:
    return f"{agent.name} waits for a place, {agent.place} in line: {agent.reason}"


def _details(overview: AgentOverview) -> list[str]:
    agent = overview.agent
    told = {
        "id": agent.id,
        "type": agent.type,
        "status": f"{agent.status}, {agent.admission}",
        "tool": agent.current_tool,
        "note": agent.note,
        "tools": ", ".join(agent.tools),
        "responsible for": ", ".join(agent.responsibilities),
        "owner": agent.owner,
        "lives on": agent.device_name or agent.device,
        "door": agent.door,
        "client": agent.client,
        "seen": f"{clock(agent.last_activity)} ({since(agent.last_activity, now())})",
        "registered": clock(agent.created_at),
        "retired": clock(agent.retired_at) if agent.retired_at else "",
        "session": overview.session_id or "",
        "holds": f"{overview.unread} unread, {overview.leases} leases, {overview.states} states",
    }
    lines = [agent.name, *(f"  {name:16} {value}" for name, value in told.items() if value)]
    return [*lines, _waits(agent)] if agent.place is not None else lines
