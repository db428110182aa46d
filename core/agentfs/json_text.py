"""What agents hand in, as canonical JSON that every reader can take in again."""

from __future__ import annotations

from core.agentfs.database import to_json
from core.errors import InvalidInput
from core.model import JSONValue

DEEPEST = 128


def checked_json(value: JSONValue, what: str) -> str:
    """``value`` as canonical JSON; raises InvalidInput, saying of ``what``, when it is none or nested too deeply.

    Deeper than ``DEEPEST`` levels, a value that one program can write is one that another cannot read.
    """
    try:
        text = to_json(value)
        text.encode()
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput(
            f"{what} is not JSON: only null, true, false, finite numbers, text, lists, objects."
        ) from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise InvalidInput(f"{what} is nested more than {DEEPEST} levels deep.", "Make it flatter.")
    return text


def _depth(value: JSONValue) -> int:
    depth = 0
    level = [value]
    while level := [each for each in level if isinstance(each, list | tuple | dict)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth
