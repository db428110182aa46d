"""Which agent acts: the key that proves it, the session it works in, and its signs of life through a door."""

from __future__ import annotations

import os
from pathlib import Path

from core.agent_model import PERSON_TYPE, Actor, Admission, Agent
from core.agentfs.agentfs import AgentFS
from core.agentfs.agents import AgentRegistry
from core.agentfs.database import now, to_text, translated
from core.errors import InvalidInput
from core.ids import sha256_hex

LARGEST_KEY_FILE = 1024


def is_verified(agents: AgentRegistry, agent: Agent, shown: str = "") -> bool:
    """Whether ``shown`` is the agent's key or, where none is shown, the user of this process holds its key file.

    Raises InvalidInput for a wrong key, and for a key file that others may read.
    """
    if shown:
        if not agents.verify_key(agent.id, shown):
            raise InvalidInput(
                f"The key shown is not the one of {agent.name}.",
                "Without --key-file and $BAILIWICK_AGENT_KEY the agent's own key file is used.",
            )
        return True
    try:
        return agents.verify_key(agent.id, agents.read_key(agent.id))
    except OSError:
        # Another user's agent: it may act, and everyone sees that it showed no key.
        return False


def key_in(name: str) -> str:
    """The key that the file ``name`` holds; raises InvalidInput when it cannot be read."""
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST_KEY_FILE).decode("ascii", "replace").strip()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read ({os.strerror(error.errno or 0)}).") from None


def agent_with_key(agentfs: AgentFS, key: str) -> Agent | None:
    """The agent whose key this is, unless it is retired."""
    with translated(agentfs.database.path):
        row = (
            agentfs.database.connection()
            .execute(
                "SELECT id FROM agents WHERE key_sha256 = ? AND admission <> ? AND type <> ?",
                (sha256_hex(key.encode("utf-8", "replace")), Admission.RETIRED, PERSON_TYPE),
            )
            .fetchone()
        )
    return agentfs.agents.get(row["id"]) if row is not None else None


def open_session(agentfs: AgentFS, agent: Agent, wanted: str, *, demanded: bool) -> str | None:
    """The id of the session ``wanted`` for something that the agent does; ``None`` where it is another agent's.

    Raises InvalidInput for one that is over, and where it is ``demanded`` for another agent's too; NotFound.
    """
    session = agentfs.sessions.get(wanted)
    if session.agent_id != agent.id:
        if not demanded:
            return None
        raise InvalidInput(f"{wanted} is a session of {session.agent}, not of {agent.name}.")
    if session.ended_at is not None:
        raise InvalidInput(f"The session {wanted} is over.", "`bailiwick sessions start AGENT` begins another.")
    return session.id


def sign_of_life(agentfs: AgentFS, agent_id: str, *, by: Actor, client: str = "") -> None:
    """Note that the agent is there, through which door and from which ``client``, whatever else it is doing."""
    with agentfs.database.transaction() as connection:
        connection.execute(
            "UPDATE agents SET last_activity = ?, status = CASE status WHEN 'busy' THEN 'busy' ELSE 'active' END,"
            " door = ?, client = CASE WHEN ? = '' THEN client ELSE ? END WHERE id = ? AND admission <> ?",
            (to_text(now()), by.door, client, client, agent_id, Admission.RETIRED),
        )
