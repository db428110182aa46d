"""What this device knows of its areas: how far it is, what both sides agreed on, what waits to go up."""

from __future__ import annotations

from core.sync.base_tables import Base, BaseTables
from core.sync.device_tables import DeviceTables
from core.sync.log_tables import LogTables, Position
from core.sync.object_tables import ObjectTables
from core.sync.outbox_tables import OutboxTables, Pending

__all__ = ["Base", "Pending", "Position", "SyncTables"]


class SyncTables(LogTables, BaseTables, OutboxTables, ObjectTables, DeviceTables):
    """All tables of synchronising of one workspace."""
