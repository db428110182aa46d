"""Reciprocal-rank fusion: one order out of several, without comparing their scores.

Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning
methods", SIGIR 2009. They use a constant of 60; on documentation of Python packages a smaller one finds more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

RANK_CONSTANT = 10
VECTOR_WEIGHT = 0.7
TEXT_WEIGHT = 1.0
Found = TypeVar("Found", bound=Hashable)


def fuse(legs: Sequence[Sequence[Found]], weights: Sequence[float]) -> list[tuple[Found, float]]:
    """Order what all ``legs`` found (each best first, without repeats) by the sum of weight / (10 + rank).

    Scores are scaled so that what leads every leg has 1; equal scores keep the order of the earlier leg.
    """
    best = sum(weight / (RANK_CONSTANT + 1) for weight in weights)
    scores: dict[Found, float] = {}
    for leg, weight in zip(legs, weights, strict=True):
        for rank, found in enumerate(leg, start=1):
            scores[found] = scores.get(found, 0.0) + weight / (RANK_CONSTANT + rank)
    return sorted(((found, score / best) for found, score in scores.items()), key=lambda pair: -pair[1])
