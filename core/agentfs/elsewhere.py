"""Agents that live on another device of the user: what they are called here, and that they act there alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from core.errors import InvalidInput


def require_here(row: sqlite3.Row) -> None:
    """Raise InvalidInput when the agent of this row lives on another device: it acts there alone."""
    if row["device"]:
        where = row["device_name"] or "another device"
        raise InvalidInput(f"{row['name']} lives on {where}: it acts there.", "Register an agent of your own here.")


def name_elsewhere(connection: sqlite3.Connection, row: sqlite3.Row | Mapping[str, str], *, taken: bool = False) -> str:
    """How an agent of another device is called here: by its own name where that is free, else with its device's.

    ``row`` holds its ``id``, ``home_name`` and ``device_name``; ``taken`` says that the name alone is another's.
    """
    device = row["device_name"] or "elsewhere"
    names = [row["home_name"], f"{row['home_name']}@{device}", f"{row['home_name']}@{device}-{row['id'][-6:]}"]
    for name in names[int(taken) :]:
        other = connection.execute(
            "SELECT 1 FROM agents WHERE name = ? AND id <> ? AND admission <> 'retired'", (name, row["id"])
        ).fetchone()
        if other is None:
            return str(name)
    return f"{row['home_name']}@{row['id']}"
