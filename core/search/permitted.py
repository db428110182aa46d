"""The answer to an agent: without what it may not read, and with as many hits all the same.

Nothing in it says that something was left out: the number would tell which words the private documents hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.model import Answer, Hit
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
            return replace(answer, hits=permitted)
        asked = replace(query, limit=min(MAX_LIMIT, asked.limit * _MORE))


def _permitted(agentfs: AgentFS, hits: tuple[Hit, ...], by: Actor, allowed: dict[str, bool]) -> tuple[Hit, ...]:
    for hit in hits:
        if hit.document_id not in allowed:
            item = agentfs.items.get(hit.document_id)
            allowed[hit.document_id] = item is not None and agentfs.permissions.may_read(by, item)
    return tuple(hit for hit in hits if allowed[hit.document_id])
