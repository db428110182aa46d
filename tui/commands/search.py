"""``bailiwick search``: the same search as the dashboard's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict

import click

from core.engine import Duties
from core.errors import EngineGone
from core.model import Answer, Filters, Hit, SearchMode
from core.search.query import Query, parse_where
from tui.commands.acting import Acting, acting_options
from tui.commands.nouns import Opened
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation

ATTEMPTS = 5
CATCH_UP_SECONDS = 2.0


@click.command()
@click.argument("query")
@click.option("-n", "--limit", type=int, default=None, metavar="N", help="How many hits.")
@click.option("--language", default="", metavar="L")
@click.option("--library", default="", metavar="L")
@click.option("--version", default="", metavar="V", help="A version that is not here is answered by the nearest.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Any key of a document's metadata.")
@click.option("--mode", type=click.Choice([mode.value for mode in SearchMode]), default=None)
@click.option("--explain", is_flag=True, help="Say how each hit was found.")
@acting_options(session=False)
@common_options
@pass_invocation
def search(
    invocation: Invocation,
    query: str,
    limit: int | None,
    language: str,
    library: str,
    version: str,
    where: tuple[str, ...],
    mode: str | None,
    explain: bool,
    acting: Acting,
) -> None:
    """Search the documents by meaning and by words; an agent that asks gets no hits that are private."""
    filters = Filters(language, library, version, parse_where(where))

    def ask() -> Answer:
        with opened(
            invocation, "bailiwick search", Duties.SEARCH, or_viewer=True, must_exist=True, by_rules=True
        ) as workspace:
            asked = Query(
                text=query,
                filters=filters,
                mode=SearchMode(mode or workspace.config.search.mode),
                limit=limit if limit is not None else workspace.config.search.limit,
            )
            # Another's index may be at work for hours, but what was read a moment ago is in it within this time.
            deadline = math.inf if workspace.is_engine else time.monotonic() + CATCH_UP_SECONDS
            workspace.wait_until_searchable(lambda: time.monotonic() > deadline)
            by = acting.actor(Opened(workspace.agentfs, workspace.config))
            answer = workspace.search(asked, by=by, wait_for_model=True)
            workspace.record_search(answer, by=by)
            return answer

    answer = _persistently(ask)
    for note in answer.notes:
        invocation.say(note)
    invocation.answer(_document(answer, explain=explain), _lines(answer, explain=explain))


def _persistently(ask: Callable[[], Answer]) -> Answer:
    """Ask anew where the engine was another command, which ended just now."""
    for _ in range(ATTEMPTS - 1):
        try:
            return ask()
        except EngineGone:
            continue
    return ask()


def _document(answer: Answer, *, explain: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "hits": [_hit(hit, explain=explain) for hit in answer.hits],
        "path": answer.path,
        "milliseconds": answer.milliseconds,
        "candidates": answer.candidates,
        "notes": list(answer.notes),
    }
    return document


def _hit(hit: Hit, *, explain: bool) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": hit.id,
        "title": hit.title,
        "text": hit.text,
        "score": hit.score,
        "language": hit.language,
        "library": hit.library,
        "version": hit.version,
        "matched": asdict(hit.matched),
        "source": hit.source,
        "line": hit.line,
    }
    if explain:
        shown["similarity"] = hit.similarity
        shown["vector_rank"] = hit.vector_rank
        shown["text_rank"] = hit.text_rank
    return shown


def _lines(answer: Answer, *, explain: bool) -> list[str]:
    if not answer.hits:
        return ["Nothing was found."]
    lines = []
    for number, hit in enumerate(answer.hits, start=1):
        where = " ".join(part for part in (hit.library, hit.version) if part)
        lines.append(f"{number:2}. {hit.title}  [{where}]  {hit.score:.3f}  {hit.id}")
        first = " ".join(hit.text.split())
        lines.append("    " + (first[:147] + "…" if len(first) > 148 else first))
        if explain:
            lines.append(f"    {explanation(hit)}")
    lines.append(f"path {answer.path} · {answer.candidates:,} candidates · {answer.milliseconds:.1f} ms")
    return lines


def explanation(hit: Hit) -> str:
    """How a hit was found, in words."""
    vector = f"vector rank {hit.vector_rank} (cosine {hit.similarity:.3f})" if hit.vector_rank else "not by vector"
    words = f"word rank {hit.text_rank}" if hit.text_rank else "not by words"
    return f"{vector}, {words}, from {hit.source}:{hit.line}"
