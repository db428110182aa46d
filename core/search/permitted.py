"""The answer to an agent: without what it may not read, and with as many hits all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.model import Answer, Hit
from core.search.query import MAX_LIMIT, Query

_MORE = 4


def permitted_answer(agentfs: AgentFS, ask: Callable[[Query], Answer], query: Query, by: Actor) -> Answer:
    """The answer to ``query`` with the hits that ``by`` may read; ``ask`` is asked for more where some are left out.

    A note says how many were left out before the last hit that is shown.
    """
    allowed: dict[str, bool] = {}
    asked = query
    while True:
        answer = ask(asked)
        permitted, left_out = _sorted_out(agentfs, answer.hits, query.limit, by, allowed)
        if len(permitted) == query.limit or len(answer.hits) < asked.limit or asked.limit >= MAX_LIMIT:
            break
        asked = replace(query, limit=min(MAX_LIMIT, asked.limit * _MORE))
    return replace(answer, hits=permitted, notes=(*answer.notes, *_note(left_out)))


def _sorted_out(
    agentfs: AgentFS, hits: tuple[Hit, ...], limit: int, by: Actor, allowed: dict[str, bool]
) -> tuple[tuple[Hit, ...], int]:
    """The first ``limit`` hits that may be read, and how many before the last of them may not."""
    permitted: list[Hit] = []
    left_out = 0
    for hit in hits:
        if hit.document_id not in allowed:
            item = agentfs.items.get(hit.document_id)
            allowed[hit.document_id] = item is not None and agentfs.permissions.may_read(by, item)
        if not allowed[hit.document_id]:
            left_out += 1
            continue
        permitted.append(hit)
        if len(permitted) == limit:
            break
    return tuple(permitted), left_out


def _note(left_out: int) -> tuple[str, ...]:
    if not left_out:
        return ()
    return ("1 hit was left out: private." if left_out == 1 else f"{left_out:,} hits were left out: private.",)
