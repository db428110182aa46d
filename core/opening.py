"""Opens a workspace's truth alone, without index, model or watcher: for doors that must answer at once."""

from __future__ import annotations

import logging
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_json
from core.agentfs.guard import PrivacySettings, privacy_settings
from core.agentfs.policy import AgentPolicy
from core.cache.bounds import CacheBounds, bounds_of
from core.config import Settings
from core.hardware.limits import calculate_optimal_limits
from core.hardware.profile import detect_hardware_capabilities
from core.ids import sha256_hex
from core.intake.spool import spool_waits
from core.model import JSONValue, ResourceLimits

CONFIGURATION = "configuration.seen"
INTAKE_SECONDS = 0.5
_log = logging.getLogger(__name__)


def open_agentfs(root: Path, settings: Settings, acting: Actor | None = None) -> AgentFS:
    """The AgentFS at ``root``, made if need be, under the policy every other door has; raises WorkspaceUnusable."""
    policy = agent_policy(settings, calculate_optimal_limits(detect_hardware_capabilities()))
    return AgentFS(root, policy, acting, privacy_of(root, settings))


def take_in_waiting(agentfs: AgentFS, settings: Settings) -> None:
    """Take in what agents' hooks left while no engine runs, as far as half a second goes; what cannot be, waits on."""
    if agentfs.engine_lock.is_taken() or not spool_waits(agentfs.root):
        return
    # Imported here: mostly nothing waits.
    from core.intake.taking_in import Intake

    try:
        Intake(agentfs, settings.conflicts).take_in(INTAKE_SECONDS)
    except Exception:  # noqa: BLE001 - whatever a hook left, the command that was asked for goes on
        _log.warning("what agents' hooks told waits on", exc_info=True)


def note_configuration(agentfs: AgentFS, settings: Settings) -> None:
    """Leave an audit record of the settings that are not what they were when the workspace was last opened so."""
    present: dict[str, JSONValue] = {key: sha256_hex(to_json(value).encode()) for key, value in settings.flat().items()}
    remembered = agentfs.settings.get(CONFIGURATION)
    known = remembered if isinstance(remembered, dict) else {}
    changed: dict[str, JSONValue] = {key: digest for key, digest in present.items() if known.get(key) != digest}
    if changed:
        agentfs.audit.record(agentfs.acting, "configuration.change", "settings", {"value_sha256": changed})
        agentfs.settings.put(CONFIGURATION, present)


def privacy_of(root: Path, settings: Settings) -> PrivacySettings:
    """How the workspace at ``root`` guards what it holds, as the settings and the files of the boundaries say."""
    return privacy_settings(
        root,
        seal_all=settings.encryption.scope == "all",
        user=settings.user.id,
        teams=settings.teams,
        phone_region=settings.user.phone_region,
    )


def require_rules(root: Path, settings: Settings) -> None:
    """Raise ConfigurationError, naming the line, where the boundaries of the workspace at ``root`` cannot be read."""
    from core.privacy import load_rules

    load_rules(privacy_of(root, settings).rule_files)


def cache_bounds(settings: Settings, limits: ResourceLimits) -> CacheBounds:
    """How much each tier of the cache may hold, as the settings and the hardware's limits say."""
    given = settings.cache
    return bounds_of(limits, memory_mb=given.memory_mb, recent_mb=given.recent_mb, files_mb=given.files_mb)


def agent_policy(settings: Settings, limits: ResourceLimits) -> AgentPolicy:
    """What agents are allowed: as the settings say, and where they leave it open, as the hardware does."""
    chosen = settings.agents
    return AgentPolicy(
        max_agents=chosen.max_concurrent or limits.max_concurrent_agents,
        idle_seconds=chosen.idle_seconds,
        value_bytes=chosen.value_kb * 1024,
        state_bytes=chosen.state_mb * 1024 * 1024,
    )
