"""A settled conflict as it was settled: with the choices that gave the result which holds, as far as they are known."""

from __future__ import annotations

from core.conflicts.arbitration import Arbitration, digest
from core.conflicts.merging.decisions import Choice
from core.errors import InvalidInput

_SIDES = (Choice.LOCAL, Choice.REMOTE, Choice.BASE)


def as_settled(fresh: Arbitration, drafted: Arbitration) -> Arbitration:
    """Of what rules chose, what was ``drafted`` and each whole side that which gives the result; else ``fresh``. Pure.

    What was chosen place by place on another device is not known on this one.
    """
    everywhere = range(len(fresh.decisions))
    candidates = (fresh, drafted, *(fresh.choose(everywhere, side) for side in _SIDES))
    return next((each for each in candidates if gives_outcome(each)), fresh)


def gives_outcome(arbitration: Arbitration) -> bool:
    """Whether the result that is shown is the one that holds by the ruling. Pure."""
    if arbitration.outcome is None or arbitration.open:
        return False
    try:
        return digest(arbitration.result()) == arbitration.outcome.result
    except InvalidInput:
        return False
