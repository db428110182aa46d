"""Decisions: each place where two sides differ, what was chosen there, and the result that follows from the choices.

The result is always computed, never edited: whoever shows it shows what ``resolve`` gives.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import TypeAlias

from core.errors import InvalidInput
from core.ids import sha256_hex
from core.model import JSONValue


class Absent(Enum):
    """There is nothing: a key that is not in an object, an object that was deleted."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Content: TypeAlias = "JSONValue | bytes | Absent"
"""What one side has at a place: a JSON value, text, bytes that are neither, or nothing."""


class DecisionKind(StrEnum):
    """How two sides differ at a place."""

    VALUE = "value"
    ADD_ADD = "add_add"
    DELETE_MODIFY = "delete_modify"
    TYPE = "type"
    """One made another type of JSON value of it."""
    LIST_ORDER = "list_order"
    """Lists whose elements have an identity, in another order; the sides are lists of identities."""
    TEXT_HUNK = "text_hunk"


class Choice(StrEnum):
    """What is taken at a place."""

    UNRESOLVED = "unresolved"
    BASE = "base"
    LOCAL = "local"
    REMOTE = "remote"
    BOTH_LOCAL_FIRST = "both_local_first"
    BOTH_REMOTE_FIRST = "both_remote_first"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Decision:
    """One place, its three sides, and what is chosen; ``custom`` is what was written by hand.

    ``auto``: a rule chose, for one side left it alone, both did the same, or both fit together. It can be changed as
    every other. ``path`` is as a person writes it, ``tasks[id=42].status``; of text it names the line in base.
    """

    path: str
    kind: DecisionKind
    base: Content
    local: Content
    remote: Content
    choice: Choice = Choice.UNRESOLVED
    custom: Content = ABSENT
    auto: bool = False

    @property
    def is_open(self) -> bool:
        """Whether somebody has to choose still."""
        return self.choice is Choice.UNRESOLVED

    @property
    def has_both(self) -> bool:
        """Whether both sides can be taken, one after the other: of text and of parts of lists."""
        if self.kind is DecisionKind.LIST_ORDER:
            return False
        return all(isinstance(side, list) for side in (self.local, self.remote)) or (
            self.kind is DecisionKind.TEXT_HUNK and all(isinstance(side, str) for side in (self.local, self.remote))
        )

    @property
    def key(self) -> str:
        """What is the same as long as the place and its three sides are, by which drafts find it again."""
        sides = [_canonical(side) for side in (self.base, self.local, self.remote)]
        return sha256_hex("\x1f".join((self.path, self.kind.value, *sides)).encode("utf-8", "surrogatepass"))[:32]

    def chosen(self, choice: Choice, custom: Content = ABSENT) -> Decision:
        """This decision with another choice; raises InvalidInput where that cannot be."""
        if choice in (Choice.BOTH_LOCAL_FIRST, Choice.BOTH_REMOTE_FIRST) and not self.has_both:
            raise InvalidInput(f"Of {self.path or 'this'} one side can be taken, not both.", "Take local or remote.")
        if choice is Choice.CUSTOM and self.kind is DecisionKind.TEXT_HUNK and not isinstance(custom, str):
            raise InvalidInput(f"{self.path} is text.", "Write text.")
        if choice is Choice.CUSTOM and self.kind is DecisionKind.LIST_ORDER and not isinstance(custom, list):
            raise InvalidInput(f"{self.path} is an order of elements.", "Write a list.")
        return replace(self, choice=choice, custom=custom if choice is Choice.CUSTOM else ABSENT, auto=False)

    def outcome(self) -> Content:
        """What the choice gives; what is open is as it was in base."""
        match self.choice:
            case Choice.LOCAL:
                return self.local
            case Choice.REMOTE:
                return self.remote
            case Choice.CUSTOM:
                return self.custom
            case Choice.BOTH_LOCAL_FIRST:
                return joined(self.local, self.remote)
            case Choice.BOTH_REMOTE_FIRST:
                return joined(self.remote, self.local)
        return self.base


def joined(one: Content, other: Content) -> Content:
    """Two texts or two lists, one after the other; a line that has no end gets one before another follows."""
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n{other}" if one and other and not one.endswith("\n") else one + other
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    return one


