"""The spool's lines as values: what a hook left, checked again, and without what a name must not hold."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from core.agentfs.activity import ReportedCall
from core.agentfs.readable import without_secrets
from core.ids import looks_like_id, stable_id
from core.intake.edited_files import MOST_FILES
from core.intake.leased_files import MOST_LEASES
from core.intake.payloads import (
    CLIENTS,
    EVENTS,
    FAILED,
    HANDED,
    INTERRUPTED,
    LONGEST_ID,
    LONGEST_NAME,
    LONGEST_PATH,
    SEEN,
    is_kind,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ERROR = re.compile(rf"exit code -?\d{{1,10}}|{FAILED}|{INTERRUPTED}")
_EVENTS = frozenset({*EVENTS.values(), SEEN, HANDED})
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_MOST_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class HookRecord:
    """One call of a hook. ``project`` is the folder's last name, ``agent`` who was named in the environment.

    ``failure`` is the client's word for why a turn failed; ``messages`` are the sequence numbers of what was handed
    over to the agent ``handed_to``. ``files`` are hashes of the paths that a tool changes, ``leases`` the ids of those
    that they lie under.
    """

    at: datetime
    client: str
    event: str
    project: str
    project_sha256: str
    agent: str = ""
    session: str = ""
    call: ReportedCall | None = None
    transcript: str = ""
    failure: str = ""
    handed_to: str = ""
    messages: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    leases: tuple[str, ...] = ()


def parse(line: bytes, now: datetime) -> HookRecord | None:
    """The record in a line, ``None`` where it holds none; ``now`` is the latest time it can be of."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("client") not in CLIENTS or told.get("event") not in _EVENTS:
        return None
    at, project_sha256 = _moment(told.get("at")), _hash(told.get("project_sha256"))
    if at is None or project_sha256 is None:
        return None
    event = told["event"]
    call = _call(told) if event in ("begin", "finish") else None
    if event in ("begin", "finish") and call is None:
        event = SEEN
    messages = told.get("messages")
    return HookRecord(
        at=min(at, now),
        client=told["client"],
        event=event,
        project=_text(told, "project", LONGEST_NAME),
        project_sha256=project_sha256,
        agent=_text(told, "agent", LONGEST_NAME),
        session=_id(told, "session"),
        call=call,
        transcript=_text(told, "transcript", LONGEST_PATH),
        failure=str(told["error"]) if event == "fail" and is_kind(told.get("error")) else "",
        handed_to=_text(told, "agent_id", LONGEST_ID),
        messages=tuple(each for each in messages[:_MOST_MESSAGES] if isinstance(each, int) and 0 < each < 1 << 62)
        if isinstance(messages, list)
        else (),
        files=tuple(each for each in _list(told, "files", MOST_FILES) if _hash(each)),
        leases=tuple(each for each in _list(told, "leases", MOST_LEASES) if looks_like_id(each)),
    )


def _call(told: dict[str, object]) -> ReportedCall | None:
    tool = without_secrets(_text(told, "tool", LONGEST_NAME))
    if not tool:
        return None
    error, duration = _text(told, "error", 40), told.get("ms")
    return ReportedCall(
        tool=tool,
        external_id=_id(told, "call"),
        parameters_sha256=_hash(told.get("parameters")),
        result_sha256=_hash(told.get("result")),
        error=error if not error or _ERROR.fullmatch(error) else FAILED,
        duration_ms=duration if isinstance(duration, int) and 0 <= duration < 10**12 else None,
    )


def _id(told: dict[str, object], name: str) -> str:
    """What a client calls something; where that looks like a secret, a name made from it."""
    text = _text(told, name, LONGEST_ID)
    return text if without_secrets(text) == text else stable_id(text)


def _text(told: dict[str, object], name: str, longest: int) -> str:
    value = told.get(name)
    return value if isinstance(value, str) and len(value) <= longest and value.isprintable() else ""


def _list(told: dict[str, object], name: str, most: int) -> list[str]:
    value = told.get(name)
    return [each for each in value[:most] if isinstance(each, str)] if isinstance(value, list) else []


def _hash(value: object) -> str | None:
    return value if isinstance(value, str) and _SHA256.fullmatch(value) else None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 53:
        return None
    at = datetime.fromtimestamp(value / 1_000_000, UTC)
    return at if at > _EARLIEST else None
