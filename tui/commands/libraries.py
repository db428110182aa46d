"""``bailiwick libraries``: what can be searched, and what the remote holds."""

from __future__ import annotations

from dataclasses import asdict

import click

from core.ids import stable_id
from tui.amounts import size_text
from tui.commands.nouns import answer, table
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation


@click.command()
@click.option("--remote", is_flag=True, help="Those that the remote holds, as of the last sync.")
@common_options
@pass_invocation
def libraries(invocation: Invocation, remote: bool) -> None:
    """List every library version with its documents and passages."""
    if remote:
        _remote(invocation)
        return
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


def _remote(invocation: Invocation) -> None:
    with opened(invocation, "bailiwick libraries", must_exist=True) as workspace:
        found = workspace.sync.libraries()
    document = {
        "libraries": [{"id": stable_id(each.language, each.library, each.version), **asdict(each)} for each in found]
    }
    rows = [
        (
            each.language,
            each.library,
            each.version,
            each.published_by,
            size_text(each.size_bytes),
            "here" if each.here else f"`bailiwick pull {each.library}@{each.version}`",
        )
        for each in found
    ]
    nothing = "The remote holds no library, as of the last sync: `bailiwick push LIBRARY` publishes one."
    answer(invocation, document, table(("LANGUAGE", "LIBRARY", "VERSION", "BY", "SIZE", ""), rows, nothing))
