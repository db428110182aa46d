"""Conflicts as items: what was changed differently in two places, with both versions whole, and what they began with.

A conflict lies at ``conflicts/<id>`` and travels like everything else, so that it can be ruled on any device. There is
one for each object and base; what differs later of the same object is added to it.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_json, to_text, translated
from core.agentfs.items import ItemWrite, Written
from core.conflicts.forms import CLAIM
from core.conflicts.outcomes import Outcome, outcome_json, read_outcome
from core.errors import InvalidInput, NotFound
from core.ids import sha256_hex, stable_id
from core.model import JSONObject, JSONValue, Kind, Level, Sensitivity

FORMAT = 1
FOLDER = "conflicts"
_SOURCES = {Sensitivity.NONE: 0, Sensitivity.PATTERN: 1, Sensitivity.UNKNOWN: 2, Sensitivity.SECRET: 3}


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


@dataclass(frozen=True, slots=True)
class ConflictEntry:
    """What a list shows of a conflict without opening it; ``path`` is that of the object."""

    id: str
    path: str
    kind: str
    status: ConflictStatus
    opened_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Begun:
    """A conflict that was found: its record as it is to be, ``before`` as it was known, and why that is sensitive."""

    record: ConflictRecord
    before: ConflictRecord | None
    found: Sensitivity


class ConflictStore:
    """Safe from any thread and process."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def begin(self, path: str, kind: str, base: Side | None, local: Side, remote: Side) -> Begun:
        """The record, not written yet, of a conflict that was found; one of the same object and base goes on in it.

        Raises Locked.
        """
        moment = now()
        record = ConflictRecord(
            conflict_id(path, base.version if base is not None else None),
            path, kind, ConflictStatus.OPEN, base, local, remote, moment, moment,
        )  # fmt: skip
        present = self._agentfs.items.at_path(record.item_path)
        if present is None:
            return Begun(record, None, Sensitivity.NONE)
        before = read_record(self._agentfs.items.content(present))
        return Begun(_continued(before, record), before, present.sensitive)

    def open_within(
        self,
        connection: sqlite3.Connection,
        path: str,
        kind: str,
        base: Side | None,
        local: Side,
        remote: Side,
        *,
        owner: str,
        found: Sensitivity,
        by: Actor,
    ) -> ConflictRecord:
        """Keep both versions, in the caller's transaction, whatever rules say of them.

        ``found`` is why any of the versions is sensitive: the record is then too. Raises Locked.
        """
        begun = self.begin(path, kind, base, local, remote)
        found = more_private(found, begun.found)
        self.put_within(connection, begun.record, owner=owner, found=found, by=by, action="conflict.open")
        return begun.record

    def put_within(
        self,
        connection: sqlite3.Connection,
        record: ConflictRecord,
        *,
        owner: str,
        found: Sensitivity,
        by: Actor,
        action: str,
        outcome: Outcome | None = None,
    ) -> Written:
        """Write the record as it is to be, in the caller's transaction; the audit tells its outcome, or ``outcome``.

        Raises Locked.
        """
        judged = self._agentfs.guard.judge(record.item_path, Kind.DECISION, "", found=found, level=Level.PRIVATE)
        seals = judged.seal
        write = ItemWrite(
            record.item_path,
            Kind.DECISION,
            owner,
            write_record(record),
            level=Level.PRIVATE,
            critical=True,
            metadata=metadata_of(record, seals=seals),
            found=found,
        )
        if outcome is None and record.status is ConflictStatus.RESOLVED:
            outcome = record.outcome
        details: JSONObject = {"round": record.round}
        if outcome is not None:
            hashes = {f"{name}_sha256": each for name, each in outcome.hashes.items()} if not seals else {}
            details = {**details, "by": outcome.by.value, "took": outcome.took.value, **hashes}
        return self._agentfs.items.put(connection, write, by=by, action=action, details=details, new_item_id=record.id)

    def get(self, identifier: str) -> ConflictRecord:
        """One conflict, by its id; raises NotFound, and Locked when it is sealed and the keys are locked."""
        item = self._agentfs.items.at_path(f"{FOLDER}/{identifier.removeprefix(f'{FOLDER}/')}")
        if item is None:
            raise NotFound(f"There is no conflict {identifier}.", "`bailiwick conflicts list` shows them.")
        return read_record(self._agentfs.items.content(item))

    def all(self, status: ConflictStatus | None = None) -> list[ConflictEntry]:
        """Every conflict, or those of one status, the oldest first; opens none."""
        with translated(self._agentfs.database.path):
            rows = (
                self._agentfs.database.connection()
                .execute(
                    "SELECT metadata FROM items WHERE kind = ? AND deleted = 0"
                    " AND path >= 'conflicts/' AND path < 'conflicts0'",
                    (Kind.DECISION,),
                )
                .fetchall()
            )
        entries = [_entry(json.loads(row["metadata"])) for row in rows]
        found = [each for each in entries if each is not None and status in (None, each.status)]
        return sorted(found, key=lambda each: (each.opened_at, each.id))

    def count_open(self) -> int:
        """How many wait for a ruling."""
        return len(self.all(ConflictStatus.OPEN))


def conflict_id(path: str, base_version: str | None) -> str:
    """The id that a conflict about ``path`` over that base has on every device."""
    return stable_id("conflict", path, base_version or "")


def more_private(one: Sensitivity, other: Sensitivity) -> Sensitivity:
    """Of two reasons why something is sensitive the stronger one."""
    return max(one, other, key=_SOURCES.__getitem__)


