"""The errors a person may see: one sentence that says what is wrong, one hint that says what to do."""

from __future__ import annotations

from collections.abc import Mapping


class BailiwickError(Exception):
    """Base of every error that is meant for the user.

    ``message`` is one sentence; ``hint`` names the next action and may be empty.
    ``exit_code`` is what the command line ends with (design: 2 bad input, 3 cannot reach).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "", facts: Mapping[str, object] | None = None) -> None:
        """``facts`` are what a program needs to go on, as JSON values: the current version after a lost race, say."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = dict(facts or {})

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(BailiwickError):
    """What was asked for cannot be done as it was said."""


class NotFound(InvalidInput):
    """A named thing does not exist."""


class StateConflict(InvalidInput):
    """A compare-and-set write lost the race; ``facts`` hold the current ``value`` and ``version``."""


class LeaseHeld(InvalidInput):
    """Another agent holds what was asked for; ``facts`` hold ``holder``, ``seconds_left`` and ``next``."""


class NotAdmitted(InvalidInput):
    """The agent waits in line for a place; ``facts`` hold its ``place``."""


class QuotaExceeded(InvalidInput):
    """The value or the agent's values together would be larger than allowed; nothing was written."""


class ConfigurationError(InvalidInput):
    """A settings file or variable holds something unusable."""


class WorkspaceUnusable(BailiwickError):
    """The workspace folder cannot be opened: read-only, newer version, damaged."""


class StorageFull(BailiwickError):
    """The disk, or a quota on it, is full; nothing of the refused write was kept."""


class Unreachable(BailiwickError):
    """Something outside this process that is needed does not answer or is taken."""

    exit_code = 3


class EngineHeld(Unreachable):
    """Another process holds ``engine.lock`` of this workspace."""


class EngineGone(Unreachable):
    """The engine that was asked ended, and no other has taken its place."""


class RemoteUnreachable(Unreachable):
    """The remote did not answer in time or is out of order; nobody knows what became of a write that was under way."""


class RemoteRefused(Unreachable):
    """The remote answered that it will not do it: credentials, rights, region, clock, no such bucket."""


class ObjectMissing(NotFound):
    """There is no object under that key in the remote."""


class ObjectTooLarge(InvalidInput):
    """An object of the remote is larger than anything of ours can be; it was not read."""


class ModelUnavailable(BailiwickError):
    """No usable embedding model; search goes on by words."""


class AccessDenied(InvalidInput):
    """Who asks may not have it; ``facts`` hold the ``reason`` and the ``rule`` that said so."""


class Locked(BailiwickError):
    """The keys that this needs are locked in this process; ``hint`` says how to unlock them."""


class WrongKey(InvalidInput):
    """A passphrase, code or key that fits nothing here, or something sealed to keys that are not held here."""


class SealBroken(BailiwickError):
    """Something sealed was changed, cut off or put in another's place, or never was what it claims to be."""
