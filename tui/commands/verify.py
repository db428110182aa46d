"""``bailiwick verify``: whether everything in the remote is there, and is what it was."""

from __future__ import annotations

import click

from core.sync_model import Verification
from tui.amounts import counted, operations_text, size_text
from tui.commands.nouns import answer
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import syncing, watched

QUICK = 0.02


@click.command()
@click.option("--quick", is_flag=True, help="Look that every content is there, but read only a fiftieth of them.")
@common_options
@pass_invocation
@click.pass_context
def verify(context: click.Context, invocation: Invocation, quick: bool) -> None:
    """Name every damaged, missing, rolled-back or foreign object of the remote. Exits 1 when there is one.

    The whole log and all contents are read, which costs a class B operation for each.
    """
    with syncing(invocation, "verify") as workspace:
        found = watched(
            workspace,
            lambda sync, report: sync.verify(report.advance, sample=QUICK) if quick else sync.verify(report.advance),
        )
    lines = verification_lines(found)
    if quick:
        lines.append("Only a fiftieth of the contents was read; without --quick all of them are.")
    answer(invocation, found, lines)
    context.exit(1 if found.damages else 0)


def verification_lines(found: Verification) -> list[str]:
    """What was found, each with the command that mends it, and what was looked at."""
    lines = []
    for each in found.damages:
        lines += [f"{each.kind.value.replace('_', ' '):12} {each.key}", f"  {each.reason}", f"  → {each.cure}"]
    read = f"{counted(found.commits, 'commit')} and {counted(found.objects, 'object')} were looked at, "
    read += f"{size_text(found.bytes_read)} read; {operations_text(found.operations)} operations."
    if found.unnamed:
        size = size_text(found.unnamed_bytes)
        lines.append(
            f"{counted(found.unnamed, 'object')} of {size} {'is' if found.unnamed == 1 else 'are'} named by nothing any"
            " more: the engine announces that in the log, and deletes them when sync.grace_hours are over."
        )
    count = len(found.damages)
    said = f"{counted(count, 'thing is', 'things are')} not right." if count else "The remote is whole."
    return [*lines, f"{said} {read}"]
