"""The answer to an agent: without what it may not read, and with as many hits all the same.

Nothing in it says that something was left out, neither numbers nor ranks nor what there is of a library: that would
tell which words the private documents hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.model import Answer, Hit, SearchMode
from core.search.fusion import TEXT_WEIGHT, VECTOR_WEIGHT, fuse
from core.search.query import MAX_LIMIT, Query

_MORE = 4


def permitted_answer(agentfs: AgentFS, ask: Callable[[Query], Answer], query: Query, by: Actor) -> Answer:
    """The answer to ``query`` with the hits that ``by`` may read; ``ask`` is asked for more where some are left out."""
    allowed: dict[str, bool] = {}
    asked = query
    while True:
        answer = ask(asked)
        permitted = _permitted(agentfs, answer.hits, by, allowed)[: query.limit]
        if len(permitted) == query.limit or len(answer.hits) < asked.limit or asked.limit >= MAX_LIMIT:
            return _silent(answer, permitted)
        asked = replace(query, limit=min(MAX_LIMIT, asked.limit * _MORE))


def _permitted(agentfs: AgentFS, hits: tuple[Hit, ...], by: Actor, allowed: dict[str, bool]) -> tuple[Hit, ...]:
    for hit in hits:
        if hit.document_id not in allowed:
            item = agentfs.items.get(hit.document_id)
            allowed[hit.document_id] = item is not None and agentfs.permissions.may_read(by, item)
    return tuple(hit for hit in hits if allowed[hit.document_id])


def _silent(answer: Answer, hits: tuple[Hit, ...]) -> Answer:
    """``answer`` as if ``hits`` were all that was found."""
    return replace(
        answer,
        hits=_ranked(hits, answer.mode),
        path=answer.path if hits else "none",
        candidates=len(hits),
        notes=tuple(note for note in answer.notes if note not in answer.telling),
        telling=(),
    )


def _ranked(hits: tuple[Hit, ...], mode: SearchMode) -> tuple[Hit, ...]:
    """``hits`` with their places among themselves, and in the order and with the scores that these give."""
    by_vector = sorted((hit for hit in hits if hit.vector_rank), key=lambda hit: hit.vector_rank or 0)
    by_text = sorted((hit for hit in hits if hit.text_rank), key=lambda hit: hit.text_rank or 0)
    legs, weights = [], []
    if by_vector:
        legs.append([hit.id for hit in by_vector])
        weights.append(VECTOR_WEIGHT)
    if mode is not SearchMode.VECTOR:
        legs.append([hit.id for hit in by_text])
        weights.append(TEXT_WEIGHT)
    known = {hit.id: hit for hit in hits}
    vector_ranks = {hit.id: rank for rank, hit in enumerate(by_vector, start=1)}
    text_ranks = {hit.id: rank for rank, hit in enumerate(by_text, start=1)}
    return tuple(
        replace(
            known[found],
            score=round(score, 6),
            vector_rank=vector_ranks.get(found),
            text_rank=text_ranks.get(found),
        )
        for found, score in fuse(legs, weights)
    )
