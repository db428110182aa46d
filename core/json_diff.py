"""The difference of two JSON values, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from core.model import JSONValue


class Difference(StrEnum):
    """How one place differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class JSONChange:
    """One place that differs. ``path`` is a JSON Pointer (RFC 6901), empty for the whole value.

    ``before`` is ``None`` for what was added, ``after`` for what was removed.
    """

    path: str
    difference: Difference
    before: JSONValue
    after: JSONValue


def differences(before: JSONValue, after: JSONValue) -> list[JSONChange]:
    """Every place where ``after`` differs from ``before``, in the order of ``before``, what was added last.

    Objects are compared by key and lists by index; a bool never equals a number. Pure.
    """
    return list(_walk("", before, after))


def _walk(path: str, before: JSONValue, after: JSONValue) -> Iterator[JSONChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from _walk(f"{path}/{_escaped(key)}", value, after[key])
            else:
                yield JSONChange(f"{path}/{_escaped(key)}", Difference.REMOVED, value, None)
        for key, value in after.items():
            if key not in before:
                yield JSONChange(f"{path}/{_escaped(key)}", Difference.ADDED, None, value)
    elif isinstance(before, list) and isinstance(after, list):
        shared = min(len(before), len(after))
        for index in range(shared):
            yield from _walk(f"{path}/{index}", before[index], after[index])
        for index in range(shared, len(before)):
            yield JSONChange(f"{path}/{index}", Difference.REMOVED, before[index], None)
        for index in range(shared, len(after)):
            yield JSONChange(f"{path}/{index}", Difference.ADDED, None, after[index])
    elif type(before) is not type(after) or before != after:
        yield JSONChange(path, Difference.CHANGED, before, after)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
