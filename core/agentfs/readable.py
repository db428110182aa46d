"""Texts that stay readable on the disk: names must hold no secret, remarks lose theirs."""

from __future__ import annotations

from core.errors import InvalidInput


def check_readable(text: str, what: str) -> None:
    """Raise InvalidInput when a name, key or title holds a secret; ``what`` begins the sentence."""
    from core.privacy import classification

    if next(classification.secrets(text), None) is not None:
        raise InvalidInput(
            f"{what} holds a secret, and names are never sealed; nothing was written.", "Put it into the content."
        )


def without_secrets(remark: str) -> str:
    """A reason, note or error sentence as it may be kept."""
    if not remark:
        return remark
    from core.privacy import scrub

    return scrub(remark)
