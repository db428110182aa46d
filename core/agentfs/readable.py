"""Texts that stay readable on the disk: names must hold no secret, remarks lose theirs."""

from __future__ import annotations

from core.errors import InvalidInput
from core.model import JSONValue


def check_readable(told: JSONValue, what: str) -> None:
    """Raise InvalidInput when a name, key or title, or several, hold a secret; ``what`` begins the sentence."""
    if not told:
        return
    from core.privacy import classification

    holds = classification.holds_secret(told) if isinstance(told, str) else classification.holds_secret_in(told)
    if holds:
        raise InvalidInput(
            f"{what} holds a secret, and names are never sealed; nothing was written.", "Put it into the content."
        )


def without_secrets(remark: str) -> str:
    """A reason, note or error sentence as it may be kept."""
    if not remark:
        return remark
    from core.privacy import scrub_thoroughly

    return scrub_thoroughly(remark)
