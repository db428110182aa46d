"""``bailiwick leases``: who may work on what."""

from __future__ import annotations

import click

from core.agent_model import LeaseMode
from core.agentfs.leases import DEFAULT_SECONDS
from tui.commands.acting import Acting, acting_options
from tui.commands.nouns import answer, noun, opened_agentfs, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.moments import left, now


@noun
def leases() -> None:
    """Claim paths and resources for a time, so that two agents do not work on the same thing."""


@leases.command("list")
@click.argument("agent", default="")
@common_options
@pass_invocation
def list_leases(invocation: Invocation, agent: str) -> None:
    """List the leases in force, of AGENT or of all, those that end first first."""
    with opened_agentfs(invocation) as opened:
        held = opened.agentfs.leases.held(agent)
    rows = [(each.agent, each.resource, each.mode.value, left(each.expires_at, now()), each.reason) for each in held]
    lines = table(("AGENT", "RESOURCE", "MODE", "LEFT", "REASON"), rows, "Nothing is leased.")
    answer(invocation, {"leases": held}, lines)


@leases.command()
@click.argument("agent")
@click.argument("resource")
@click.option("--shared", is_flag=True, help="Others may share it; nobody may have it alone.")
@click.option(
    "--seconds", type=int, default=DEFAULT_SECONDS, show_default=True, metavar="N", help="Heartbeats renew it."
)
@click.option("--reason", default="", metavar="R", help="What for; whoever is refused is told.")
@acting_options()
@common_options
@pass_invocation
def take(
    invocation: Invocation, agent: str, resource: str, shared: bool, seconds: int, reason: str, acting: Acting
) -> None:
    """Claim RESOURCE: a path, a glob such as src/**, or resource:NAME.

    Refused while another agent holds it, unless the supervisor rules for AGENT; without a ruling a person is asked.
    """
    mode = LeaseMode.SHARED if shared else LeaseMode.EXCLUSIVE
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened, agent)
        # Imported here: listing leases does without conflicts.
        from core.conflicts.arising import Arising
        from core.conflicts.claiming import Claiming

        claiming = Claiming(opened.agentfs, Arising(opened.agentfs, opened.settings.conflicts))
        lease = claiming.take(agent, resource, by=by, mode=mode, seconds=seconds, reason=reason)
    answer(invocation, lease, [f"{lease.agent} holds {lease.resource} ({lease.mode}) for {lease.seconds} s."])


@leases.command()
@click.argument("agent")
@click.argument("resource", metavar="RESOURCE|ID")
@acting_options()
@common_options
@pass_invocation
def release(invocation: Invocation, agent: str, resource: str, acting: Acting) -> None:
    """Give up a lease before its time."""
    with opened_agentfs(invocation) as opened:
        lease = opened.agentfs.leases.release(agent, resource, by=acting.actor(opened, agent))
    answer(invocation, lease, [f"{lease.agent} gave up {lease.resource}."])