class Form(StrEnum):
    """How decisions make a result."""

    TEXT = "text"
    """Their outcomes, one after the other, are the text; they cover all of it."""
    JSON = "json"
    WHOLE = "whole"
    """There is one decision, over everything."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A JSON value that nobody changed."""

    value: JSONValue


@dataclass(frozen=True, slots=True)
class Chosen:
    """A place of a JSON value that decision ``number`` decides; with ``spread`` its outcome is part of a list."""

    number: int
    spread: bool = False


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """A JSON object of ``members``."""

    members: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A JSON list of parts, each an element, or several where a decision spreads."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class KeyedListOf:
    """A JSON list whose elements have an identity. ``orders`` are the identities as base, local and remote have them.

    Decision ``number`` is about the order, where there is one.
    """

    elements: tuple[tuple[str, Node], ...]
    orders: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    number: int | None


@dataclass(frozen=True, slots=True)
class Written:
    """A whole result, written by hand."""

    content: Content


Node: TypeAlias = "Fixed | Chosen | ObjectOf | ListOf | KeyedListOf"


@dataclass(frozen=True, slots=True)
class Decisions:
    """All decisions about one thing, and how they make its result; ``frame`` is the JSON value around them.

    ``written``, where there is one, is the whole result as it was written by hand; it holds until something is chosen.
    """

    form: Form
    decisions: tuple[Decision, ...]
    frame: Node | None = None
    written: Written | None = None

    @property
    def open(self) -> tuple[int, ...]:
        """The numbers of those that somebody has to make still."""
        if self.written is not None:
            return ()
        return tuple(number for number, each in enumerate(self.decisions) if each.is_open)

    def chosen(self, numbers: Iterable[int], choice: Choice, custom: Content = ABSENT) -> Decisions:
        """With another choice at each of ``numbers``; raises as ``Decision.chosen``."""
        wanted = frozenset(numbers)
        return replace(
            self,
            written=None,
            decisions=tuple(
                each.chosen(choice, custom) if number in wanted else each for number, each in enumerate(self.decisions)
            ),
        )


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result as far as it is decided; ``open`` are the numbers of decisions at which base stands for it."""

    content: Content
    open: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether everything is decided."""
        return not self.open


def resolve(decisions: Decisions) -> Resolved:
    """The result that follows from the choices. Pure."""
    made = decisions.decisions
    if decisions.written is not None:
        return Resolved(decisions.written.content, ())
    if decisions.form is Form.TEXT:
        return Resolved("".join(text_pieces(decisions)), decisions.open)
    if decisions.form is Form.WHOLE or decisions.frame is None:
        return Resolved(made[0].outcome() if made else ABSENT, decisions.open)
    return Resolved(_built(decisions.frame, made), decisions.open)


def text_pieces(decisions: Decisions) -> list[str]:
    """The pieces of a text's result, one for each decision, in order; a line ends before another piece begins."""
    outcomes = [each.outcome() for each in decisions.decisions]
    pieces = [each if isinstance(each, str) else "" for each in outcomes]
    follows = False
    for number in range(len(pieces) - 1, -1, -1):
        if pieces[number]:
            if follows and not pieces[number].endswith("\n"):
                pieces[number] += "\n"
            follows = True
    return pieces


def _built(node: Node, made: tuple[Decision, ...]) -> Content:
    if isinstance(node, Fixed):
        return node.value
    if isinstance(node, Chosen):
        return made[node.number].outcome()
    if isinstance(node, ObjectOf):
        members = ((key, _built(each, made)) for key, each in node.members)
        return {key: value for key, value in members if not isinstance(value, Absent | bytes)}
    if isinstance(node, KeyedListOf):
        return _keyed(node, made)
    built: list[JSONValue] = []
    for part in node.parts:
        value = _built(part, made)
        if isinstance(part, Chosen) and part.spread and isinstance(value, list):
            built += value
        elif not isinstance(value, Absent | bytes):
            built.append(value)
    return built


def _keyed(node: KeyedListOf, made: tuple[Decision, ...]) -> list[JSONValue]:
    values = {identity: _built(each, made) for identity, each in node.elements}
    present = {identity: value for identity, value in values.items() if not isinstance(value, Absent | bytes)}
    return [present[identity] for identity in order_of(node, made) if identity in present]


