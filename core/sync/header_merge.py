"""What is told of an item, merged beside its content: each fact as the side has it that changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.agentfs.shares import ShareRecord
from core.errors import InvalidInput
from core.model import JSONObject, JSONValue, Level
from core.sync.item_header import UNCOUNTED_METADATA, ItemHeader, read_header

_OPEN = (Level.PRIVATE, Level.TEAM, Level.PUBLIC)


def merged_header(base: JSONObject | None, local: ItemHeader, remote: ItemHeader, item_id: str) -> ItemHeader:
    """``remote`` with what ``local`` alone changed since ``base``. Pure.

    Where both changed the same fact differently, the more private level holds, a share that either took back is taken
    back, and else remote's; without a base the more private, the critical, and every share.
    """
    began = _read(base, item_id)
    return replace(
        remote,
        kind=remote.kind if began is None or remote.kind != began.kind else local.kind,
        level=_level(began, local, remote),
        critical=_critical(began, local, remote),
        metadata=_members(began.metadata if began is not None else None, local.metadata, remote.metadata),
        about=_members(began.about if began is not None else None, local.about, remote.about),
        shares=_shares(began, local, remote),
    )


def _read(base: JSONObject | None, item_id: str) -> ItemHeader | None:
    try:
        return read_header(base, item_id) if base is not None else None
    except InvalidInput:
        return None


def _level(began: ItemHeader | None, local: ItemHeader, remote: ItemHeader) -> Level:
    if began is not None and began.level is remote.level:
        return local.level
    if began is not None and began.level is local.level:
        return remote.level
    return min(local.level, remote.level, key=_OPEN.index)


def _critical(began: ItemHeader | None, local: ItemHeader, remote: ItemHeader) -> bool:
    if began is None:
        return local.critical or remote.critical
    return local.critical if remote.critical == began.critical else remote.critical


def _members(
    began: Mapping[str, JSONValue] | None, local: Mapping[str, JSONValue], remote: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """``remote`` with the members that ``local`` alone changed; what follows from the content stays remote's."""
    merged = dict(remote)
    for name in {*local, *remote, *(began or {})} - UNCOUNTED_METADATA:
        if began is None:
            if name not in remote:
                merged[name] = local[name]
        elif remote.get(name) == began.get(name) and (name in remote) == (name in began):
            if name in local:
                merged[name] = local[name]
            else:
                merged.pop(name, None)
    return merged


def _shares(began: ItemHeader | None, local: ItemHeader, remote: ItemHeader) -> tuple[ShareRecord, ...]:
    before, here, there = (_by_audience(each) for each in (began, local, remote))
    merged: list[ShareRecord] = []
    for audience in sorted({*here, *there}):
        was, mine, theirs = before.get(audience), here.get(audience), there.get(audience)
        if mine is None or theirs is None:
            # It was taken back by one, or made by one.
            if was is None:
                merged.extend(each for each in (mine, theirs) if each is not None)
        elif was is not None and _said(theirs) == _said(was):
            merged.append(mine)
        elif was is not None and _said(mine) == _said(was):
            merged.append(theirs)
        else:
            merged.append(
                replace(
                    theirs,
                    in_full=mine.in_full and theirs.in_full,
                    opted_out=mine.opted_out or theirs.opted_out,
                )
            )
    return tuple(merged)


def _by_audience(header: ItemHeader | None) -> dict[tuple[str, str], ShareRecord]:
    return {(each.audience, each.name): each for each in header.shares} if header is not None else {}


def _said(share: ShareRecord) -> tuple[bool, bool]:
    return share.in_full, share.opted_out
