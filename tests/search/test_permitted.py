"""What an agent is told of a search."""

from __future__ import annotations

from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.model import Answer, Hit, Kind, Level, Matched, SearchMode
from core.search.permitted import permitted_answer
from core.search.query import Query

PERSON = Actor(ActorKind.PERSON, "ada", "cli")


def hit(document_id: str, score: float, vector_rank: int | None, text_rank: int | None) -> Hit:
    return Hit(
        id=f"{document_id}:0",
        document_id=document_id,
        ordinal=0,
        title="",
        text="",
        score=score,
        language="",
        library="",
        version="",
        matched=Matched(),
        document_title="",
        source="",
        line=1,
        vector_rank=vector_rank,
        text_rank=text_rank,
    )


def test_ranks_scores_numbers_and_notes_tell_of_what_may_be_read_alone(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path / "w")
    scout = Actor(ActorKind.AGENT, agentfs.agents.register("scout", "research", owner="ada", by=PERSON).agent.id)
    with agentfs.database.transaction() as connection:
        ids = {
            name: agentfs.items.put(
                connection, ItemWrite(f"{folder}/{name}.md", Kind.DOCUMENT, "ada", name.encode(), level=Level.PUBLIC)
            ).item_id
            for name, folder in (("diary", "personal_notes"), ("lamp", "docs"), ("kettle", "docs"))
        }

    def answer(hits: tuple[Hit, ...], path: str, candidates: int, notes: tuple[str, ...]) -> Answer:
        return Answer("x", SearchMode.HYBRID, hits, path, candidates, 1.5, notes, notes[1:])

    diary, lamp, kettle = hit(ids["diary"], 0.9, 1, 1), hit(ids["lamp"], 0.8, 3, 2), hit(ids["kettle"], 0.7, 2, None)
    with_diary = answer((diary, lamp, kettle), "exact", 7, ("By words.", "1 private document is locked."))
    told = permitted_answer(agentfs, lambda _: with_diary, Query("x"), scout)
    without = answer((hit(ids["lamp"], 0.1, 2, 1), hit(ids["kettle"], 0.1, 1, None)), "exact", 2, ("By words.",))
    assert told == permitted_answer(agentfs, lambda _: without, Query("x"), scout)
    assert [(each.document_id, each.vector_rank, each.text_rank) for each in told.hits] == [
        (ids["lamp"], 2, 1),
        (ids["kettle"], 1, None),
    ]
    assert (told.candidates, told.notes, told.telling) == (2, ("By words.",), ())
    nothing = permitted_answer(agentfs, lambda _: answer((diary,), "exact", 1, ()), Query("x"), scout)
    assert nothing == permitted_answer(agentfs, lambda _: answer((), "none", 0, ()), Query("x"), scout)
    agentfs.close()
