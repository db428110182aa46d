"""``bailiwick libraries``: what can be searched."""

from __future__ import annotations

from dataclasses import asdict

import click

from core.ids import stable_id
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation


@click.command()
@common_options
@pass_invocation
def libraries(invocation: Invocation) -> None:
    """List every library version with its documents and passages."""
    with opened(invocation, "bailiwick libraries", must_exist=True) as workspace:
        found = workspace.libraries()
    document = {
        "libraries": [{"id": stable_id(each.language, each.library, each.version), **asdict(each)} for each in found]
    }
    lines = [f"{'LANGUAGE':12} {'LIBRARY':28} {'VERSION':14} {'DOCUMENTS':>9} {'PASSAGES':>9}"]
    lines += [
        f"{each.language or '–':12} {each.library or '–':28} {each.version or '–':14}"
        f" {each.documents:>9,} {each.passages:>9,}"
        for each in found
    ]
    invocation.answer(document, lines if found else ["Nothing has been added yet: `bailiwick add PATH` begins."])
