"""Where what arrives came from, and what it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.model import JSONObject


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation came from: the user whose device signed its commit, the device, and when (advisory)."""

    user: str
    device: str
    device_name: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FormerVersion:
    """The version that both sides of a conflict began with; ``content`` as ``opened`` gave it, where it is at hand."""

    version: str
    header: JSONObject | None = None
    content: bytes | None = None
