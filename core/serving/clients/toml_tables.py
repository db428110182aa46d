"""TOML edited as text: one table is replaced or appended, every other character stays."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.model import JSONValue

_HEADER = re.compile(r"^[ \t]*\[.*$", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
Scalar = str | int | bool | Sequence[str]


class NotTOML(ValueError):
    """The text is not TOML, or says what is to be set in a way that cannot be replaced; the message says why."""


@dataclass(frozen=True, slots=True)
class _Header:
    start: int
    path: tuple[str, ...]


def parse(text: str) -> dict[str, Any]:
    """The document; raises NotTOML."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise NotTOML(str(error) or "it is nested too deeply") from None


def with_table(text: str, path: Sequence[str], table: Mapping[str, Scalar]) -> str:
    """``text`` with the table at ``path``, instead of the one that is there; tables inside that one stay.

    Raises NotTOML, also where the table is not written under a header of its own.
    """
    before = parse(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = newline.join([f"[{'.'.join(map(_key, path))}]", *(f"{_key(k)} = {_value(v)}" for k, v in table.items())])
    headers = [*_headers(text), _Header(len(text), ())]
    place = next((n for n, each in enumerate(headers) if each.path == tuple(path)), None)
    if place is None:
        rest = text.rstrip()
        changed = f"{rest}{newline * 2 if rest else ''}{block}{newline}"
    else:
        start, end = headers[place].start, _end_of_table(text, headers[place + 1].start)
        changed = f"{text[:start]}{block}{newline if end == len(text) else ''}{text[end:]}"
    if _without_inner(parse(changed), path) != _without_inner(_set(before, path, table), path):
        raise NotTOML(f"{'.'.join(path)} is not a table under a header of its own")
    return changed


def _end_of_table(text: str, limit: int) -> int:
    """Where the last line of a table ends that is more than a comment: what stands behind belongs to what follows."""
    lines = text[:limit].splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        limit -= len(lines.pop())
    return limit - (len(lines[-1]) - len(lines[-1].rstrip("\r\n")) if lines else 0)


def _headers(text: str) -> Iterator[_Header]:
    """The headers of tables; a line in a long text or list that looks like one has no whole document before it."""
    for match in _HEADER.finditer(text):
        try:
            tomllib.loads(text[: match.start()])
            named = tomllib.loads(match[0])
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
        path: list[str] = []
        inner: Any = named
        while isinstance(inner, dict) and inner:
            key, inner = next(iter(inner.items()))
            path.append(key)
        yield _Header(match.start(), tuple(path))


def _set(document: dict[str, Any], path: Sequence[str], table: Mapping[str, Scalar]) -> dict[str, Any]:
    key, *rest = path
    held = document.get(key, {})
    inner = held if isinstance(held, dict) else {}
    plain = {name: list(each) if isinstance(each, tuple) else each for name, each in table.items()}
    return {**document, key: _set(inner, rest, table) if rest else plain}


def _without_inner(document: dict[str, Any], path: Sequence[str]) -> JSONValue:
    """The document without the tables inside the one at ``path``, as a text that can be compared."""
    key, *rest = path
    held = document.get(key)
    if rest:
        cut: Any = _without_inner(held, rest) if isinstance(held, dict) else held
    else:
        cut = {k: v for k, v in held.items() if not isinstance(v, dict)} if isinstance(held, dict) else held
    return json.dumps({**document, key: cut}, default=str, sort_keys=True)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"[{', '.join(map(_value, value))}]"
