"""One conflict as a value: both versions whole, what they began with, and the ruling; and its form as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.agentfs.database import from_text, to_json, to_text
from core.conflicts.merging.forms import CLAIM
from core.conflicts.outcomes import Outcome, outcome_json, read_outcome
from core.errors import InvalidInput
from core.ids import sha256_hex, stable_id
from core.model import JSONObject, JSONValue

FORMAT = 1
FOLDER = "conflicts"
IS_CONFLICT = "kind = 'decision' AND deleted = 0 AND path >= 'conflicts/' AND path < 'conflicts0'"
"""Which rows of ``items`` are records of conflicts."""


class ConflictStatus(StrEnum):
    """Whether somebody has to rule still."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Side:
    """One version of the object. ``version`` is ``None`` where it was deleted, and there is no content then.

    ``content`` is ``None`` too where it is not at hand, which happens to a base. ``header`` is what travelled with it.
    ``who`` changed it on ``device``, at a moment that decides nothing.
    """

    version: str | None
    content: bytes | None = None
    header: JSONObject | None = None
    who: str = ""
    device: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A supervisor agent was asked for a ruling, and has ``until`` then to give it."""

    agent: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ConflictRecord:
    """One conflict. ``base`` is what both sides began with, ``None`` where there was nothing.

    ``local`` is what was set aside, ``remote`` what stood at the object when the conflict was found. ``others`` are
    further versions of the same object that were made of the same base. ``outcome`` says how it was resolved, ``None``
    while it is open; ``reserved`` why nobody but the person decides, empty where no rule did. ``kind`` is the item's,
    ``agent``, or ``claim``. ``round`` counts how often it was opened again: a later round holds against an earlier one
    on every device. An open record of a later round keeps the ``outcome`` that it was opened against. ``overruled`` are
    rulings that do not hold: of earlier rounds, or made elsewhere at the same time.
    """

    id: str
    path: str
    kind: str
    status: ConflictStatus
    base: Side | None
    local: Side
    remote: Side
    opened_at: datetime
    updated_at: datetime
    others: tuple[Side, ...] = ()
    outcome: Outcome | None = None
    reserved: str = ""
    asked: Asked | None = None
    round: int = 0
    overruled: tuple[Outcome, ...] = ()

    @property
    def sides(self) -> tuple[Side, ...]:
        """Every version but the base."""
        return (self.local, self.remote, *self.others)

    @property
    def item_path(self) -> str:
        """Where the record itself lies."""
        return f"{FOLDER}/{self.id}"


def conflict_id(path: str, base_version: str | None) -> str:
    """The id that a conflict about ``path`` over that base has on every device."""
    return stable_id("conflict", path, base_version or "")


def write_record(record: ConflictRecord) -> bytes:
    """The record as canonical JSON."""
    told: dict[str, JSONValue] = {
        "v": FORMAT,
        "id": record.id,
        "path": record.path,
        "kind": record.kind,
        "status": record.status.value,
        "base": told_side(record.base) if record.base is not None else None,
        "local": told_side(record.local),
        "remote": told_side(record.remote),
        "opened_at": to_text(record.opened_at),
        "updated_at": to_text(record.updated_at),
    }
    if record.others:
        told["others"] = [told_side(each) for each in record.others]
    if record.outcome is not None:
        told["outcome"] = outcome_json(record.outcome)
    if record.reserved:
        told["reserved"] = record.reserved
    if record.round:
        told["round"] = record.round
    if record.overruled:
        told["overruled"] = [outcome_json(each) for each in record.overruled]
    if record.asked is not None:
        told["asked"] = {"agent": record.asked.agent, "until": to_text(record.asked.until)}
    return to_json(told).encode()


def read_record(data: bytes) -> ConflictRecord:
    """What ``write_record`` gave; raises InvalidInput for anything else."""
    try:
        told = json.loads(data)
        if told["v"] != FORMAT:
            raise InvalidInput("A newer version of Bailiwick has written this conflict.", "Update Bailiwick.")
        return ConflictRecord(
            id=_text(told["id"]),
            path=_text(told["path"]),
            kind=_text(told["kind"]),
            status=ConflictStatus(told["status"]),
            base=_side(told["base"]) if told["base"] is not None else None,
            local=_side(told["local"]),
            remote=_side(told["remote"]),
            opened_at=from_text(told["opened_at"]),
            updated_at=from_text(told["updated_at"]),
            others=tuple(_side(each) for each in told.get("others", [])),
            outcome=read_outcome(told["outcome"]) if told.get("outcome") else None,
            reserved=_text(told.get("reserved", "")),
            round=_count(told.get("round", 0)),
            overruled=tuple(read_outcome(each) for each in told.get("overruled", [])),
            asked=Asked(_text(told["asked"]["agent"]), from_text(told["asked"]["until"])) if "asked" in told else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInput(f"This is no record of a conflict ({type(error).__name__}).") from None


def metadata_of(record: ConflictRecord, *, seals: bool = False) -> dict[str, JSONValue]:
    """What can be told of the record without opening it; where it ``seals``, no hashes that content is guessed from."""
    outcome = record.outcome
    if outcome is not None and seals:
        outcome = replace(outcome, base=None, local=None, remote=None, result=None, before=None)
    told: dict[str, JSONValue] = {
        "id": record.id,
        "object": record.path,
        "object_kind": record.kind,
        "status": record.status.value,
        "opened_at": to_text(record.opened_at),
        "updated_at": to_text(record.updated_at),
        "sides": {"local": _whose(record.local), "remote": _whose(record.remote)},
        "reserved": record.reserved,
        "outcome": outcome_json(outcome) if outcome is not None else None,
        "contested": bool(record.overruled),
        "asked": {"agent": record.asked.agent, "until": to_text(record.asked.until)} if record.asked else None,
    }
    if record.kind == CLAIM:
        told["agents"] = [*dict.fromkeys(_claimants(record))]
    return told


def _claimants(record: ConflictRecord) -> Iterable[str]:
    """The ids of the agents that claim something."""
    for side in record.sides:
        try:
            told = json.loads(side.content or b"null")
        except ValueError:
            continue
        if isinstance(told, dict) and isinstance(told.get("agent"), str):
            yield told["agent"]


def _whose(side: Side) -> JSONValue:
    at = to_text(side.at) if side.at is not None else None
    return {"who": side.who, "device": side.device, "at": at, "deleted": side.version is None}


def told_side(side: Side) -> JSONValue:
    told: dict[str, JSONValue] = {"version": side.version}
    if side.content is not None:
        told["sha256"] = sha256_hex(side.content)
        try:
            told["content"] = side.content.decode("utf-8")
        except UnicodeDecodeError:
            told["content_base64"] = base64.b64encode(side.content).decode("ascii")
    if side.header is not None:
        told["header"] = dict(side.header)
    if side.who:
        told["who"] = side.who
    if side.device:
        told["device"] = side.device
    if side.at is not None:
        told["at"] = to_text(side.at)
    return told


def _side(told: Any) -> Side:
    version = told["version"]
    content: bytes | None = None
    if "content" in told:
        content = _text(told["content"]).encode()
    elif "content_base64" in told:
        content = base64.b64decode(told["content_base64"], validate=True)
    if content is not None and sha256_hex(content) != told["sha256"]:
        raise ValueError("another content")
    header = told.get("header")
    return Side(
        _text(version) if version is not None else None,
        content,
        dict(header) if header is not None else None,
        _text(told.get("who", "")),
        _text(told.get("device", "")),
        from_text(told["at"]) if "at" in told else None,
    )


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