def order_of(node: KeyedListOf, made: tuple[Decision, ...]) -> list[str]:
    """The identities of all elements in the order in which the result has them, also of those it leaves out."""
    base, local, remote = node.orders
    order = made[node.number] if node.number is not None else None
    if order is not None and order.choice is Choice.LOCAL:
        orders = (local, remote, base)
    elif order is not None and order.choice is Choice.REMOTE:
        orders = (remote, local, base)
    else:
        outcome = order.outcome() if order is not None else base
        leading = tuple(map(str, outcome)) if isinstance(outcome, list) else base
        # Of two that follow the same element the one that is placed later comes first.
        orders = (leading, remote, local)
    return arranged((*orders, base))


def arranged(orders: Iterable[tuple[str, ...]]) -> list[str]:
    """All identities in the first order; those that only later ones have stand behind what they follow there."""
    result: list[str] = []
    for order in orders:
        known = set(result)
        before: str | None = None
        for identity in order:
            if identity not in known:
                result.insert(0 if before is None else result.index(before) + 1, identity)
                known.add(identity)
            before = identity
    return result


def same(one: Content, other: Content) -> bool:
    """Whether two sides are equal as JSON values: a bool is no number, and 1 is not 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return one == other


@dataclass(frozen=True, slots=True)
class _Step:
    """What one act changed: by the number of a decision how it was and how it is, and the same of ``written``."""

    before: Mapping[int, Decision]
    after: Mapping[int, Decision]
    written_before: Written | None = None
    written_after: Written | None = None


@dataclass(frozen=True, slots=True)
class Choosing:
    """Decisions with what was chosen since they were opened, so that each act can be taken back. Frozen; pure."""

    decisions: Decisions
    done: tuple[_Step, ...] = ()
    undone: tuple[_Step, ...] = ()

    def choose(self, numbers: Iterable[int], choice: Choice, custom: Content = ABSENT) -> Choosing:
        """Choose at all ``numbers`` as one act; raises as ``Decision.chosen``."""
        return self.become(self.decisions.chosen(numbers, choice, custom))

    def write(self, content: Content) -> Choosing:
        """Have the whole result be as it was written by hand, as one act."""
        return self.become(replace(self.decisions, written=Written(content)))

    def become(self, after: Decisions) -> Choosing:
        """Go on to other choices about the same, as one act."""
        step = _step(self.decisions, after)
        is_same = not step.after and step.written_before == step.written_after
        return self if is_same else Choosing(after, (*self.done, step))

    def choose_open(self, choice: Choice) -> Choosing:
        """Choose at everything that is open still, as one act; where both cannot be taken it stays open."""
        both = choice in (Choice.BOTH_LOCAL_FIRST, Choice.BOTH_REMOTE_FIRST)
        numbers = self.decisions.open
        return self.choose([each for each in numbers if not both or self.decisions.decisions[each].has_both], choice)

    @property
    def can_undo(self) -> bool:
        """Whether there is an act to take back."""
        return bool(self.done)

    @property
    def can_redo(self) -> bool:
        """Whether an act was taken back that can be done again."""
        return bool(self.undone)

    def undo(self) -> Choosing:
        """As before the last act."""
        if not self.done:
            return self
        step = self.done[-1]
        before = _with(self.decisions, step.before, step.written_before)
        return Choosing(before, self.done[:-1], (*self.undone, step))

    def redo(self) -> Choosing:
        """As after the act that was taken back last."""
        if not self.undone:
            return self
        step = self.undone[-1]
        after = _with(self.decisions, step.after, step.written_after)
        return Choosing(after, (*self.done, step), self.undone[:-1])


def _step(before: Decisions, after: Decisions) -> _Step:
    changed = [
        number
        for number, (old, new) in enumerate(zip(before.decisions, after.decisions, strict=True))
        if old is not new and old != new
    ]
    return _Step(
        {number: before.decisions[number] for number in changed},
        {number: after.decisions[number] for number in changed},
        before.written,
        after.written,
    )


def _with(decisions: Decisions, other: Mapping[int, Decision], written: Written | None) -> Decisions:
    made = tuple(other.get(number, each) for number, each in enumerate(decisions.decisions))
    return replace(decisions, decisions=made, written=written)


def _canonical(side: Content) -> str:
    if isinstance(side, Absent):
        return "absent"
    if isinstance(side, bytes):
        return f"bytes {sha256_hex(side)}"
    return json.dumps(side, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
