"""The two legs of a search over every partition of the corpus, each merged into one ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.index.partition import Partition
from core.index.rows import PassageRow
from core.index.term_counts import together
from core.model import Filters
from core.search.planner import ExactPath, SearchPlanner, VectorRequest


class Place(NamedTuple):
    """Where a passage is: slots of different partitions mean different passages."""

    partition: int
    slot: int


@dataclass(frozen=True, slots=True)
class Leg:
    """Places with their similarity or score, best first; ``candidates`` rows were ranked to find them."""

    found: Sequence[tuple[Place, float]] = ()
    candidates: int = 0
    path: str = ""
    note: str = ""


def vector_leg(partitions: Sequence[Partition], request: VectorRequest) -> Leg:
    """The nearest passages of all partitions by their cosine similarity."""
    rankings, candidates, paths = [], 0, []
    for partition in partitions:
        path = SearchPlanner([ExactPath(partition.index)]).choose(request)
        ranking = path.rank(request)
        rankings.append(ranking.slots)
        candidates += ranking.candidates
        paths.append(path.name)
    return Leg(_merged(rankings, request.limit), candidates, " + ".join(dict.fromkeys(paths)))


def text_leg(partitions: Sequence[Partition], text: str, filters: Filters, limit: int) -> Leg:
    """The best passages of all partitions by words, scored as if they lay in one index."""
    among = together([each.words.term_counts(text) for each in partitions]) if len(partitions) > 1 else None
    rankings, note = [], ""
    for partition in partitions:
        allowed = partition.index.matching_document_ids(filters) if filters.where else None
        found, note = partition.words.search(text, filters, allowed, limit, among=among)
        rankings.append(found)
    merged = _merged(rankings, limit)
    return Leg(merged, len(merged), note=note)


def rows_at(partitions: Sequence[Partition], places: Sequence[Place]) -> dict[Place, PassageRow]:
    """Those of ``places`` that still exist."""
    rows = {}
    for number, partition in enumerate(partitions):
        slots = [place.slot for place in places if place.partition == number]
        rows.update({Place(number, slot): row for slot, row in partition.index.passages_by_slot(slots).items()})
    return rows


def _merged(rankings: Sequence[Sequence[tuple[int, float]]], limit: int) -> list[tuple[Place, float]]:
    merged = [(Place(number, slot), score) for number, ranking in enumerate(rankings) for slot, score in ranking]
    if len(rankings) > 1:
        merged.sort(key=lambda pair: -pair[1])
    return merged[:limit]
