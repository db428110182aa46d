"""``bailiwick pull``: bring a published library here."""

from __future__ import annotations

import click

from core.engine import Duties
from tui.amounts import counted
from tui.commands.nouns import answer
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.syncing import watched


@click.command()
@click.argument("library", metavar="LIBRARY[@VERSION]")
@click.option("--from", "url", default="", metavar="URL", help="From this public library instead, such as https://….")
@common_options
@pass_invocation
def pull(invocation: Invocation, library: str, url: str) -> None:
    """Bring LIBRARY[@VERSION] here from the remote, the newest version without one, and make it searchable.

    Its vectors come along, so that nothing has to be embedded again.
    """
    with opened(invocation, "bailiwick pull", Duties.WORK, or_viewer=True, by_rules=True) as workspace:
        pulled = watched(workspace, lambda sync, _: sync.pull(library, url))
        if workspace.is_engine:
            workspace.wait_until_idle()
    name = pulled.name
    document = {
        "language": name.language,
        "library": name.library,
        "version": name.version,
        "documents": pulled.documents,
        "vectors": pulled.vectors,
    }
    vectors = "with its vectors" if pulled.vectors else "without vectors, which are made here"
    said = f"{name.library} {name.version}: {counted(pulled.documents, 'document')}, {vectors}."
    answer(invocation, document, [said])
