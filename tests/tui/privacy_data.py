"""A workspace with something to protect: secrets, patterns that catch, shares, and agents that were refused."""

from __future__ import annotations

from contextlib import suppress

from agent_data import PERSON, Clock, acting

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.disclosure.sharing import share, unshare
from core.errors import AccessDenied
from core.model import Kind

CANARY = "gh" + "p_4tWq8Zr1Xn6Vb3Lm9Ks2Hd7Jc5Fy0Pg1QaUe"
"""A text that is taken for a secret."""
TEAM = "acme"


def protect(agentfs: AgentFS, clock: Clock | None = None) -> dict[str, str]:
    """Fill a workspace of the user ada, who is in the team acme; returns the agents' ids by name."""

    def tick() -> None:
        if clock is not None:
            clock.move(11)

    agentfs.agents.places.policy = type(agentfs.agents.policy)(max_agents=8)
    kinds = {"planner": "research", "coder": "poc"}
    ids = {name: agentfs.agents.register(name, kind, owner="ada", by=PERSON).agent.id for name, kind in kinds.items()}
    planner, coder = acting(ids["planner"]), acting(ids["coder"])
    for key, value, kind in (
        ("plan/today", {"do": "measure"}, None),
        ("credentials/db", {"host": "db.internal"}, None),
        ("tokens", {"token": CANARY}, None),
        ("findings/heat", {"litres": 3, "asked": "mara@example.org"}, Kind.RESEARCH_FINDING),
        ("assumptions/power", {"watts": 2200}, Kind.ASSUMPTION),
    ):
        agentfs.states.put("planner", key, value, by=planner, kind=kind)
        tick()
    agentfs.states.put("coder", "examples/boil", {"code": "Kettle().boil()"}, by=coder, kind=Kind.CODE_EXAMPLE)
    agentfs.states.put("coder", "logs/build", {"passed": 41}, by=coder, kind=Kind.IMPLEMENTATION_LOG)
    agentfs.messages.send("planner", "person", {"text": f"use {CANARY}"}, by=planner)
    tick()
    share(agentfs, "planner/plan/today", f"team:{TEAM}", by=PERSON)
    tick()
    share(agentfs, "planner/findings/heat", "public", by=PERSON, in_full=True)
    tick()
    unshare(agentfs, "planner/assumptions/power", f"team:{TEAM}", by=PERSON)
    for who, key in ((coder, "tokens"), (Actor(ActorKind.AGENT, ids["coder"], "hook", verified=False), "plan/today")):
        tick()
        with suppress(AccessDenied):
            agentfs.states.get("planner", key, by=who)
    return ids
