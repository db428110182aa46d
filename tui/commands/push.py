"""``bailiwick push``: publish a library."""

from __future__ import annotations

import click

from tui.amounts import counted
from tui.commands.nouns import answer
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import syncing, watched


@click.command()
@click.argument("library", metavar="LIBRARY[@VERSION]")
@common_options
@pass_invocation
def push(invocation: Invocation, library: str) -> None:
    """Publish LIBRARY[@VERSION], with its vectors, to everybody who can read the remote.

    That shares its documents with everybody; where one of them may not leave, nothing is published.
    """
    with syncing(invocation, "push") as workspace:
        pushed = watched(workspace, lambda sync, _: sync.push(library))
    name = pushed.name
    document = {
        "language": name.language,
        "library": name.library,
        "version": name.version,
        "path": name.prefix,
        "documents": pushed.documents,
        "vectors": pushed.vectors,
        "files": pushed.files,
        "changed": pushed.changed,
    }
    vectors = "with its vectors" if pushed.vectors else "without vectors: not all of it is embedded yet"
    said = f"{name.library} {name.version}: {counted(pushed.documents, 'document')}, {vectors}, at {name.prefix}"
    lines = [f"Published {said}" if pushed.changed else f"Published already, as it is: {said}"]
    answer(invocation, document, lines)
