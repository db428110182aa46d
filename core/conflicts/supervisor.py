"""What the supervisor has to know of a conflict: which agents made its sides, and by which names it is anybody's."""

from __future__ import annotations

import json
import sqlite3

from core.agent_model import PERSON_TYPE
from core.conflicts.merging.forms import CLAIM
from core.conflicts.objects import state_place
from core.conflicts.records import Side
from core.conflicts.responsibilities import Claimant, specificity

_COLUMNS = "id, name, type, capabilities"


def claimant_of(connection: sqlite3.Connection, kind: str, side: Side, agent_id: str = "") -> Claimant | None:
    """The agent that made a side: ``agent_id``, else the one whose claim it is, else the one of that name.

    ``None`` where it was the person, or an agent that is not known here.
    """
    agent_id = agent_id or (_claimed(side, "agent") if kind == CLAIM else "")
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM agents WHERE type <> ? AND (id = ? OR (? = '' AND name = ?))"  # noqa: S608 - ours
        " AND (id = ? OR admission <> 'retired')",
        (PERSON_TYPE, agent_id, agent_id, side.who, agent_id),
    ).fetchone()
    if row is None:
        return None
    declared = json.loads(row["capabilities"] or "{}").get("responsibilities", [])
    patterns = tuple(each for each in declared if isinstance(each, str)) if isinstance(declared, list) else ()
    return Claimant(row["id"], row["name"], row["type"], patterns)


def names_of(connection: sqlite3.Connection, path: str, kind: str, local: Side, remote: Side) -> tuple[str, ...]:
    """By which names agents may have declared themselves responsible for the object.

    Of two claims it is the more specific resource, for that is what they are at odds about. A state has its key too.
    """
    if kind == CLAIM:
        resources = [resource for side in (local, remote) if (resource := _claimed(side, "resource"))]
        return (max(resources, key=lambda each: (specificity(each), each)),) if resources else ()
    place = state_place(path)
    if place is None:
        return (path,)
    row = connection.execute("SELECT name FROM agents WHERE id = ?", (place[0],)).fetchone()
    named = (f"agents/{row['name']}/state/{place[1]}",) if row is not None else ()
    return (path, *named, place[1])


def _claimed(side: Side, name: str) -> str:
    """What a claim says of ``name``, its agent or its resource; empty where it is none."""
    try:
        told = json.loads(side.content or b"")
    except ValueError:
        return ""
    value = told.get(name) if isinstance(told, dict) else None
    return value if isinstance(value, str) else ""
