"""What has passed the one door: bytes that may leave, with the decision that let them."""

from __future__ import annotations

from dataclasses import dataclass

from core.privacy.decision import Audience, Decision, Purpose


@dataclass(frozen=True, slots=True)
class Cleared:
    """The only thing a remote takes. It is made by ``core.disclosure.release`` alone, which a test proves.

    ``data`` is what leaves: the content itself, redacted, or sealed, as ``decision.action`` says.
    """

    item_id: str
    audience: Audience
    purpose: Purpose
    decision: Decision
    data: bytes
