"""Under whose leases the files lie that a tool is about to change: told by its hook, which alone sees the paths."""

from __future__ import annotations

import os
import sqlite3
import time

from core.intake.handover import NotReadable, connected

MOST_LEASES = 16
_LEASES = """
SELECT l.id, l.resource, l.agent_id FROM leases l
WHERE l.ended_at IS NULL AND l.expires_at > ? AND l.resource NOT LIKE 'resource:%' ORDER BY l.acquired_at LIMIT 500
"""
_PROJECTS = "SELECT project_sha256 FROM hook_agents WHERE agent_id = ?"


def leases_over(workspace: str, files: list[str], folder: str, project_sha256: str) -> list[str]:
    """The ids of the leases in force under which one of ``files`` lies, whoever holds them.

    What is leased by a relative path lies in the holder's own project, where that is known. Raises NotReadable.
    """
    try:
        connection = connected(workspace)
        try:
            return _over(connection, files, folder, project_sha256)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise NotReadable(f"the leases could not be read ({type(error).__name__})") from None


def _over(connection: sqlite3.Connection, files: list[str], folder: str, project_sha256: str) -> list[str]:
    present = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    rows = connection.execute(_LEASES, (present,)).fetchall()
    if not rows:
        return []
    # Imported here: mostly nothing is leased.
    from core.agentfs.globs import overlap

    below = folder.rstrip(os.sep) + os.sep
    inside = [each.removeprefix(below) for each in files if each.startswith(below)]
    found: list[str] = []
    for row in rows:
        is_absolute = row["resource"].startswith("/")
        if not any(overlap(row["resource"], each) for each in (files if is_absolute else inside)):
            continue
        projects = {each[0] for each in connection.execute(_PROJECTS, (row["agent_id"],))}
        if is_absolute or not projects or project_sha256 in projects:
            found.append(str(row["id"]))
    return found[:MOST_LEASES]
