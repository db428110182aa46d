"""What agents are allowed: how many at once, how long without a sign of life, how much state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentPolicy:
    """``max_agents`` may work at once; one that gave no sign for ``idle_seconds`` counts as inactive.

    ``value_bytes`` bound one state value, ``state_bytes`` all of an agent's together, as canonical JSON.
    """

    max_agents: int = 8
    idle_seconds: int = 120
    value_bytes: int = 1024 * 1024
    state_bytes: int = 64 * 1024 * 1024
