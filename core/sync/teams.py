"""Who is in a team, as its user said: each member was added by hand, from a card the person got from that member.

The cards are items of the user, so they travel to the user's own devices alone, sealed. Nothing that lies in the
remote makes anybody a member.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS


@dataclass(frozen=True, slots=True)
class MemberCard:
    """A user as others need to know him: what is sealed to him, and whose signatures are his; nothing is secret.

    ``recipient`` is an age recipient, ``signing_key`` a user's Ed25519 public key in hexadecimal.
    """

    user: str
    recipient: str
    signing_key: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a team; ``fingerprint`` is what two people compare aloud."""

    team: str
    card: MemberCard
    fingerprint: str
    added_at: datetime
    is_self: bool


class Teams:
    """The teams of this workspace's user. Safe from any thread."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def card(self) -> str:
        """The user's own card as one line to give to others. Raises Locked, and makes the keys where there are none."""
        raise NotImplementedError

    def add(self, team: str, card: str, *, by: Actor) -> Member:
        """Make the holder of ``card``, a line from ``card``, a member.

        Raises InvalidInput when it is no whole card, or the user is a member with another card.
        """
        raise NotImplementedError

    def remove(self, team: str, user: str, *, by: Actor) -> Member:
        """Seal nothing more to a member, and trust his signatures no more; raises NotFound."""
        raise NotImplementedError

    def members(self, team: str = "") -> list[Member]:
        """The members of one team, or of all."""
        raise NotImplementedError

    def recipients(self, team: str) -> list[str]:
        """The age recipients of a team, the user's own among them. Raises Locked."""
        raise NotImplementedError
