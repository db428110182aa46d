"""Opens a workspace's truth alone, without index, model or watcher: for doors that must answer at once."""

from __future__ import annotations

from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy
from core.config import Settings
from core.hardware.limits import calculate_optimal_limits
from core.hardware.profile import detect_hardware_capabilities
from core.model import ResourceLimits


def open_agentfs(root: Path, settings: Settings) -> AgentFS:
    """The AgentFS at ``root``, made if need be, under the policy every other door has; raises WorkspaceUnusable."""
    return AgentFS(root, agent_policy(settings, calculate_optimal_limits(detect_hardware_capabilities())))


def agent_policy(settings: Settings, limits: ResourceLimits) -> AgentPolicy:
    """What agents are allowed: as the settings say, and where they leave it open, as the hardware does."""
    chosen = settings.agents
    return AgentPolicy(
        max_agents=chosen.max_concurrent or limits.max_concurrent_agents,
        idle_seconds=chosen.idle_seconds,
        value_bytes=chosen.value_kb * 1024,
        state_bytes=chosen.state_mb * 1024 * 1024,
    )
