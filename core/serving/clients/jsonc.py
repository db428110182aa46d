"""JSON with comments and trailing commas, edited as text: one member is set, every other character stays."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.model import JSONValue

DEEPEST = 200
_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_REST_OF_LINE = re.compile(r"[ \t]*(?:/\*[^\n]*?\*/[ \t]*)*(?://[^\n]*)?")
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_INDENT = "  "


class NotJSON(ValueError):
    """The text is not JSON, comments and trailing commas aside; the message says where."""


@dataclass(slots=True)
class _Node:
    """A value with its place in the text; ``members`` of an object in order, each with its key's place."""

    start: int
    end: int
    value: JSONValue
    members: list[tuple[str, int, _Node]] = field(default_factory=list)


def parse(text: str) -> JSONValue:
    """The value of ``text``; raises NotJSON. Of members with the same key the last one counts."""
    return _Reader(text).document().value


def with_member(text: str, path: Sequence[str], value: JSONValue) -> str:
    """``text`` with ``value`` at ``path``, an object's member in an object's member and so on.

    Objects on the way are made where there are none. Raises NotJSON, also when something on the way is no object.
    """
    if not text.strip("\ufeff \t\r\n"):
        return json.dumps(_nested(path, value), ensure_ascii=False, indent=_INDENT) + "\n"
    node = _Reader(text).document()
    for depth, key in enumerate(path):
        if not isinstance(node.value, dict):
            raise NotJSON(f"{'.'.join(path[:depth]) or 'the whole'} is not an object")
        member = next((each for each in reversed(node.members) if each[0] == key), None)
        if member is None:
            return _inserted(text, node, key, _nested(path[depth + 1 :], value))
        node = member[2]
    newline = "\r\n" if "\r\n" in text else "\n"
    return text[: node.start] + _dumped(value, _indent_at(text, node.start), newline) + text[node.end :]


def _nested(path: Sequence[str], value: JSONValue) -> JSONValue:
    for key in reversed(path):
        value = {key: value}
    return value


def _inserted(text: str, node: _Node, key: str, value: JSONValue) -> str:
    """``text`` with a new last member of the object ``node``, on a line of its own where its members are on lines."""
    newline = "\r\n" if "\r\n" in text else "\n"
    inside = text[node.start + 1 : node.end - 1]
    name = json.dumps(key, ensure_ascii=False)
    base = _indent_at(text, node.start)
    if not node.members:
        member = f"{base}{_INDENT}{name}: {_dumped(value, base + _INDENT, newline)}"
        rest = inside.rstrip()
        return f"{text[: node.start + 1]}{rest}{newline}{member}{newline}{base}{text[node.end - 1 :]}"
    _, last_key, last = node.members[-1]
    if "\n" not in inside:
        compact = json.dumps(value, ensure_ascii=False)
        return f"{text[: last.end]}, {name}: {compact}{text[last.end :]}"
    after = _BLANK.match(text, last.end)
    assert after is not None
    has_comma = text.startswith(",", after.end())
    place = _end_of_line(text, after.end() + 1 if has_comma else last.end)
    own = _indent_at(text, last_key)
    member = f"{newline}{own}{name}: {_dumped(value, own, newline)}{',' if has_comma else ''}"
    tail = text[place:]
    if tail.lstrip(" \t").startswith("}"):
        tail = f"{newline}{base}{tail.lstrip()}"
    comma = "" if has_comma else ","
    return f"{text[: last.end]}{comma}{text[last.end : place]}{member}{tail}"


def _end_of_line(text: str, position: int) -> int:
    """Where what stands on the line after ``position`` ends, if that is a comment, else ``position``."""
    match = _REST_OF_LINE.match(text, position)
    assert match is not None
    return match.end() if text[match.end() : match.end() + 2].startswith(("\n", "\r\n")) else position


def _dumped(value: JSONValue, indent: str, newline: str) -> str:
    lines = json.dumps(value, ensure_ascii=False, indent=_INDENT).split("\n")
    return (newline + indent).join(lines)


def _indent_at(text: str, position: int) -> str:
    """The blanks that the line of ``position`` begins with."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> _Node:
        self._skip()
        node = self._value(0)
        self._skip()
        if self._at != len(self._text):
            raise self._wrong("something stands behind the end")
        return node

    def _value(self, depth: int) -> _Node:
        if depth > DEEPEST:
            raise self._wrong("it is nested too deeply")
        start = self._at
        if self._text.startswith("{", start):
            return self._object(depth)
        if self._text.startswith("[", start):
            return self._array(depth)
        if self._text.startswith('"', start):
            text = self._string()
            return _Node(start, self._at, text)
        match = _SCALAR.match(self._text, start)
        if match is None:
            raise self._wrong("no value is here")
        self._at = match.end()
        scalar: JSONValue = json.loads(match[0])
        return _Node(start, self._at, scalar)

    def _object(self, depth: int) -> _Node:
        start = self._at
        members: list[tuple[str, int, _Node]] = []
        self._at += 1
        self._skip()
        while not self._text.startswith("}", self._at):
            key_at = self._at
            key = self._string()
            self._skip()
            self._expect(":")
            self._skip()
            members.append((key, key_at, self._value(depth + 1)))
            self._next("}")
        self._at += 1
        return _Node(start, self._at, {key: node.value for key, _, node in members}, members)

    def _array(self, depth: int) -> _Node:
        start = self._at
        values: list[JSONValue] = []
        self._at += 1
        self._skip()
        while not self._text.startswith("]", self._at):
            values.append(self._value(depth + 1).value)
            self._next("]")
        self._at += 1
        return _Node(start, self._at, values)

    def _next(self, closing: str) -> None:
        """Go on behind a comma; one before ``closing`` is allowed."""
        self._skip()
        if not self._text.startswith(closing, self._at):
            self._expect(",")
            self._skip()

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise self._wrong("no text in quotes is here")
        try:
            value = json.loads(match[0])
        except ValueError:
            raise self._wrong("the text in quotes is malformed") from None
        self._at = match.end()
        return str(value)

    def _expect(self, sign: str) -> None:
        if not self._text.startswith(sign, self._at):
            raise self._wrong(f"{sign!r} is missing")
        self._at += 1

    def _skip(self) -> None:
        match = _BLANK.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _wrong(self, what: str) -> NotJSON:
        return NotJSON(f"line {self._text.count(chr(10), 0, self._at) + 1}: {what}")
