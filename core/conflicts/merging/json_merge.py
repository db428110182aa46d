"""JSON values merged place by place: objects by key, lists by what identifies their elements, else as sequences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.conflicts.merging.decisions import (
    ABSENT,
    Absent,
    Choice,
    Chosen,
    Content,
    Decision,
    DecisionKind,
    Decisions,
    Fixed,
    Form,
    KeyedListOf,
    ListOf,
    Node,
    ObjectOf,
    resolve,
    same,
)
from core.conflicts.merging.text_merge import merge_text
from core.conflicts.merging.three_way import Origin, Region, regions
from core.model import JSONValue

IDENTITY_KEYS = ("id", "key", "name", "path", "uuid")
"""By which of its members an element of a list is known, the first that every element has."""
DEEPEST = 100
"""Below so many levels a value is compared as a whole."""


def merge_json(base: Content, local: JSONValue, remote: JSONValue) -> Decisions:
    """A decision for each place that somebody changed; ``base`` is ABSENT where there was nothing. Pure.

    Objects are merged by key, also those that both sides added. Lists are merged by identity where each element has
    one, as sequences else; what both put in at one place is kept, the local part first. Texts of several lines are
    merged by line where that leaves nothing open.
    """
    merge = _Merge()
    frame = merge.value("", base, local, remote, 0)
    return Decisions(Form.JSON, tuple(merge.decisions), frame)


@dataclass(slots=True)
class _Merge:
    decisions: list[Decision] = field(default_factory=list)

    def value(self, path: str, base: Content, local: Content, remote: Content, depth: int) -> Node:
        """The node for a place, with the decisions about it and what lies in it."""
        if depth < DEEPEST and not (isinstance(base, Absent) and same(local, remote)):
            if _are_objects(base, local, remote):
                return self._object(path, base, local, remote, depth)
            if _are_lists(base, local, remote):
                return self._list(path, base, local, remote, depth)
        if same(local, remote) and same(base, local):
            return Chosen(self._decide(path, base, local, remote)) if isinstance(base, Absent | bytes) else Fixed(base)
        return Chosen(self._decide(path, base, local, remote))

    def _decide(self, path: str, base: Content, local: Content, remote: Content) -> int:
        kind = _kind(base, local, remote)
        choice, custom = Choice.UNRESOLVED, ABSENT
        if same(local, remote) or same(remote, base):
            choice = Choice.LOCAL
        elif same(local, base):
            choice = Choice.REMOTE
        elif isinstance(base, str) and isinstance(local, str) and isinstance(remote, str):
            merged = _merged_text(base, local, remote)
            if merged is not None:
                return self._add(Decision(path, kind, base, local, remote, Choice.CUSTOM, merged, auto=True))
        return self._add(
            Decision(path, kind, base, local, remote, choice, custom, auto=choice is not Choice.UNRESOLVED)
        )

    def _add(self, decision: Decision) -> int:
        self.decisions.append(decision)
        return len(self.decisions) - 1

    def _object(self, path: str, base: Content, local: Content, remote: Content, depth: int) -> Node:
        sides = [side if isinstance(side, dict) else {} for side in (base, local, remote)]
        was, mine, theirs = sides
        keys = list(dict.fromkeys((*mine, *theirs, *was)))
        return ObjectOf(
            tuple(
                (
                    key,
                    self.value(
                        _member(path, key),
                        was.get(key, ABSENT),
                        mine.get(key, ABSENT),
                        theirs.get(key, ABSENT),
                        depth + 1,
                    ),
                )
                for key in keys
            )
        )

    def _list(self, path: str, base: Content, local: Content, remote: Content, depth: int) -> Node:
        was, mine, theirs = (side if isinstance(side, list) else [] for side in (base, local, remote))
        if same(was, mine) and same(was, theirs):
            return Fixed(was)
        identity = _identity_key((was, mine, theirs))
        if identity is not None:
            return self._keyed(path, identity, was, mine, theirs, depth)
        return self._sequence(path, was, mine, theirs, depth)

    def _keyed(
        self, path: str, key: str, was: list[JSONValue], mine: list[JSONValue], theirs: list[JSONValue], depth: int
    ) -> Node:
        before, here, there = (_by_identity(side, key) for side in (was, mine, theirs))
        identities = list(dict.fromkeys((*here, *there, *before)))
        elements = tuple(
            (
                each,
                self.value(
                    f"{path}[{key}={each}]",
                    before.get(each, ABSENT),
                    here.get(each, ABSENT),
                    there.get(each, ABSENT),
                    depth + 1,
                ),
            )
            for each in identities
        )
        orders = (tuple(before), tuple(here), tuple(there))
        return KeyedListOf(elements, orders, self._order(path, *orders))

    def _order(self, path: str, base: tuple[str, ...], local: tuple[str, ...], remote: tuple[str, ...]) -> int | None:
        """The decision about the order, where a side changed that of elements which the other has too."""
        one, was = _in_common(local, base)
        mine_moved = one != was
        other, was = _in_common(remote, base)
        theirs_moved = other != was
        mine, theirs = _in_common(local, remote)
        if not (mine_moved or theirs_moved) and mine == theirs:
            return None
        if mine == theirs or not theirs_moved:
            choice = Choice.LOCAL
        else:
            choice = Choice.UNRESOLVED if mine_moved else Choice.REMOTE
        return self._add(
            Decision(
                path,
                DecisionKind.LIST_ORDER,
                list(base),
                list(local),
                list(remote),
                choice,
                auto=choice is not Choice.UNRESOLVED,
            )
        )

    def _sequence(
        self, path: str, was: list[JSONValue], mine: list[JSONValue], theirs: list[JSONValue], depth: int
    ) -> Node:
        tokens = [[_canonical(value) for value in side] for side in (was, mine, theirs)]
        parts: list[Node] = []
        for region in regions(*tokens, narrow=False):
            base, local, remote = (_values(side) for side in (region.base, region.local, region.remote))
            if region.origin is Origin.UNCHANGED:
                parts += (Fixed(value) for value in base)
            elif region.origin is Origin.CONFLICT and _stand_for_each_other(base, local, remote):
                elements = zip(base, local, remote, strict=True)
                parts += (
                    self.value(f"{path}[{region.at + number}]", *sides, depth + 1)
                    for number, sides in enumerate(elements)
                )
            else:
                parts.append(Chosen(self._part(path, region, base, local, remote), spread=True))
        return ListOf(tuple(parts))

    def _part(
        self,
        path: str,
        region: Region,
        base: list[JSONValue],
        local: list[JSONValue],
        remote: list[JSONValue],
    ) -> int:
        choice = {
            Origin.LOCAL: Choice.LOCAL,
            Origin.SAME: Choice.LOCAL,
            Origin.REMOTE: Choice.REMOTE,
        }.get(region.origin, Choice.UNRESOLVED)
        if region.origin is Origin.CONFLICT and not base and not set(region.local) & set(region.remote):
            choice = Choice.BOTH_LOCAL_FIRST
        if not base:
            kind = DecisionKind.ADD_ADD if local and remote else DecisionKind.VALUE
        else:
            kind = DecisionKind.VALUE if local and remote else DecisionKind.DELETE_MODIFY
            if not local and not remote:
                kind = DecisionKind.VALUE
        where = f"{path}[{region.at}]" if len(base) == 1 else f"{path}[{region.at}:{region.at + len(base)}]"
        return self._add(Decision(where, kind, base, local, remote, choice, auto=choice is not Choice.UNRESOLVED))


def _kind(base: Content, local: Content, remote: Content) -> DecisionKind:
    gone = [isinstance(side, Absent) for side in (local, remote)]
    if isinstance(base, Absent):
        return DecisionKind.VALUE if any(gone) or same(local, remote) else DecisionKind.ADD_ADD
    if any(gone):
        other = remote if gone[0] else local
        return DecisionKind.VALUE if all(gone) or same(other, base) else DecisionKind.DELETE_MODIFY
    if len({_type(side) for side in (base, local, remote)}) > 1:
        return DecisionKind.TYPE
    return DecisionKind.VALUE


def _type(side: Content) -> str:
    if isinstance(side, bool):
        return "bool"
    return "number" if isinstance(side, int | float) else type(side).__name__


def _are_objects(base: Content, local: Content, remote: Content) -> bool:
    return isinstance(local, dict) and isinstance(remote, dict) and isinstance(base, dict | Absent)


def _are_lists(base: Content, local: Content, remote: Content) -> bool:
    return isinstance(local, list) and isinstance(remote, list) and isinstance(base, list | Absent)


def _stand_for_each_other(*sides: list[JSONValue]) -> bool:
    """Whether the elements are objects, as many on each side: each was changed in its place then."""
    return len({len(side) for side in sides}) == 1 and all(isinstance(each, dict) for side in sides for each in side)


def _identity_key(sides: Iterable[Sequence[JSONValue]]) -> str | None:
    """The member by which every element of all sides is known, each of a side by another value."""
    lists = [side for side in sides if side]
    if not lists or not all(isinstance(element, dict) for side in lists for element in side):
        return None
    for key in IDENTITY_KEYS:
        if all(_are_known_by(side, key) for side in lists):
            return key
    return None


def _are_known_by(side: Sequence[JSONValue], key: str) -> bool:
    known = [element.get(key) for element in side if isinstance(element, dict)]
    if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in known):
        return False
    return len({_identity(value) for value in known}) == len(side)


def _by_identity(side: list[JSONValue], key: str) -> dict[str, JSONValue]:
    return {_identity(element[key]): element for element in side if isinstance(element, dict)}


def _identity(value: JSONValue) -> str:
    # A number and the text of it are two identities.
    return value if isinstance(value, str) and not _looks_like_number(value) else _canonical(value)


def _looks_like_number(text: str) -> bool:
    return text.lstrip("-").isdecimal() or text.startswith('"')


def _in_common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The orders in which both have what both have."""
    mine, theirs = set(one), set(other)
    return tuple(each for each in one if each in theirs), tuple(each for each in other if each in mine)


def _merged_text(base: str, local: str, remote: str) -> str | None:
    """The three texts merged by line; ``None`` where they have but one, or something is left open."""
    if "\n" not in base:
        return None
    resolved = resolve(merge_text(base, local, remote))
    return resolved.content if resolved.is_complete and isinstance(resolved.content, str) else None


def _member(path: str, key: str) -> str:
    if key.isidentifier() or (key and all(part.isidentifier() for part in key.split("-"))):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key, ensure_ascii=False)}]"


def _canonical(value: JSONValue) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _values(tokens: Iterable[str]) -> list[JSONValue]:
    return [json.loads(token) for token in tokens]
