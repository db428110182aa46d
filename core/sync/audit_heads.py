"""Audit trails that were cut off or rewritten: a device's own, beside the heads it showed, and those of the others."""

from __future__ import annotations

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.sync.devices import DEVICES
from core.sync.tables import SyncTables
from core.sync_model import Damage, DamageKind


def own_trail_problem(agentfs: AgentFS, tables: SyncTables) -> str:
    """What is wrong with this device's trail beside what its commits said of it, empty where nothing is."""
    position, _ = agentfs.audit.head()
    for head in tables.audit_heads(agentfs.device):
        if head.position > position:
            return (
                f"its audit trail was cut off: it ends at record {position:,},"
                f" and a commit showed record {head.position:,}"
            )
        if (held := hash_at(agentfs, head.position)) and held != head.hash:
            return f"its audit trail was rewritten: record {head.position:,} is not the one that a commit showed"
    return ""


def hash_at(agentfs: AgentFS, position: int) -> str:
    """The hash of a record of the trail, empty where it is not there, or archived among others."""
    if not position:
        return ""
    with translated(agentfs.database.path):
        row = (
            agentfs.database.connection()
            .execute(
                "SELECT hash FROM audit WHERE position = :at"
                " UNION ALL SELECT last_hash FROM audit_segments WHERE last = :at",
                {"at": position},
            )
            .fetchone()
        )
    return str(row["hash"]) if row is not None else ""


def audit_damages(agentfs: AgentFS, tables: SyncTables) -> list[Damage]:
    """Every device whose trail is known to have been cut off or rewritten."""
    problems = {device: (name, problem) for device, name, problem in tables.device_problems()}
    own = own_trail_problem(agentfs, tables)
    if own:
        problems[agentfs.device] = ("this device", own)
    return [
        Damage(
            DamageKind.AUDIT,
            f"{DEVICES}{device}",
            f"{name or device}: {problem}.",
            "bailiwick audit verify" if device == agentfs.device else f"bailiwick audit verify, on {name or device}",
        )
        for device, (name, problem) in sorted(problems.items())
    ]
