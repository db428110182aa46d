"""Decisions in the order in which a person reads them, and their result by line with where each line comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from core.conflicts.merging.decisions import (
    Absent,
    Chosen,
    Content,
    Decision,
    Decisions,
    Fixed,
    Form,
    KeyedListOf,
    ListOf,
    Node,
    ObjectOf,
    order_of,
    resolve,
    same,
    text_pieces,
)
from core.conflicts.merging.json_merge import IDENTITY_KEYS
from core.conflicts.merging.text_merge import lines
from core.model import JSONValue

INDENT = "  "


@dataclass(frozen=True, slots=True)
class Place:
    """Decision ``number``."""

    number: int


@dataclass(frozen=True, slots=True)
class Equal:
    """What nobody changed: lines of a text without their ends, or values of JSON, a line each with its path."""

    lines: tuple[str, ...]


Part: TypeAlias = "Place | Equal"


@dataclass(frozen=True, slots=True)
class ResultLine:
    """A line without its end. ``number`` is the decision that gave it, ``None`` where nobody changed it.

    A decision that gives no line has one that ``is_nothing``, where its line would be.
    """

    text: str
    number: int | None
    is_nothing: bool = False


def is_equal(decision: Decision) -> bool:
    """Whether nobody changed anything there."""
    return same(decision.base, decision.local) and same(decision.base, decision.remote)


def outline(decisions: Decisions) -> tuple[Part, ...]:
    """Every decision about a change, and between them what is equal. Pure."""
    parts: list[Part] = []
    equal: list[str] = []
    for each in _parts(decisions):
        if isinstance(each, Equal):
            equal += each.lines
            continue
        if equal:
            parts.append(Equal(tuple(equal)))
            equal = []
        parts.append(each)
    if equal:
        parts.append(Equal(tuple(equal)))
    return tuple(parts)


def result_lines(decisions: Decisions) -> tuple[ResultLine, ...]:
    """The result as it is shown: text by line, JSON indented; of bytes that are no text nothing. Pure."""
    if decisions.written is not None:
        return tuple(ResultLine(line, None) for line in shown_lines(decisions.written.content))
    if decisions.form is Form.TEXT:
        found: list[ResultLine] = []
        for number, piece in enumerate(text_pieces(decisions)):
            changed = None if is_equal(decisions.decisions[number]) else number
            found += _lines_of(changed, _without_ends(piece))
        return tuple(found)
    if decisions.form is Form.WHOLE or decisions.frame is None:
        return tuple(_lines_of(0, shown_lines(resolve(decisions).content)))
    return tuple(_Writer(decisions).node(decisions.frame, "", ""))


def shown_lines(content: Content) -> list[str]:
    """How a person reads one side: text by line, JSON indented; of what is absent, or no text, nothing."""
    if isinstance(content, Absent):
        return []
    if isinstance(content, bytes):
        try:
            return _without_ends(content.decode("utf-8")) if b"\0" not in content else []
        except UnicodeDecodeError:
            return []
    if isinstance(content, str):
        return _without_ends(content)
    return written_json(content).split("\n")


def written_json(value: JSONValue) -> str:
    """JSON as a person reads it."""
    return json.dumps(value, indent=len(INDENT), ensure_ascii=False)


def _parts(decisions: Decisions) -> Iterator[Part]:
    if decisions.form is Form.JSON and decisions.frame is not None:
        yield from _json_parts(decisions.frame, "", decisions)
        return
    for number, each in enumerate(decisions.decisions):
        if is_equal(each):
            yield Equal(tuple(shown_lines(each.base)))
        else:
            yield Place(number)


def _json_parts(node: Node, path: str, decisions: Decisions) -> Iterator[Part]:
    match node:
        case Fixed(value):
            yield Equal((f"{path or 'everything'}: {json.dumps(value, ensure_ascii=False)}",))
        case Chosen(number):
            yield Place(number)
        case ObjectOf(members):
            for key, each in members:
                yield from _json_parts(each, f"{path}.{key}" if path else key, decisions)
        case ListOf(parts):
            for number, each in enumerate(parts):
                yield from _json_parts(each, f"{path}[{number}]", decisions)
        case KeyedListOf(elements, _, number):
            if number is not None:
                yield Place(number)
            for identity, each in elements:
                key = _identity_key(each)
                inside = f"{path}[{key}={identity}]" if key else f"{path}[{identity}]"
                yield from _json_parts(_without(each, key), inside, decisions)


def _identity_key(element: Node) -> str:
    """By which of its members an element is known, which its path tells already."""
    members = dict(element.members) if isinstance(element, ObjectOf) else {}
    return next((key for key in IDENTITY_KEYS if isinstance(members.get(key), Fixed)), "")


def _without(element: Node, key: str) -> Node:
    if not isinstance(element, ObjectOf):
        return element
    return ObjectOf(tuple((name, each) for name, each in element.members if name != key))


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the JSON that ``resolve`` gives, and remembers which decision each line is of."""

    decisions: Decisions

    def node(self, node: Node, margin: str, head: str) -> Iterator[ResultLine]:
        """The lines of a node behind ``head``."""
        match node:
            case Fixed(value):
                yield from _value_lines(value, margin, head, None)
            case Chosen(chosen):
                outcome = self.decisions.decisions[chosen].outcome()
                if isinstance(outcome, Absent | bytes):
                    yield ResultLine("", chosen, is_nothing=True)
                else:
                    yield from _value_lines(outcome, margin, head, chosen)
            case ObjectOf(members):
                inside = (self.node(each, margin + INDENT, f"{json.dumps(key, ensure_ascii=False)}: ")
                          for key, each in members)  # fmt: skip
                yield from _between(margin, head, "{}", [[*each] for each in inside], None)
            case ListOf(parts):
                elements: list[list[ResultLine]] = []
                for part in parts:
                    if isinstance(part, Chosen) and part.spread:
                        outcome = self.decisions.decisions[part.number].outcome()
                        values = outcome if isinstance(outcome, list) else []
                        elements += [[*_value_lines(each, margin + INDENT, "", part.number)] for each in values]
                        if not values:
                            elements.append([ResultLine("", part.number, is_nothing=True)])
                    else:
                        elements.append([*self.node(part, margin + INDENT, "")])
                yield from _between(margin, head, "[]", elements, None)
            case KeyedListOf(children, _, order):
                nodes = dict(children)
                inside_list = [
                    [*self.node(nodes[identity], margin + INDENT, "")]
                    for identity in order_of(node, self.decisions.decisions)
                ]
                yield from _between(margin, head, "[]", inside_list, order)


