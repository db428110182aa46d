"""How values travel through the door: frozen dataclasses to JSON and back, by their type hints."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, ForwardRef, Union, get_args, get_origin, get_type_hints

from core import errors
from core.errors import BailiwickError, Unreachable
from core.events import Event, LibrariesChanged, ModelStateChanged, Notice, ProblemFound, Progress

RELAYED_EVENTS: tuple[type[Event], ...] = (Progress, ProblemFound, Notice, ModelStateChanged, LibrariesChanged)
"""The events that only the engine knows of; what AgentFS tells, every process sees for itself."""

_TAG = "is"
_FAMILIES: dict[type, dict[str, type]] = {Event: {each.__name__: each for each in RELAYED_EVENTS}}
_TAGS = {member: name for family in _FAMILIES.values() for name, member in family.items()}
_ERRORS: dict[str, type[BailiwickError]] = {
    name: each for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, BailiwickError)
}
_SEQUENCES = (tuple, list, Sequence)
_MAPPINGS = (dict, Mapping)


class WireError(ValueError):
    """A value that is not what its type hint says, in one sentence without the value itself."""


def encode(value: object) -> Any:
    """``value`` as JSON can hold it; raises TypeError for what has no form on the wire."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        encoded = {each.name: encode(getattr(value, each.name)) for each in fields(value)}
        return {_TAG: _TAGS[type(value)], **encoded} if type(value) in _TAGS else encoded
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): encode(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [encode(each) for each in value]
    raise TypeError(f"{type(value).__name__} does not travel through the door")


def decode(hint: Any, value: Any, where: str = "the value") -> Any:
    """What ``encode`` made of a value of type ``hint``.

    Raises WireError naming ``where`` it does not fit, and passes on what a dataclass' own checks raise.
    """
    if hint is Any or isinstance(hint, ForwardRef):
        return value
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(hint), value, where)
    if origin in _SEQUENCES or hint in _SEQUENCES:
        return _decode_sequence(hint, value, where)
    if origin in _MAPPINGS or hint in _MAPPINGS:
        if not isinstance(value, dict):
            raise WireError(f"{where} must be an object")
        inner = (get_args(hint) or (str, Any))[1]
        return {key: decode(inner, each, f"{where}[{key[:40]!r}]") for key, each in value.items()}
    if isinstance(hint, type):
        return _decode_plain(hint, value, where)
    raise TypeError(f"{hint} does not travel through the door")


def _decode_plain(kind: type, value: Any, where: str) -> Any:
    if kind is type(None) and value is None:
        return None
    if is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    if issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise WireError(f"{where} must be one of {', '.join(str(each.value) for each in kind)}") from None
    if kind is datetime and isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise WireError(f"{where} must be a moment in ISO 8601") from None
    # To Python True is a 1, and a whole float travels as it is.
    fits = isinstance(value, float | int) if kind is float else isinstance(value, kind)
    if kind not in (bool, int, float, str) or not fits or (isinstance(value, bool) and kind is not bool):
        raise WireError(f"{where} must be of type {kind.__name__}")
    return float(value) if kind is float else value


def _decode_dataclass(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise WireError(f"{where} must be an object")
    given = dict(value)
    tag = given.pop(_TAG, None) if kind in _FAMILIES or kind in _TAGS else None
    if kind in _FAMILIES:
        member = _FAMILIES[kind].get(tag) if isinstance(tag, str) else None
        if member is None:
            raise WireError(f"{where} is of no known kind")
        kind = member
    hints, needed = _fields_of(kind)
    if unknown := given.keys() - hints.keys():
        raise WireError(f"{where} has no {min(unknown)[:40]!r}")
    if missing := needed - given.keys():
        raise WireError(f"{where} lacks {min(missing)}")
    decoded = {name: decode(hints[name], each, f"{where}.{name}") for name, each in given.items()}
    try:
        return kind(**decoded)
    except BailiwickError:
        raise
    except (TypeError, ValueError):
        raise WireError(f"{where} is not a usable {kind.__name__}") from None


@lru_cache
def _fields_of(kind: Any) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The type hints of a dataclass' fields, and the names of those that have no default."""
    hints = get_type_hints(kind)
    listed = fields(kind)
    needed = (each.name for each in listed if each.default is MISSING and each.default_factory is MISSING)
    return {each.name: hints[each.name] for each in listed}, frozenset(needed)


def _decode_union(members: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in members:
        return None
    rest = [member for member in members if member is not type(None)]
    for member in rest[:-1]:
        try:
            return decode(member, value, where)
        except WireError:
            continue
    return decode(rest[-1], value, where)


def _decode_sequence(hint: Any, value: Any, where: str) -> Any:
    if not isinstance(value, list):
        raise WireError(f"{where} must be a list")
    origin, members = get_origin(hint) or hint, get_args(hint)
    if origin is tuple and members and not (len(members) == 2 and members[1] is Ellipsis):
        if len(members) != len(value):
            raise WireError(f"{where} must hold {len(members)} values")
        return tuple(
            decode(member, each, f"{where}[{n}]") for n, (member, each) in enumerate(zip(members, value, strict=True))
        )
    inner = members[0] if members else Any
    decoded = [decode(inner, each, f"{where}[{number}]") for number, each in enumerate(value)]
    return decoded if origin is list else tuple(decoded)


def encode_error(error: BailiwickError) -> dict[str, Any]:
    """What travels of an error: its sentence, its hint, and what is needed to raise it again."""
    kind = next(each.__name__ for each in type(error).__mro__ if _ERRORS.get(each.__name__) is each)
    document = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code, "kind": kind}
    return {**document, "facts": encode(error.facts)} if error.facts else document


def decode_error(document: Any) -> BailiwickError:
    """The error that ``encode_error`` wrote, of the same class where ``core.errors`` has it; raises WireError."""
    if not isinstance(document, dict):
        raise WireError("the error must be an object")
    message = decode(str, document.get("error"), "error")
    hint = decode(str, document.get("hint", ""), "hint")
    exit_code = decode(int, document.get("exit_code"), "exit_code")
    facts = decode(dict[str, Any], document.get("facts", {}), "facts")
    error = _ERRORS.get(str(document.get("kind")), BailiwickError)(message, hint, facts)
    if error.exit_code != exit_code:
        error.exit_code = exit_code
    return error


def not_understood() -> Unreachable:
    """What is raised for an answer that makes no sense to this version."""
    return Unreachable(
        "The engine answers what this process does not understand.",
        "It may be another version of Bailiwick: end it and start it again.",
    )
