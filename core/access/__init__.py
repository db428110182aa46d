"""Access: whether a user or an agent may read or write an item, and the reason. Pure functions and frozen values."""

from __future__ import annotations

from core.access.check import AccessDecision, Asker, check_access

__all__ = ["AccessDecision", "Asker", "check_access"]
