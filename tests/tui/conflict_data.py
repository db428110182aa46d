"""Conflicts of every kind in a workspace: a log that two people wrote, states that agents changed, and a deletion."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from agent_data import NOW

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore, Side, conflict_id
from core.ids import sha256_hex
from core.model import JSONValue, Kind, Sensitivity

PIER = "p1er0000000000000000000000"
PERSON = Actor(ActorKind.PERSON, "ada", "dashboard")
HARBOUR = "notes/harbour.md"
PLAN = "notes/plan.json"
OLD = "notes/old.md"
TIDES = "notes/tides.md"
BASE_LOG = """# Harbour log

The harbour opens at six in the morning.
Boats have to be tied up by ten in the evening.

## Tides

High water is at noon.
Low water is at six.
The pilot waits at the outer buoy.

## Cranes

Crane one lifts four tons.
Crane two lifts nine tons.
Crane three is being repaired.

## Rules

Speed is limited to five knots.
Nets are dried on the south pier.
Dogs are kept on a lead.
Fires are not allowed.
"""
LOCAL_LOG = (
    BASE_LOG.replace("at six in the morning", "at five in the morning")
    .replace("High water is at noon.", "High water is at a quarter past noon.")
    .replace("Crane three is being repaired.", "Crane three lifts two tons again.")
    .replace("Dogs are kept on a lead.\n", "Dogs are kept on a lead.\nBicycles are pushed.\n")
)
REMOTE_LOG = (
    BASE_LOG.replace("at six in the morning", "at half past six in the morning")
    .replace("High water is at noon.", "High water is at noon, as the table says.\nThe table hangs in the office.")
    .replace("Crane three is being repaired.\n", "")
    .replace("five knots", "four knots")
    .replace("Dogs are kept on a lead.\n", "Dogs are kept on a lead.\nHorses wait outside.\n")
)
BASE_PLAN: JSONValue = {
    "title": "Spring",
    "budget": 1200,
    "owner": {"name": "ada", "room": 4},
    "tasks": [
        {"id": 41, "status": "open", "what": "paint the crane"},
        {"id": 42, "status": "open", "what": "mend the nets"},
        {"id": 43, "status": "done", "what": "count the buoys"},
    ],
    "tags": ["harbour", "spring"],
}
LOCAL_PLAN: JSONValue = {
    "title": "Spring",
    "budget": 1500,
    "owner": {"name": "ada", "room": 7},
    "tasks": [
        {"id": 41, "status": "done", "what": "paint the crane"},
        {"id": 42, "status": "blocked", "what": "mend the nets", "by": "scout"},
    ],
    "tags": ["harbour", "spring", "boats"],
}
REMOTE_PLAN: JSONValue = {
    "title": "Spring",
    "budget": "1400 after tax",
    "owner": {"name": "ada", "room": 4},
    "tasks": [
        {"id": 41, "status": "open", "what": "paint the crane"},
        {"id": 42, "status": "done", "what": "mend the nets"},
        {"id": 43, "status": "done", "what": "count the buoys again"},
    ],
    "tags": ["harbour", "spring", "paint"],
}


def bytes_of(value: JSONValue) -> bytes:
    """JSON as a file has it."""
    return (json.dumps(value, indent=2) + "\n").encode()


def side(content: bytes | None, who: str, device: str, at: datetime) -> Side:
    """One version."""
    version = sha256_hex(content)[:16] if content is not None else None
    return Side(version, content, {"kind": Kind.RESEARCH_FINDING.value}, who, device, at)


def put_conflict(
    agentfs: AgentFS,
    path: str,
    base: bytes | None,
    local: bytes | None,
    remote: bytes | None,
    *,
    at: datetime = NOW,
    reserved: str = "",
    who: tuple[str, str] = ("scout", "mara"),
    outcome: Outcome | None = None,
    found: Sensitivity = Sensitivity.NONE,
) -> str:
    """A conflict between this device and another, with the remote version at its path; its id."""
    before = side(base, "ada", agentfs.device, at - timedelta(hours=5)) if base is not None else None
    record = ConflictRecord(
        conflict_id(path, before.version if before is not None else None),
        path,
        Kind.RESEARCH_FINDING,
        ConflictStatus.OPEN if outcome is None else ConflictStatus.RESOLVED,
        before,
        side(local, who[0], agentfs.device, at - timedelta(minutes=22)),
        side(remote, who[1], PIER, at - timedelta(minutes=9)),
        at,
        at,
        reserved=reserved,
        outcome=outcome,
    )
    with agentfs.database.transaction() as connection:
        if remote is not None:
            write = ItemWrite(path, Kind.RESEARCH_FINDING, "ada", remote, found=found)
            agentfs.items.put(connection, write, by=PERSON, action="item.put")
        ConflictStore(agentfs).put_within(
            connection, record, owner="ada", found=found, by=PERSON, action="conflict.open"
        )
    return record.id


def fill_conflicts(agentfs: AgentFS, at: datetime = NOW) -> dict[str, str]:
    """Every kind of conflict, by what it is about: ids by path."""
    name_pier(agentfs)
    ids = {
        HARBOUR: put_conflict(
            agentfs, HARBOUR, BASE_LOG.encode(), LOCAL_LOG.encode(), REMOTE_LOG.encode(), at=at - timedelta(hours=2)
        ),
        PLAN: put_conflict(
            agentfs,
            PLAN,
            bytes_of(BASE_PLAN),
            bytes_of(LOCAL_PLAN),
            bytes_of(REMOTE_PLAN),
            at=at - timedelta(minutes=40),
            reserved="critical data",
        ),
        OLD: put_conflict(
            agentfs, OLD, b"An old note.\nWith two lines.\n", None, b"An old note.\nWith three lines.\nOr so.\n",
            at=at - timedelta(minutes=5),
        ),
    }  # fmt: skip
    merged = b"High at noon.\nLow at six.\n"
    ids[TIDES] = put_conflict(
        agentfs,
        TIDES,
        b"High at noon.\n",
        b"High at noon.\n",
        merged,
        at=at - timedelta(days=1),
        outcome=Outcome(
            RuledBy.SUPERVISOR,
            Took.REMOTE,
            "notes/** is mara's by responsibility, and nothing of local is lost.",
            "mara",
            PIER,
            at - timedelta(hours=20),
            result=sha256_hex(merged),
            before=sha256_hex(merged),
        ),
    )
    return ids


def name_pier(agentfs: AgentFS) -> None:
    """The other device has a name."""
    with agentfs.database.transaction() as connection:
        connection.execute("INSERT INTO sync_devices (device, name, user) VALUES (?, 'pier', 'mara')", (PIER,))


def hunks(count: int, gap: int = 4) -> tuple[bytes, bytes, bytes]:
    """A text with ``count`` places that both sides changed, ``gap`` equal lines between them."""

    def text(word: str) -> Iterable[str]:
        for number in range(count):
            yield f"Berth {number} is {word} today.\n"
            yield from (f"Line {line} behind berth {number}.\n" for line in range(gap))

    base, local, remote = ("".join(text(word)).encode() for word in ("free", "taken by a trawler", "closed"))
    return base, local, remote
