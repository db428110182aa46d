"""Secrets that nobody else has, and the search for them in every byte of a folder."""

from __future__ import annotations

import logging
import secrets
import string
from contextlib import suppress
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, AgentStatus
from core.errors import BailiwickError, StateConflict
from core.model import SearchMode
from core.search.query import Query
from core.workspace import Workspace

_LETTERS = string.ascii_letters + string.digits


def new_canary() -> str:
    """A text that every classification takes for a secret, as a GitHub token looks."""
    return "ghp_" + "".join(secrets.choice(_LETTERS) for _ in range(36))


def files_with(folder: Path, canary: str) -> list[str]:
    """The files below ``folder`` that hold ``canary`` in plain, in UTF-8 or UTF-16."""
    looked_for = (canary.encode(), canary.encode("utf-16-le"))
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(each in path.read_bytes() for each in looked_for)
    )


def hand_in(workspace: Workspace, canary: str) -> list[str]:
    """Bring the secret in wherever something is taken in; the answer is everything that was said."""
    agentfs, person = workspace.agentfs, workspace.person
    agent = agentfs.agents.register("scout", "research", owner=person.id, by=person).agent
    scout = Actor(ActorKind.AGENT, agent.id, "mcp")
    agentfs.states.put("scout", "plan", {"token": canary}, by=scout)
    agentfs.states.put("scout", "large", {"log": ["line"] * 30_000, "token": canary}, by=scout)
    agentfs.messages.send("scout", "person", {"text": f"export TOKEN={canary}"}, by=scout)
    agentfs.messages.send("person", "scout", {canary: 1}, by=person)
    call = agentfs.sessions.begin_call("scout", f"curl -H {canary}", by=scout)
    agentfs.sessions.finish_call(call, by=scout, error=f"401 for {canary}")
    agentfs.agents.heartbeat("scout", by=scout, status=AgentStatus.ERROR, note=f"refused {canary}")
    agentfs.leases.take("scout", "src/**", by=scout, reason=f"rotating {canary}")
    said = []
    for refused in (
        lambda: agentfs.states.put("scout", canary, 1, by=scout),
        lambda: agentfs.states.put("scout", "plan", 2, by=scout, expect=7),
        lambda: agentfs.states.get(canary, "plan"),
        lambda: agentfs.leases.take("scout", f"src/{canary}", by=scout),
        lambda: agentfs.snapshots.take(canary, by=person),
        lambda: agentfs.sessions.start("scout", by=scout, title=canary),
        lambda: agentfs.agents.register("other", "research", {"tools": [canary]}, owner=person.id, by=person),
    ):
        with pytest.raises(BailiwickError) as raised:
            refused()
        if not isinstance(raised.value, StateConflict):  # which answers its own value to whom it belongs
            said.append(repr(raised.value.facts))
    with suppress(BailiwickError):
        workspace.search(Query(canary, mode=SearchMode.TEXT))
    agentfs.snapshots.take("with secrets", by=person)
    try:
        raise ValueError(f"a library quotes {canary}")
    except ValueError:
        logging.getLogger("core.test").exception("it broke with %s", canary)
    return said
