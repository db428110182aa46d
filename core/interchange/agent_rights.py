"""Who may take an agent's things out of the workspace and bring others in: its owner, and the agent itself."""

from __future__ import annotations

from core.access import AccessDecision
from core.access.check import NOT_VERIFIED, PRIVATE_RESOURCE
from core.agent_model import PERSON_TYPE, Actor, ActorKind, Agent
from core.agentfs.agentfs import AgentFS
from core.errors import InvalidInput
from core.model import Operation
from core.privacy import Action

_HINT = "Its owner may, and the agent itself."


def require_own(
    agentfs: AgentFS, agent: Agent, by: Actor, operation: Operation = Operation.READ, *, shows_key: bool = False
) -> None:
    """Raise AccessDenied, after recording it, unless ``by`` is the agent's owner or the very agent.

    With ``shows_key`` the agent must have shown its key. Raises InvalidInput for a person's row among the agents.
    """
    if agent.type == PERSON_TYPE:
        raise InvalidInput(f"{agent.name} is the person here, not an agent.", "`bailiwick agents list` shows them.")
    refusal = None
    if by.kind is ActorKind.ENGINE or not agentfs.permissions.is_own(by, agent.owner, agent.id):
        refusal = AccessDecision(Action.REFUSE, PRIVATE_RESOURCE, "owner")
    elif shows_key and not by.verified:
        refusal = AccessDecision(Action.REFUSE, NOT_VERIFIED, "verified")
    if refusal is not None:
        agentfs.permissions.record(by, agent.id, f"agents/{agent.id}", operation, refusal, _HINT)