def _between(
    margin: str, head: str, brackets: str, elements: list[list[ResultLine]], number: int | None
) -> Iterator[ResultLine]:
    """Brackets around elements, which are on lines of their own with commas between them."""
    there = [place for place, each in enumerate(elements) if not all(line.is_nothing for line in each)]
    if not there:
        yield ResultLine(f"{margin}{head}{brackets}", number)
        yield from (line for each in elements for line in each)
        return
    yield ResultLine(f"{margin}{head}{brackets[0]}", number)
    for place, each in enumerate(elements):
        last = max((at for at, line in enumerate(each) if not line.is_nothing), default=-1)
        has_comma = place in there and place != there[-1]
        for at, line in enumerate(each):
            yield ResultLine(f"{line.text},", line.number) if has_comma and at == last else line
    yield ResultLine(f"{margin}{brackets[1]}", number)


def _value_lines(value: JSONValue, margin: str, head: str, number: int | None) -> Iterator[ResultLine]:
    for place, line in enumerate(written_json(value).split("\n")):
        yield ResultLine(f"{margin}{head if not place else ''}{line}", number)


def _lines_of(number: int | None, texts: list[str]) -> list[ResultLine]:
    if number is not None and not texts:
        return [ResultLine("", number, is_nothing=True)]
    return [ResultLine(text, number) for text in texts]


def _without_ends(text: str) -> list[str]:
    return [line.removesuffix("\n") for line in lines(text)]
