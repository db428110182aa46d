"""``bailiwick share`` and ``bailiwick unshare``: who gets a single item."""

from __future__ import annotations

import click

from core.disclosure.finding import display_path
from core.disclosure.sharing import Shared, Unshared
from core.disclosure.sharing import share as share_item
from core.disclosure.sharing import unshare as unshare_item
from core.errors import BailiwickError, Unreachable
from core.privacy import Action
from tui.commands.acting import Acting, acting_options
from tui.commands.nouns import Opened, answer, opened_agentfs
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.printable import printable

_FORMS = {
    Action.ALLOW: "whole",
    Action.REDACT: "without secrets and personal data",
    Action.SEAL: "sealed",
}


@click.command()
@click.argument("item")
@click.option("--with", "audience", required=True, metavar="team:NAME|agent:NAME|public", help="Who gets it.")
@click.option("--in-full", is_flag=True, help="Whole, where its kind is shared anonymously by default.")
@click.option("--dry-run", is_flag=True, help="Only say what they would get.")
@acting_options(session=False)
@common_options
@pass_invocation
def share(invocation: Invocation, item: str, audience: str, in_full: bool, dry_run: bool, acting: Acting) -> None:
    """Share ITEM, in the form that its sharing control allows; a sensitive item is shared with nobody."""
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened)
        done = share_item(opened.agentfs, item, audience, by=by, in_full=in_full, dry_run=dry_run)
        path = display_path(opened.agentfs, done.item)
        team = audience.removeprefix("team:")
        if team != audience and team not in opened.settings.teams:
            invocation.say(printable(f"You are not in team {team}; `bailiwick info` shows your teams."))
        waits = None if dry_run or audience.startswith("agent:") else _bring_to_remote(opened)
    decision = done.decision
    document = {
        "item": {"id": done.item.id, "path": path},
        "audience": audience,
        "action": decision.action,
        "rule": decision.rule,
        "reason": decision.reason,
        "changed": done.changed,
        "dry_run": done.dry_run,
        "remote_waits": waits,
    }
    lines = [_shared(done, path)]
    if waits:
        lines.append(f"The remote does not have it yet: {waits} The next sync brings it there.")
    answer(invocation, document, lines)


@click.command()
@click.argument("item")
@click.option(
    "--with", "audience", default="", metavar="team:NAME|agent:NAME|public", help="Only from these; without it, all."
)
@acting_options(session=False)
@common_options
@pass_invocation
@click.pass_context
def unshare(context: click.Context, invocation: Invocation, item: str, audience: str, acting: Acting) -> None:
    """Take back that ITEM is shared, and opt out where its kind is shared with a team by itself.

    Where there is a remote it is deleted there and looked for afterwards. Exits 3 while the remote still has it.
    """
    with opened_agentfs(invocation) as opened:
        done = unshare_item(opened.agentfs, item, audience, by=acting.actor(opened))
        path = display_path(opened.agentfs, done.item)
        waits = _bring_to_remote(opened)
    document = {
        "item": {"id": done.item.id, "path": path},
        "removed": done.removed,
        "opted_out": done.opted_out,
        "remote_waits": waits,
    }
    lines = _unshared(done, path)
    if waits:
        lines.append(f"The remote still has it: {waits} The next sync takes it away.")
    elif waits is not None:
        lines.append("It is gone from the remote too.")
    answer(invocation, document, lines)
    context.exit(Unreachable.exit_code if waits else 0)


def _bring_to_remote(opened: Opened) -> str | None:
    """Have the remote follow now: empty when it did, else why it waits, in a sentence; ``None`` without a remote."""
    # Imported here: most workspaces have no remote, and most commands do not need one.
    from core.events import EventBus
    from core.sync.service import SyncService

    sync = SyncService(opened.agentfs, opened.settings, EventBus(), opened.person)
    if not sync.is_set:
        return None
    try:
        return sync.sync_now("something was shared or taken back").problem
    except BailiwickError as error:
        return str(error)
    finally:
        sync.close()


def _shared(done: Shared, path: str) -> str:
    form = _FORMS[done.decision.action]
    if done.dry_run:
        return f"{done.audience} would get {path} {form}: {done.decision.reason}"
    verb = "gets" if done.changed else "was given already and gets"
    return f"{done.audience} {verb} {path} {form}: {done.decision.reason}"


def _unshared(done: Unshared, path: str) -> list[str]:
    lines = [f"{path} is not shared with {each} any more." for each in done.removed]
    return lines + [f"{path} is kept from {each}, which its kind is shared with by itself." for each in done.opted_out]
