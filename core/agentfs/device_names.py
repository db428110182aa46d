"""How the user's devices are called, as far as their cards were seen."""

from __future__ import annotations

from core.agentfs.database import Database, translated


def device_names(database: Database) -> dict[str, str]:
    """The names of devices by their ids; of those without a name nothing."""
    with translated(database.path):
        rows = database.connection().execute("SELECT device, name FROM sync_devices WHERE name <> ''").fetchall()
    return {row["device"]: row["name"] for row in rows}
