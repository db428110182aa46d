"""What becomes of one path when the remote moved: a pure function of three versions, without clocks.

``None`` is no content. Rules after Unison's: equal sides need nothing, one changed side wins, an edit wins over a
deletion, and two different edits are a conflict in which nothing is lost.
"""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """What to do with a path."""

    NOTHING = "nothing"
    """Both sides are equal: only the base moves."""
    TAKE = "take"
    """Only the remote changed: its version replaces the local one."""
    DROP = "drop"
    """Only the remote changed, by deleting it."""
    KEEP = "keep"
    """The remote deleted what was edited here: the edit stays and goes up again."""
    REVIVE = "revive"
    """What was deleted here was edited elsewhere: the edit comes back."""
    CONFLICT = "conflict"
    """Both changed it differently."""


def step_for(local: str | None, base: str | None, remote: str | None) -> Step:
    """What to do with a path that is ``local`` here, was ``base`` when both sides agreed, and is now ``remote``."""
    if local == remote:
        return Step.NOTHING
    if local == base:
        return Step.DROP if remote is None else Step.TAKE
    if remote == base:
        return Step.KEEP
    if local is None:
        return Step.REVIVE
    if remote is None:
        return Step.KEEP
    return Step.CONFLICT
