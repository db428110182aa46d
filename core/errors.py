"""The errors a person may see: one sentence that says what is wrong, one hint that says what to do."""

from __future__ import annotations


class BailiwickError(Exception):
    """Base of every error that is meant for the user.

    ``message`` is one sentence; ``hint`` names the next action and may be empty.
    ``exit_code`` is what the command line ends with (design: 2 bad input, 3 cannot reach).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(BailiwickError):
    """What was asked for cannot be done as it was said."""


class NotFound(InvalidInput):
    """A named thing does not exist."""


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


class ModelUnavailable(BailiwickError):
    """No usable embedding model; search goes on by words."""
