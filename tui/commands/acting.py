"""Who acts in a command: the person, or an agent that shows its key."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from core.agent_model import PERSON_TYPE, Actor, ActorKind, Agent
from core.agentfs.identification import is_verified, key_in, open_session
from core.agentfs.message_log import PERSON
from core.errors import InvalidInput
from tui.commands.nouns import DOOR, Opened

AGENT_VARIABLE = "BAILIWICK_AGENT"
KEY_VARIABLE = "BAILIWICK_AGENT_KEY"
SESSION_VARIABLE = "BAILIWICK_SESSION"


@dataclass(frozen=True, slots=True)
class Acting:
    """What the command line says about who acts; the environment says the rest."""

    agent: str = ""
    key_file: str = ""
    session: str = ""

    @property
    def named(self) -> str:
        """Who was named, by ``--as`` or by the environment; empty when nobody was."""
        return self.agent or os.environ.get(AGENT_VARIABLE, "")

    def actor(self, opened: Opened, default: str = PERSON) -> Actor:
        """Who acts; ``default`` does when nobody was named.

        An agent is verified when its key is shown, or when its key file is there for this user alone. Raises
        InvalidInput for a wrong key, a key file that others may read, and a session that is not the agent's or over.
        """
        name = self.named or default
        agent = opened.agentfs.agents.get(name) if name != PERSON else None
        if agent is None or agent.type == PERSON_TYPE:
            if self.session or self.key_file:
                raise InvalidInput("A key and a session belong to an agent.", "Name it with --as AGENT.")
            return opened.person
        return Actor(ActorKind.AGENT, agent.id, DOOR, self._verified(opened, agent), self._session(opened, agent))

    def _verified(self, opened: Opened, agent: Agent) -> bool:
        shown = key_in(self.key_file) if self.key_file else os.environ.get(KEY_VARIABLE, "")
        return is_verified(opened.agentfs.agents, agent, shown)

    def _session(self, opened: Opened, agent: Agent) -> str | None:
        """The session named by the flag; one in the environment counts only where it is this agent's."""
        wanted = self.session or os.environ.get(SESSION_VARIABLE, "")
        return open_session(opened.agentfs, agent, wanted, demanded=bool(self.session)) if wanted else None


def acting_options(*, session: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--as`` and ``--key-file``, and ``--session`` where it is free; the command gets an ``Acting``."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gathered(*args: Any, act_as: str, key_file: str, act_session: str = "", **others: Any) -> Any:
            return function(*args, acting=Acting(act_as, key_file, act_session), **others)

        options = [
            click.option("--as", "act_as", default="", metavar="AGENT|person", help="Who acts."),
            click.option("--key-file", default="", metavar="FILE", help="The key that the acting agent shows."),
        ]
        if session:
            options.append(
                click.option("--session", "act_session", default="", metavar="ID", help="The acting agent's session.")
            )
        for option in options:
            gathered = option(gathered)
        return gathered

    return decorated
