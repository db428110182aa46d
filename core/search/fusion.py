"""Reciprocal-rank fusion: one order out of several, without comparing their scores.

Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning
methods", SIGIR 2009. They use a constant of 60; on documentation of Python packages a smaller one finds more.
"""

from __future__ import annotations

from collections.abc import Sequence

RANK_CONSTANT = 10


def fuse(legs: Sequence[Sequence[int]], weights: Sequence[float]) -> list[tuple[int, float]]:
    """Order the slots of all ``legs`` (each best first, without repeats) by the sum of weight / (10 + rank).

    Scores are scaled so that a slot that leads every leg has 1; equal scores keep the order of the earlier leg.
    """
    best = sum(weight / (RANK_CONSTANT + 1) for weight in weights)
    scores: dict[int, float] = {}
    for leg, weight in zip(legs, weights, strict=True):
        for rank, slot in enumerate(leg, start=1):
            scores[slot] = scores.get(slot, 0.0) + weight / (RANK_CONSTANT + rank)
    return sorted(((slot, score / best) for slot, score in scores.items()), key=lambda pair: -pair[1])
