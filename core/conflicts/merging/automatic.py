"""What is settled without anybody: equal sides, a side that left it alone, and a merge that leaves nothing open."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from core.conflicts.merging.decisions import (
    ABSENT,
    Absent,
    Choice,
    Content,
    Decision,
    DecisionKind,
    Decisions,
    Form,
    Resolved,
    resolve,
)
from core.conflicts.merging.json_merge import merge_json
from core.conflicts.merging.text_merge import merge_text
from core.errors import InvalidInput
from core.model import JSONValue

LARGEST_MERGED = 8 * 1024 * 1024
"""Bytes of one side beyond which nothing is merged: somebody takes one side whole."""


class Media(StrEnum):
    """As what bytes are merged."""

    JSON = "json"
    TEXT = "text"
    BINARY = "binary"


class Settled(StrEnum):
    """How it was settled; ``OPEN`` where somebody has to decide."""

    IDENTICAL = "identical"
    LOCAL = "local"
    """Remote left it alone."""
    REMOTE = "remote"
    MERGED = "merged"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Automatic:
    """What rules alone make of three versions. ``decisions`` tell it place by place, and can be made anew.

    ``content`` is the result, ``None`` where there is to be nothing; while it is open, base stands at what is open.
    """

    settled: Settled
    media: Media
    decisions: Decisions
    content: bytes | None


def merge(base: bytes | None, local: bytes | None, remote: bytes | None, media: Media | None = None) -> Automatic:
    """Settle three versions as far as rules go; ``None`` is a version that is not there. Pure, never raises.

    Without ``media`` it is JSON when all of them are JSON objects or lists, text when all are text. A base that is
    not at hand is given as ``None``: then only what both sides have is common.
    """
    known = media or media_of(base, local, remote)
    sides = _sides(known, base, local, remote)
    if sides is None:
        known = Media.BINARY
        sides = (_whole(base), _whole(local), _whole(remote))
    if local == remote:
        return Automatic(Settled.IDENTICAL, known, _one(sides, Choice.LOCAL), local)
    decisions = _decisions(known, *sides)
    if remote == base:
        return Automatic(Settled.LOCAL, known, decisions, local)
    if local == base:
        return Automatic(Settled.REMOTE, known, decisions, remote)
    if decisions.open:
        return Automatic(Settled.OPEN, known, decisions, written(known, resolve(decisions), like=local))
    return Automatic(Settled.MERGED, known, decisions, written(known, resolve(decisions), like=local))


def media_of(*versions: bytes | None) -> Media:
    """As what the versions can be merged: what all of them are."""
    present = [version for version in versions if version is not None]
    if any(len(version) > LARGEST_MERGED or _text(version) is None for version in present):
        return Media.BINARY
    return Media.JSON if present and all(_is_structure(version) for version in present) else Media.TEXT


def written(media: Media, resolved: Resolved, *, like: bytes | None = None) -> bytes | None:
    """The result as bytes, ``None`` where there is to be nothing; JSON is laid out as in the version ``like``.

    Raises InvalidInput for what was written by hand and is not of that media.
    """
    content = resolved.content
    if isinstance(content, Absent):
        return None
    if isinstance(content, bytes):
        return content
    if media is Media.JSON:
        return _json(content, like)
    if not isinstance(content, str):
        raise InvalidInput("The result has to be text.")
    return content.encode("utf-8", "surrogatepass")


def _sides(media: Media, *versions: bytes | None) -> tuple[Content, Content, Content] | None:
    """The versions as ``media`` has them; ``None`` when one is not that."""
    found: list[Content] = []
    for version in versions:
        if version is None:
            found.append(ABSENT)
        elif media is Media.BINARY:
            found.append(_whole(version))
        else:
            text = _text(version)
            if text is None:
                return None
            if media is Media.TEXT:
                found.append(text)
                continue
            try:
                found.append(parse_json(text))
            except (ValueError, RecursionError):
                return None
    base, local, remote = found
    return base, local, remote


def _decisions(media: Media, base: Content, local: Content, remote: Content) -> Decisions:
    if isinstance(local, Absent) or isinstance(remote, Absent) or media is Media.BINARY:
        return _one((base, local, remote), _choice(base, local, remote))
    try:
        if media is Media.JSON and not isinstance(local, bytes) and not isinstance(remote, bytes):
            return merge_json(base, local, remote)
    except RecursionError:
        return _one((base, local, remote), _choice(base, local, remote))
    if isinstance(local, str) and isinstance(remote, str):
        return merge_text(base if isinstance(base, str) else "", local, remote)
    return _one((base, local, remote), _choice(base, local, remote))


def _one(sides: tuple[Content, Content, Content], choice: Choice) -> Decisions:
    base, local, remote = sides
    if isinstance(base, Absent):
        kind = DecisionKind.ADD_ADD
    elif isinstance(local, Absent) != isinstance(remote, Absent):
        kind = DecisionKind.DELETE_MODIFY
    else:
        kind = DecisionKind.VALUE
    decision = Decision("", kind, base, local, remote, choice, auto=choice is not Choice.UNRESOLVED)
    return Decisions(Form.WHOLE, (decision,))


def _choice(base: Content, local: Content, remote: Content) -> Choice:
    if remote == base or local == remote:
        return Choice.LOCAL
    return Choice.REMOTE if local == base else Choice.UNRESOLVED


def _whole(version: bytes | None) -> Content:
    return ABSENT if version is None else version


def _text(version: bytes) -> str | None:
    if b"\0" in version:
        return None
    try:
        return version.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_structure(version: bytes) -> bool:
    if version.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        return isinstance(parse_json(version.decode("utf-8")), dict | list)
    except (ValueError, RecursionError):
        return False


def parse_json(text: str) -> JSONValue:
    """JSON of which nothing is lost by reading it; raises ValueError for a key that is there twice, for a number that
    a float cannot hold, and for what is no JSON.
    """
    value: JSONValue = json.loads(text, object_pairs_hook=_members, parse_float=_exact, parse_constant=_no_number)
    return value


def _members(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key is there twice")
    return members


def _exact(digits: str) -> float:
    number = float(digits)
    if Decimal(digits) != Decimal(repr(number)):
        raise ValueError(f"{digits} is not held exactly")
    return number


def _no_number(name: str) -> JSONValue:
    raise ValueError(f"{name} is no JSON")


def _json(value: JSONValue, like: bytes | None) -> bytes:
    """JSON on one line as our own is written, or indented where the version ``like`` is."""
    text = _text(like) if like is not None else None
    if text is not None and "\n" in text.strip():
        indent = next((len(line) - len(line.lstrip(" ")) for line in text.splitlines() if line.startswith(" ")), 2)
        end = "\n" if text.endswith("\n") else ""
        return (json.dumps(value, indent=indent, ensure_ascii=False) + end).encode("utf-8", "surrogatepass")
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return written.encode("utf-8", "surrogatepass")
