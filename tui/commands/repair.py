"""``bailiwick repair``: mend the remote from what this device has."""

from __future__ import annotations

import click

from core.sync_model import Repair
from tui.commands.nouns import answer
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import syncing, watched


@click.command()
@common_options
@pass_invocation
@click.pass_context
def repair(context: click.Context, invocation: Invocation) -> None:
    """Verify the remote and put back what this device has; nothing whole is overwritten, and it can be run again.

    Exits 1 when something is left that another device has to mend.
    """
    with syncing(invocation, "repair") as workspace:
        done = watched(workspace, lambda sync, report: sync.repair(report.advance))
    answer(invocation, done, repair_lines(done))
    context.exit(1 if done.left else 0)


def repair_lines(done: Repair) -> list[str]:
    """What was mended, and what is left for another device."""
    lines = [f"mended  {each.kind.value.replace('_', ' '):12} {each.key}" for each in done.mended]
    for each in done.left:
        lines += [f"LEFT    {each.kind.value.replace('_', ' '):12} {each.key}", f"  {each.reason}", f"  → {each.cure}"]
    if not done.mended and not done.left:
        return ["There is nothing to mend: the remote is whole."]
    return [*lines, f"{len(done.mended):,} mended, {len(done.left):,} left."]
