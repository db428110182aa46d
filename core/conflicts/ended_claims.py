"""Claim conflicts whose question time has answered: the lease ended, or nobody wants it any more."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, translated
from core.conflicts.claims import Claims, Standing, read_claim
from core.conflicts.merging.forms import CLAIM
from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import IS_CONFLICT, ConflictRecord, ConflictStatus, ConflictStore, read_record, ruled
from core.errors import BailiwickError
from core.ids import sha256_hex
from core.model import Item

_OPEN = (
    f"SELECT id FROM items WHERE {IS_CONFLICT}"  # noqa: S608 - our own constant
    " AND metadata->>'object_kind' = ? AND metadata->>'status' = ?"
)


def settle_ended(agentfs: AgentFS) -> int:
    """Resolve them, each with the reason; returns how many. The engine calls it now and then."""
    with translated(agentfs.database.path):
        rows = agentfs.database.connection().execute(_OPEN, (CLAIM, ConflictStatus.OPEN.value)).fetchall()
    count = 0
    for row in rows:
        # One that is sealed and locked, or damaged, keeps no other waiting.
        with suppress(BailiwickError):
            if _ended(agentfs, agentfs.database.connection(), row["id"]) is not None:
                with agentfs.database.transaction() as connection:
                    count += _settle(agentfs, connection, row["id"])
    return count


def _ended(agentfs: AgentFS, connection: sqlite3.Connection, item_id: str) -> tuple[Item, ConflictRecord] | None:
    """The conflict, ruled on by what became of the claims; ``None`` where somebody has to rule still."""
    item = agentfs.items.get(item_id)
    if item is None or item.deleted:
        return None
    record = read_record(agentfs.items.content(item))
    if record.status is not ConflictStatus.OPEN or record.local.device != agentfs.device:
        return None
    standing = Claims(agentfs).standing_within(connection, record.path)
    why = _why(connection, record, standing)
    if not why:
        return None
    result = sha256_hex(standing.claim.content) if standing is not None else None
    local, remote = (sha256_hex(each.content) if each.content else None for each in (record.local, record.remote))
    took = Took.BASE if standing is None else Took.REMOTE
    outcome = Outcome(
        RuledBy.AUTOMATIC, took, why, item.owner, agentfs.device, now(), None, local, remote, result, before=result
    )
    return item, ruled(record, outcome)


def _settle(agentfs: AgentFS, connection: sqlite3.Connection, item_id: str) -> bool:
    ended = _ended(agentfs, connection, item_id)
    if ended is not None:
        item, record = ended
        engine, action = agentfs.agents.engine, "conflict.rule"
        ConflictStore(agentfs).put_within(
            connection, record, owner=item.owner, found=item.sensitive, by=engine, action=action
        )
    return ended is not None


def _why(connection: sqlite3.Connection, record: ConflictRecord, standing: Standing | None) -> str:
    """Why nobody has to rule any more; empty where somebody has."""
    claims = [read_claim(each.content) for each in record.sides if each.content is not None]
    holder, base = read_claim(record.remote.content or b""), record.base.version if record.base is not None else None
    was_ruled = record.outcome is not None or bool(record.overruled)
    # After a ruling that does not hold any more, the question is who of them has what stands by it.
    stands = standing is not None and (
        standing.claim.agent in {each.agent for each in claims} if was_ruled else standing.base == base
    )
    if standing is None or not stands:
        if holder.file:
            return "None of the agents goes on with it."
        return f"The lease of {holder.name} has ended: {_ended_because(connection, record)}."
    wanting = {each.agent for each in claims} - {standing.claim.agent}
    rows = connection.execute(
        "SELECT 1 FROM agents WHERE admission <> 'retired' AND id IN (SELECT value FROM json_each(?)) LIMIT 1",
        (json.dumps(sorted(wanting)),),
    )
    return "" if rows.fetchone() is not None else "Who else wanted it was retired."


def _ended_because(connection: sqlite3.Connection, record: ConflictRecord) -> str:
    row = connection.execute(
        "SELECT ended_because FROM leases WHERE id = ?", (record.base.version if record.base is not None else "",)
    ).fetchone()
    return str(row["ended_because"]) if row is not None and row["ended_because"] else "expired"
