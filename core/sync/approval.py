"""Joining by approval: a new device shows a code, and on another device of the user it is typed.

The code is the secret that both sides prove to each other: who can write to the remote can neither slip in a device
of his own nor have a new one join his keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.agentfs.agentfs import AgentFS
from core.crypto.secret import Secret
from core.remote.store import ObjectStore


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A device that asks to join; its name and user are what it says of itself, until its code fits."""

    id: str
    device_name: str
    user: str
    asked_at: datetime


def ask_to_join(agentfs: AgentFS, store: ObjectStore, *, device_name: str) -> Secret:
    """Put a request into the remote; the answer is the code to show, which is kept nowhere in the remote."""
    raise NotImplementedError


def join_requests(store: ObjectStore) -> list[JoinRequest]:
    """The requests that wait, oldest first; those that cannot be read are left out."""
    raise NotImplementedError


def approve(agentfs: AgentFS, store: ObjectStore, code: Secret) -> JoinRequest:
    """Give the keys of this workspace to the device that shows ``code``.

    Raises NotFound when no request fits the code, Locked, and what the store raises.
    """
    raise NotImplementedError
