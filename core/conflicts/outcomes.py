"""How a conflict was settled: by whom, with which result, and why; kept in its record and told in the audit trail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.agentfs.database import from_text, to_text
from core.model import JSONObject, JSONValue

_HASHES = ("base", "local", "remote", "result", "before")
_EPOCH = "1970-01-01T00:00:00+00:00"


class RuledBy(StrEnum):
    """What decided."""

    AUTOMATIC = "automatic"
    """The sides fit together, or a rule that needs no judgement."""
    SUPERVISOR = "supervisor"
    """The deterministic rules over declared responsibilities."""
    AGENT = "supervisor_agent"
    PERSON = "person"


class Took(StrEnum):
    """What the result is."""

    LOCAL = "local"
    REMOTE = "remote"
    BASE = "base"
    MERGED = "merged"
    """What both sides changed, put together by rule."""
    CHOSEN = "chosen"
    """Place by place, or written by hand."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One ruling. ``who`` ruled on ``device``, ``at`` a moment; ``why`` is a sentence without any content.

    The hashes are SHA-256 of the three contents, of the result, and of what stood ``before`` at the object; ``None``
    where there is nothing.
    """

    by: RuledBy
    took: Took
    why: str
    who: str
    device: str
    at: datetime
    base: str | None = None
    local: str | None = None
    remote: str | None = None
    result: str | None = None
    before: str | None = None

    @property
    def exchanged(self) -> Outcome:
        """The same as it is seen where the two sides are the other way round."""
        took = {Took.LOCAL: Took.REMOTE, Took.REMOTE: Took.LOCAL}.get(self.took, self.took)
        return replace(self, took=took, local=self.remote, remote=self.local)

    @property
    def hashes(self) -> JSONObject:
        """The hashes by their names."""
        return {name: getattr(self, name) for name in _HASHES}


def outcome_json(outcome: Outcome) -> dict[str, JSONValue]:
    """The outcome as JSON."""
    return {
        "by": outcome.by.value,
        "took": outcome.took.value,
        "why": outcome.why,
        "who": outcome.who,
        "device": outcome.device,
        "at": to_text(outcome.at),
        **outcome.hashes,
    }


def read_outcome(told: Any) -> Outcome:
    """What ``outcome_json`` gave; raises ValueError, TypeError or KeyError for anything else.

    Records of before rulings were made name what was taken and the rule alone.
    """
    if "rule" in told:
        return Outcome(RuledBy.AUTOMATIC, Took(told["take"]), _text(told["rule"]), "", "", from_text(_EPOCH))
    hashes = [told[name] for name in _HASHES]
    if not all(each is None or isinstance(each, str) for each in hashes):
        raise TypeError("no hashes")
    return Outcome(
        RuledBy(told["by"]),
        Took(told["took"]),
        _text(told["why"]),
        _text(told["who"]),
        _text(told["device"]),
        from_text(told["at"]),
        *hashes,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
