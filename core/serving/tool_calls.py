"""The tools as a protocol sees them: a name, a schema of what goes in and what comes out, a call and its outcome."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from core.errors import BailiwickError, InvalidInput
from core.serving.calls import CallShape, shapes
from core.serving.tool_answers import plain
from core.serving.toolbox import Toolbox
from core.serving.wire import WireError, encode

_log = logging.getLogger(__name__)
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
# Objects first: there are clients that take the first type alone.
_ANYTHING = ["object", "array", "string", "number", "boolean", "null"]


@dataclass(frozen=True, slots=True)
class ToolShape:
    """One tool: JSON Schemas of what it ``takes`` and ``answers``."""

    name: str
    description: str
    takes: Mapping[str, Any]
    answers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: a JSON object, and the text that an agent reads; ``failed`` where it was refused."""

    document: Mapping[str, Any]
    text: str
    failed: bool = False


@cache
def tools() -> Mapping[str, ToolShape]:
    """Every tool by name."""
    return {name: _tool(shape) for name, shape in shapes(Toolbox).items()}


def perform(toolbox: Toolbox, name: str, arguments: Mapping[str, Any]) -> Outcome:
    """Call a tool that is one of ``tools``. Never raises: what goes wrong is told in one sentence with a hint."""
    shape = shapes(Toolbox)[name]
    try:
        document = plain(getattr(toolbox, name)(**_read(shape, arguments)))
        return Outcome(document, _text(document))
    except WireError as error:
        return _refusal(InvalidInput(f"The call does not fit: {error}."))
    except BailiwickError as error:
        return _refusal(error)
    except UnicodeEncodeError:
        return _refusal(InvalidInput("What was given is not valid text.", "Use UTF-8."))
    except Exception as error:  # noqa: BLE001 - the agent gets a sentence, the log the rest
        _log.error("the tool %s failed", name, exc_info=error)
        return _refusal(
            BailiwickError(f"Something broke inside Bailiwick ({type(error).__name__}).", "Its log tells more.")
        )


def _read(shape: CallShape, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, checked; ``null`` for what may be left out is taken as left out, as some clients mean it."""
    given = {
        name: each
        for name, each in arguments.items()
        if each is not None
        or name not in shape.takes
        or shape.signature.parameters[name].default is inspect.Signature.empty
    }
    return shape.read(given)


def _refusal(error: BailiwickError) -> Outcome:
    from core.privacy import scrub

    # What was given may be repeated in it, line ends and all.
    message, hint = (" ".join(scrub(each).split()) for each in (error.message, error.hint))
    try:
        facts: dict[str, Any] = encode(error.facts)
    except TypeError:
        facts = {}
    sentence = f"{message} {hint}".strip()
    text = f"{sentence}\n{_text(facts)}" if facts else sentence
    return Outcome({"error": message, "hint": hint, **facts}, text, failed=True)


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _tool(shape: CallShape) -> ToolShape:
    function = getattr(Toolbox, shape.name)
    hints = get_type_hints(function, include_extras=True)
    parameters = shape.signature.parameters
    takes: dict[str, Any] = {
        "type": "object",
        "properties": {name: _schema(hints[name]) for name in parameters},
    }
    if needed := [name for name, each in parameters.items() if each.default is each.empty]:
        takes["required"] = needed
    described = " ".join((inspect.getdoc(function) or "").split())
    return ToolShape(shape.name, described, takes, _answer_schema(shape.answers))


def _answer_schema(kind: type) -> dict[str, Any]:
    """The fields that every answer has; what is in its lists, and what is there at times only, is left to be seen."""
    hints = get_type_hints(kind)
    always = [each.name for each in fields(kind) if each.default is MISSING]
    return {
        "type": "object",
        "properties": {name: {} if hints[name] is Any else _schema(hints[name]) for name in always},
    }


def _schema(hint: Any) -> dict[str, Any]:
    """A type hint as JSON Schema; without titles and defaults, since agents pay for each word."""
    if get_origin(hint) is Annotated:
        inner, description, *_ = get_args(hint)
        return {**_schema(inner), "description": description}
    if hint is Any:
        return {"type": _ANYTHING}
    if get_origin(hint) in (Union, UnionType):
        members = [_schema(each) for each in get_args(hint) if each is not NoneType]
        return members[0] if len(members) == 1 else {"type": [each["type"] for each in members]}
    if get_origin(hint) in (list, tuple, Sequence):
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if is_dataclass(hint) or get_origin(hint) is dict:
        return {"type": "object"}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"type": "string", "enum": [each.value for each in hint]}
    return {"type": _TYPES[hint]}
