"""How records of one conflict become one, on whichever devices they were written and in whichever order they meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from core.agentfs.database import now, to_json
from core.conflicts.outcomes import Outcome, outcome_json
from core.conflicts.record_form import ConflictRecord, ConflictStatus, Side, told_side
from core.errors import InvalidInput

_LATEST = datetime.max.replace(tzinfo=UTC)


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


def continued(before: ConflictRecord, later: ConflictRecord) -> ConflictRecord:
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
        *(to_json(told_side(each)) for each in (record.local, record.remote)),
    )


def _overruled(holds: Outcome | None, known: Iterable[Outcome | None]) -> tuple[Outcome, ...]:
    """Those of ``known`` that do not hold, each once."""
    found = {each for each in known if each is not None and each != holds}
    return tuple(sorted(found, key=lambda each: (each.at, to_json(outcome_json(each)))))


def _different(sides: Iterable[Side]) -> list[Side]:
    found: dict[str | None, Side] = {}
    for side in sides:
        found.setdefault(side.version, side)
    return list(found.values())


def _fullest(side: Side) -> tuple[bool, str]:
    return side.content is None, to_json(told_side(side))


def _side_order(side: Side) -> tuple[str, str]:
    return side.version or "", side.device


def _fuller(one: Side | None, other: Side | None) -> Side | None:
    if one is None or other is None:
        return one or other
    if (one.content is None) != (other.content is None):
        return other if one.content is None else one
    return min(one, other, key=lambda side: to_json(told_side(side)))
