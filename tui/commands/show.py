"""``bailiwick show``: a document or one passage, from any process."""

from __future__ import annotations

import click

from core.library.catalogue import StoredDocument
from tui.commands.acting import Acting, acting_options
from tui.commands.nouns import Opened
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.levels import level_words


@click.command()
@click.argument("identifier", metavar="ID")
@acting_options(session=False)
@common_options
@pass_invocation
def show(invocation: Invocation, identifier: str, acting: Acting) -> None:
    """Show the document or the passage that ID names (the id of a hit, or a document's path)."""
    with opened(invocation, "bailiwick show", must_exist=True) as workspace:
        by = acting.actor(Opened(workspace.agentfs, workspace.config))
        stored = workspace.document(identifier, by=by)
    invocation.answer(_document(stored), _lines(stored))


def _document(stored: StoredDocument) -> dict[str, object]:
    content, item = stored.content, stored.item
    numbered = list(enumerate(content.passages))
    chosen = numbered if stored.ordinal is None else numbered[stored.ordinal : stored.ordinal + 1]
    return {
        "id": item.id,
        "path": item.path,
        "title": content.title,
        "language": content.language,
        "library": content.library,
        "version": content.version,
        "source": content.source,
        "level": item.level,
        "sensitive": item.sensitive,
        "sealed": item.sealed,
        "passages": [
            {
                "id": f"{item.id}:{ordinal}",
                "title": passage.title,
                "heading_path": list(passage.heading_path),
                "text": passage.text,
                "line": passage.line,
            }
            for ordinal, passage in chosen
        ],
    }


def _lines(stored: StoredDocument) -> list[str]:
    content = stored.content
    name = " ".join(part for part in (content.language, content.library, content.version) if part)
    lines = [f"{content.title}  [{name}]  {content.source}  ({level_words(stored.item)})", ""]
    chosen = content.passages if stored.ordinal is None else content.passages[stored.ordinal : stored.ordinal + 1]
    previous = ""
    for passage in chosen:
        if passage.title != previous:
            lines += [f"── {passage.title}  (line {passage.line})", ""]
            previous = passage.title
        lines += [passage.text, ""]
    return lines
