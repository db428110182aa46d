"""Who may see an item and how it lies, in words."""

from __future__ import annotations

from typing import Protocol

from core.model import Level, Sensitivity

WHY = {
    Sensitivity.SECRET: "a secret was found in it",
    Sensitivity.PATTERN: "a private pattern catches its path",
}


class Guarded(Protocol):
    """What items, states, their entries and messages have in common."""

    @property
    def level(self) -> Level: ...

    @property
    def sensitive(self) -> Sensitivity: ...

    @property
    def sealed(self) -> bool: ...


def level_words(guarded: Guarded) -> str:
    """``private``; ``private, sealed: a secret was found in it``; ``team, not looked at yet``."""
    why = WHY.get(guarded.sensitive, "")
    return f"{short_level(guarded)}{f': {why}' if why else ''}"


def short_level(guarded: Guarded) -> str:
    """As ``level_words``, without the reason."""
    words = [guarded.level.value]
    if guarded.sealed:
        words.append("sealed")
    elif guarded.sensitive in WHY:
        words.append("sensitive and not sealed")
    if guarded.sensitive is Sensitivity.UNKNOWN:
        words.append("not looked at yet")
    return ", ".join(words)
