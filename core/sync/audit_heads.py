"""Audit trails that were cut off or rewritten: a device's own, beside the heads it showed, and those of the others."""

from __future__ import annotations

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.sync.devices import DEVICES
from core.sync.tables import SyncTables
from core.sync_model import Damage, DamageKind


def own_trail_problem(agentfs: AgentFS) -> str:
    """What is wrong with this device's trail beside what its commits said of it, empty where nothing is."""
    last, _ = agentfs.audit.head()
    with translated(agentfs.database.path):
        connection = agentfs.database.connection()
        cut = connection.execute(
            "SELECT max(position) AS position FROM sync_audit_heads WHERE device = ?", (agentfs.device,)
        ).fetchone()["position"]
        if cut is not None and cut > last:
            return f"its audit trail was cut off: it ends at record {last:,}, and a commit showed record {cut:,}"
        other = connection.execute(
            "SELECT min(h.position) AS position FROM sync_audit_heads h JOIN audit a ON a.position = h.position"
            " WHERE h.device = ? AND a.hash <> h.hash",
            (agentfs.device,),
        ).fetchone()["position"]
    if other is None:
        return ""
    return f"its audit trail was rewritten: record {other:,} is not the one that a commit showed"


def record_now(agentfs: AgentFS, tables: SyncTables, area: str) -> tuple[int, str] | None:
    """What the trail holds now where this device's last commit in ``area`` saw its end; ``None`` where nothing is."""
    position = tables.last_audit_position(agentfs.device, area)
    held = hash_at(agentfs, position)
    return (position, held) if held else None


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
    own = own_trail_problem(agentfs)
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
