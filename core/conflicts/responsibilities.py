"""Which of two agents decides: by what they declared responsible for, then by their types, then by explicit policy.

A pattern applies to an object where it can name the same path as one of the object's names (``agentfs.globs``). Of two
patterns that apply, one is more specific when it is, in this order: a name without wildcards and the other is not; made
of more parts without wildcards; of more letters that stand for themselves; of fewer ``**``; of fewer other wildcards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.agentfs.globs import ANY_DEPTH, ANY_LETTERS, normalised, overlap, tokens

Specificity = tuple[bool, int, int, int, int]
"""What a pattern says by itself; a greater one is more specific."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """An agent that made one side of a conflict, with what it declared."""

    id: str
    name: str
    type: str
    responsibilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whose side is taken, and why, in a sentence."""

    winner: str
    why: str


def specificity(pattern: str) -> Specificity:
    """How specific a pattern is, as told above. Pure."""
    parts = normalised(pattern).strip("/").split("/")
    letters = deep = other = plain = 0
    for part in parts:
        if part == ANY_DEPTH:
            deep += 1
            continue
        wild = [each for each in tokens(part) if each in (ANY_LETTERS, "?")]
        other += len(wild)
        plain += not wild
        letters += len(tokens(part)) - len(wild)
    return not deep and not other, plain, letters, -deep, -other


def responsible_by(names: Iterable[str], claimant: Claimant) -> str | None:
    """The most specific of its patterns that applies to an object of these names; ``None`` where none does."""
    return _most_specific(names, claimant.responsibilities)


def responsible_alone(names: Sequence[str], one: Claimant, other: Claimant) -> Ruling | None:
    """The ruling where one of both, and not the other, declared that it is responsible. Pure."""
    patterns = {each.id: responsible_by(names, each) for each in (one, other)}
    if one.id == other.id or (patterns[one.id] is None) == (patterns[other.id] is None):
        return None
    winner, loser = (one, other) if patterns[other.id] is None else (other, one)
    return Ruling(winner.id, f"{winner.name} is responsible for {patterns[winner.id]}, and {loser.name} is not.")


def decide(
    names: Sequence[str],
    one: Claimant,
    other: Claimant,
    *,
    ranks: Sequence[str],
    policy: Sequence[tuple[str, str]],
) -> Ruling | None:
    """The ruling between two agents over an object of these names; ``None`` where nothing decides.

    ``ranks`` are types of agents, the one with most say first; one that is not in it has less say than those that are.
    ``policy`` are patterns, each with the name or the type of an agent: the most specific that applies and means one of
    both alone decides. Pure; it makes no difference which agent is named first.
    """
    if one.id == other.id:
        return None
    return (
        responsible_alone(names, one, other)
        or _by_specificity(names, one, other)
        or _by_rank(one, other, ranks)
        or _by_policy(names, one, other, policy)
    )


def _by_specificity(names: Sequence[str], one: Claimant, other: Claimant) -> Ruling | None:
    first, second = responsible_by(names, one), responsible_by(names, other)
    if first is None or second is None or specificity(first) == specificity(second):
        return None
    winner, pattern, loser, less = one, first, other, second
    if specificity(first) < specificity(second):
        winner, pattern, loser, less = other, second, one, first
    return Ruling(
        winner.id,
        f"{winner.name} is responsible for {pattern}, which is more specific than {less} of {loser.name}.",
    )


def _by_rank(one: Claimant, other: Claimant, ranks: Sequence[str]) -> Ruling | None:
    places = {each.id: ranks.index(each.type) if each.type in ranks else len(ranks) for each in (one, other)}
    if places[one.id] == places[other.id]:
        return None
    winner, loser = (one, other) if places[one.id] < places[other.id] else (other, one)
    return Ruling(
        winner.id,
        f"Neither is more responsible for it, and {winner.name} ({winner.type}) has more say than"
        f" {loser.name} ({loser.type}).",
    )


def _by_policy(
    names: Sequence[str], one: Claimant, other: Claimant, policy: Sequence[tuple[str, str]]
) -> Ruling | None:
    applies = [rule for rule in policy if _most_specific(names, [rule[0]]) is not None]
    # Of equally specific rules the one that is written first.
    for pattern, name in sorted(applies, key=lambda rule: specificity(rule[0]), reverse=True):
        meant = [each for each in (one, other) if name in (each.name, each.type)]
        if len(meant) == 1:
            return Ruling(meant[0].id, f"The policy says so: {pattern}={name}.")
    return None


def _most_specific(names: Iterable[str], patterns: Iterable[str]) -> str | None:
    names = list(names)
    found = [pattern for pattern in patterns if any(overlap(pattern, name) for name in names)]
    return max(found, key=lambda pattern: (specificity(pattern), normalised(pattern), pattern), default=None)
