"""``bailiwick remove``: stop watching, take documents away."""

from __future__ import annotations

import click

from core.engine import Duties
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation


@click.command()
@click.argument("target", metavar="PATH|LIBRARY[@VERSION]")
@common_options
@pass_invocation
def remove(invocation: Invocation, target: str) -> None:
    """Stop watching a path, or take a library (one version of it) away, with its documents."""
    with opened(invocation, "bailiwick remove", Duties.SEARCH, or_viewer=True, must_exist=True) as workspace:
        removal = workspace.remove(target)
        if workspace.is_engine:
            workspace.wait_until_searchable()
        names = ", ".join(removal.names)
        invocation.answer(
            {"removed": removal.names, "documents": removal.documents},
            [f"Removed {names}: {removal.documents:,} documents."],
        )
