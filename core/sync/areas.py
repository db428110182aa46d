"""How what lies in an area is closed to others, and opened: the user's for the user's keys, a team's for its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.agentfs.agentfs import AgentFS
from core.crypto import sealing
from core.errors import InvalidInput, WrongKey
from core.sync_model import Area, AreaKind

Recipients = Callable[[str], Sequence[str]]
"""The age recipients of a team, the user's own among them."""


@dataclass(frozen=True, slots=True)
class AreaLocks:
    """Seals and opens log entries and content of one area. Safe from any thread; raises Locked.

    ``renew`` gets the keys that other devices made meanwhile, and answers whether there are any.
    """

    agentfs: AgentFS
    area: Area
    recipients: Recipients | None = None
    renew: Callable[[], bool] | None = None

    def close(self, data: bytes) -> bytes:
        """``data`` as they may lie in the area; raises InvalidInput for a team that has no members known here."""
        if self.area.kind is AreaKind.SHARED:
            return data
        keys = self.agentfs.keys.prepare()
        if self.area.kind is AreaKind.USER:
            return keys.seal_for_self(data)
        members = self.recipients(self.area.name) if self.recipients is not None else ()
        if not members:
            raise InvalidInput(
                f"Nobody is known here as a member of team {self.area.name}.",
                f"Add the members' cards: `bailiwick teams add {self.area.name} CARD`.",
            )
        return sealing.seal(data, sorted({keys.recipient, *members}))

    def open(self, data: bytes, name: str) -> bytes:
        """What ``close`` was given; raises Locked, WrongKey and SealBroken with ``name`` as the subject."""
        if self.area.kind is AreaKind.SHARED:
            return data
        try:
            return self.agentfs.keys.open(data, name)
        except WrongKey:
            if self.renew is None or not self.renew():
                raise
        return self.agentfs.keys.open(data, name)
