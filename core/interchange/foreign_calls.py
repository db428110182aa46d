"""Rows of a foreign ``tool_calls`` as calls of ours: contents become hashes, and each call keeps one identity."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from core.agent_model import ToolCall
from core.agentfs.database import from_text, to_json
from core.agentfs.readable import without_secrets
from core.agentfs.sessions import IMPORTED, check_tool
from core.errors import InvalidInput
from core.ids import sha256_hex, stable_id
from core.interchange.agentfs_reading import ForeignCall
from core.interchange.foreign_tables import Cell, Row, valid_text

LONGEST_ERROR = 4096
_LATEST = 253_402_300_799.0
_LONGEST_DURATION = 2**53
_ID = re.compile(r"[0-9a-z]{16,26}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FAILED = "failed"


def read_call(foreign: ForeignCall, noted: Mapping[Cell, Row]) -> ToolCall:
    """``foreign`` as a call of no agent's yet, with what we ``noted`` of it.

    Its id is the one that we noted, else follows from where it stands, its tool, its start and its parameters: the same
    call has the same id wherever it is imported. Raises InvalidInput, saying why it cannot be a call of ours.
    """
    check_tool(foreign.name)
    if not 0 <= foreign.started_at <= _LATEST or not 0 <= (foreign.completed_at or 0) <= _LATEST:
        raise InvalidInput("Its times are none in Unix seconds.")
    started = datetime.fromtimestamp(foreign.started_at, UTC)
    completed = datetime.fromtimestamp(foreign.completed_at, UTC) if foreign.completed_at is not None else None
    error = without_secrets(valid_text(foreign.error or ""))[:LONGEST_ERROR] or (_FAILED if foreign.failed else "")
    parameters = _hash(foreign.parameters)
    fingerprint = to_json((foreign.id, foreign.name, foreign.started_at, parameters))
    call = ToolCall(
        id=stable_id("agentfs.call", fingerprint),
        agent_id="",
        session_id=None,
        tool=without_secrets(foreign.name),
        started_at=started,
        completed_at=completed,
        duration_ms=_duration(foreign, started, completed),
        error=error,
        parameters_sha256=parameters,
        result_sha256=_hash(foreign.result),
        door=IMPORTED,
    )
    row = noted.get(foreign.id)
    return _with_noted(call, row) if row is not None else call


def of_agent(call: ToolCall, agent_id: str, *, id_is_anothers: bool) -> ToolCall:
    """``call`` as the agent's, under an id of its own where that is another agent's here."""
    call_id = stable_id("agentfs.call", agent_id, call.id) if id_is_anothers else call.id
    return replace(call, agent_id=agent_id, id=call_id)


def _with_noted(call: ToolCall, row: Row) -> ToolCall:
    """The call with the id, the finer times and the hashes that we wrote beside it, where they are of this call."""
    identifier, started_text, completed_text, duration, parameters, result = row
    started, completed = _noted_moment(started_text), _noted_moment(completed_text)
    if (
        not isinstance(identifier, str)
        or not _ID.fullmatch(identifier)
        or not _is_same_second(started, call.started_at)
    ):
        return call
    assert started is not None
    finer = replace(
        call, id=identifier, started_at=started, parameters_sha256=call.parameters_sha256 or _noted_hash(parameters)
    )
    if _is_same_second(completed, call.completed_at):
        finer = replace(
            finer,
            completed_at=completed,
            duration_ms=duration if isinstance(duration, int) else call.duration_ms,
            result_sha256=call.result_sha256 or _noted_hash(result),
        )
    return finer


def _is_same_second(noted: datetime | None, moment: datetime | None) -> bool:
    if noted is None or moment is None:
        return False
    return int(noted.timestamp()) == int(moment.timestamp())


def _duration(foreign: ForeignCall, started: datetime, completed: datetime | None) -> int | None:
    if completed is None:
        return None
    if foreign.duration_ms is not None and 0 <= foreign.duration_ms <= _LONGEST_DURATION:
        return round(foreign.duration_ms)
    return max(0, round((completed - started).total_seconds() * 1000))


def _hash(text: str | None) -> str | None:
    """The hash of a JSON text in canonical form, so that two programs' ways of writing one value give the same."""
    if text is None:
        return None
    try:
        canonical = to_json(json.loads(text))
        return sha256_hex(canonical.encode())
    except (ValueError, RecursionError):
        return sha256_hex(text.encode("utf-8", "surrogateescape"))


def _noted_moment(cell: Cell) -> datetime | None:
    try:
        moment = from_text(cell) if isinstance(cell, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _noted_hash(cell: Cell) -> str | None:
    return cell if isinstance(cell, str) and _SHA256.fullmatch(cell) else None