def write_record(record: ConflictRecord) -> bytes:
    """The record as canonical JSON."""
    told: dict[str, JSONValue] = {
        "v": FORMAT,
        "id": record.id,
        "path": record.path,
        "kind": record.kind,
        "status": record.status.value,
        "base": _told(record.base) if record.base is not None else None,
        "local": _told(record.local),
        "remote": _told(record.remote),
        "opened_at": to_text(record.opened_at),
        "updated_at": to_text(record.updated_at),
    }
    if record.others:
        told["others"] = [_told(each) for each in record.others]
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


def ruled(record: ConflictRecord, outcome: Outcome) -> ConflictRecord:
    """The record with that ruling; one that it had before is overruled. Of a resolved one this is another round."""
    return replace(
        record,
        status=ConflictStatus.RESOLVED,
        outcome=outcome,
        updated_at=outcome.at,
        asked=None,
        round=record.round + (record.status is ConflictStatus.RESOLVED),
        overruled=_overruled(outcome, (record.outcome, *record.overruled)),
    )


def merged(one: ConflictRecord, other: ConflictRecord) -> ConflictRecord:
    """The record that two devices come to which each wrote one of these, in whichever order they hear of them.

    The later round holds. Within one, what was resolved stays so, of two resolutions the one that was written first;
    but what was open over a version that is unknown there is open in another round.
    Every version that either knows is kept.
    """
    if one.id != other.id or one.path != other.path:
        raise InvalidInput("These are records of different conflicts.")
    first, second = sorted((one, other), key=_precedence)
    if first.status is ConflictStatus.RESOLVED and _has_unruled(second, first):
        # What nobody looked at is not settled by what was ruled on others.
        first, second = replace(second, round=first.round + 1, outcome=first.outcome), first
    sides = _different(sorted((*first.sides, *second.sides), key=_fullest))
    kept = {each.version for each in (first.local, first.remote)}
    is_open = first.status is ConflictStatus.OPEN
    asked = [each.asked for each in (one, other) if each.round == first.round and each.asked is not None]
    return replace(
        first,
        base=_fuller(first.base, second.base),
        opened_at=min(one.opened_at, other.opened_at),
        updated_at=max(one.updated_at, other.updated_at) if is_open else first.updated_at,
        others=tuple(sorted((each for each in sides if each.version not in kept), key=_side_order)),
        reserved=first.reserved or (second.reserved if is_open and second.round == first.round else ""),
        asked=max(asked, key=lambda each: (each.until, each.agent), default=None) if is_open else first.asked,
        overruled=_overruled(first.outcome, (second.outcome, *first.overruled, *second.overruled)),
    )


_LATEST = datetime.max.replace(tzinfo=UTC)


def _has_unruled(record: ConflictRecord, ruled_on: ConflictRecord) -> bool:
    """Whether a record is open over a version that the other one does not know."""
    known = {each.version for each in ruled_on.sides}
    return record.status is ConflictStatus.OPEN and not {record.local.version, record.remote.version} <= known


def _precedence(record: ConflictRecord) -> tuple[object, ...]:
    """What sorts the record that holds before others; of what merging keeps as it is, so that the order stays."""
    is_open = record.status is ConflictStatus.OPEN
    return (
        -record.round,
        is_open,
        record.opened_at if is_open else record.updated_at,
        _LATEST - record.updated_at,
        to_json(outcome_json(record.outcome)) if record.outcome is not None else "",
        *(to_json(_told(each)) for each in (record.local, record.remote)),
    )


def _overruled(holds: Outcome | None, known: Iterable[Outcome | None]) -> tuple[Outcome, ...]:
    """Those of ``known`` that do not hold, each once."""
    found = {each for each in known if each is not None and each != holds}
    return tuple(sorted(found, key=lambda each: (each.at, to_json(outcome_json(each)))))


def _continued(before: ConflictRecord, later: ConflictRecord) -> ConflictRecord:
    """``before``, open again over the versions that are at odds now; it keeps those that were."""
    kept = {later.local.version, later.remote.version}
    others = tuple(sorted((each for each in _different(before.sides) if each.version not in kept), key=_side_order))
    return replace(
        later,
        base=_fuller(before.base, later.base),
        opened_at=before.opened_at,
        others=others,
        round=before.round + (before.status is ConflictStatus.RESOLVED),
        outcome=before.outcome,
        overruled=before.overruled,
    )


def joined(record: ConflictRecord, sides: Iterable[Side]) -> ConflictRecord:
    """The record with further versions, which nobody has to rule on."""
    known = {each.version for each in record.sides}
    more = [each for each in _different(sides) if each.version not in known]
    others = tuple(sorted((*record.others, *more), key=_side_order))
    return replace(record, others=others, updated_at=max(record.updated_at, now()))


def _different(sides: Iterable[Side]) -> list[Side]:
    found: dict[str | None, Side] = {}
    for side in sides:
        found.setdefault(side.version, side)
    return list(found.values())


def _fullest(side: Side) -> tuple[bool, str]:
    return side.content is None, to_json(_told(side))


def _side_order(side: Side) -> tuple[str, str]:
    return side.version or "", side.device


def _fuller(one: Side | None, other: Side | None) -> Side | None:
    if one is None or other is None:
        return one or other
    if (one.content is None) != (other.content is None):
        return other if one.content is None else one
    return min(one, other, key=lambda side: to_json(_told(side)))


def _told(side: Side) -> JSONValue:
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


def _entry(metadata: Any) -> ConflictEntry | None:
    try:
        return ConflictEntry(
            _text(metadata["id"]),
            _text(metadata["object"]),
            _text(metadata["object_kind"]),
            ConflictStatus(metadata["status"]),
            from_text(metadata["opened_at"]),
            from_text(metadata["updated_at"]),
        )
    except (ValueError, TypeError, KeyError):
        return None
