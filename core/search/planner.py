"""Chooses the access path of the vector leg by size and filter; the choice is shown in every answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.index.documents import DocumentIndex
from core.index.vectors import Vector
from core.model import Filters


@dataclass(frozen=True, slots=True)
class VectorRequest:
    """What the vector leg is asked: the ``limit`` vectors of ``model_key`` nearest to ``vector`` under ``filters``."""

    vector: Vector
    model_key: str
    filters: Filters
    limit: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """Slots with their cosine similarity, best first; ``candidates`` rows were ranked to find them."""

    slots: Sequence[tuple[int, float]]
    candidates: int


class AccessPath(Protocol):
    """One way to rank passages by their vectors. Safe from any thread."""

    name: str

    def accepts(self, request: VectorRequest) -> bool:
        """Whether this path answers ``request`` well."""

    def rank(self, request: VectorRequest) -> Ranking:
        """The nearest passages."""


class ExactPath:
    """Ranks every row that matches the filter, in DuckDB: always right, linear in the rows."""

    name = "exact"

    def __init__(self, index: DocumentIndex) -> None:
        self._index = index

    def accepts(self, request: VectorRequest) -> bool:
        return True

    def rank(self, request: VectorRequest) -> Ranking:
        slots, candidates = self._index.rank_exact(request.vector, request.model_key, request.filters, request.limit)
        return Ranking(slots, candidates)


class SearchPlanner:
    """Holds the access paths, the preferred ones first; the last one accepts everything."""

    def __init__(self, paths: Sequence[AccessPath]) -> None:
        self._paths = paths

    def choose(self, request: VectorRequest) -> AccessPath:
        """The first path that accepts ``request``."""
        return next(path for path in self._paths if path.accepts(request))
