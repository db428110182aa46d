"""What a call was about, in a few words without secrets and personal data, read later from the client's transcript."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.errors import BailiwickError
from core.model import JSONValue

MOST_CALLS = 100
MOST_TRIES = 5
LARGEST_READ = 32 * 1024 * 1024
LONGEST_LINE = 4 * 1024 * 1024
LONGEST_SUMMARY = 120
PRIVATE = "(private)"
_TELLING = (
    "command",
    "cmd",
    "file_path",
    "filePath",
    "notebook_path",
    "path",
    "pattern",
    "query",
    "url",
    "description",
)
_PATHS = frozenset({"file_path", "filePath", "notebook_path", "path"})
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)


class Summariser:
    """For one thread at a time."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def step(self) -> int:
        """Summarise calls that wait for it, as far as their transcripts say something; returns how many wait still.

        One whose transcript says nothing of it after some tries stays without a summary.
        """
        agentfs = self._agentfs
        with translated(agentfs.database.path):
            due = (
                agentfs.database.connection()
                .execute(
                    "SELECT d.call_id, d.transcript, d.tries, c.external_id, c.agent_id, c.session_id"
                    " FROM summaries_due d JOIN tool_calls c ON c.id = d.call_id ORDER BY d.tries, d.call_id LIMIT ?",
                    (MOST_CALLS,),
                )
                .fetchall()
            )
        if not due:
            return 0
        found: dict[str, str] = {}
        for transcript in {row["transcript"] for row in due}:
            wanted = {row["external_id"]: row["call_id"] for row in due if row["transcript"] == transcript}
            for external_id, told in _inputs(Path(os.path.expanduser(transcript)), wanted):
                found[wanted[external_id]] = self._summary(told)
        with agentfs.database.transaction() as connection:
            for row in due:
                if row["call_id"] in found:
                    connection.execute(
                        "UPDATE tool_calls SET summary = ? WHERE id = ?", (found[row["call_id"]], row["call_id"])
                    )
                if row["call_id"] in found or row["tries"] + 1 >= MOST_TRIES:
                    connection.execute("DELETE FROM summaries_due WHERE call_id = ?", (row["call_id"],))
                else:
                    connection.execute(
                        "UPDATE summaries_due SET tries = tries + 1 WHERE call_id = ?", (row["call_id"],)
                    )
            if found:
                by = Actor(ActorKind.ENGINE, agentfs.device, "hook")
                agentfs.audit.append(connection, by, "call.summarise", due[0]["call_id"], {"calls": len(found)})
            left = connection.execute("SELECT count(*) FROM summaries_due").fetchone()[0]
        return int(left)

    def _summary(self, told: JSONValue) -> str:
        key, text = _telling(told)
        if not text:
            return ""
        if key in _PATHS and self._agentfs.guard.rules.matching_patterns(text):
            return PRIVATE
        # Imported here: what finds secrets is large, and most engines see no hook for hours.
        from core.privacy import redact

        try:
            # Cut after redaction alone: half a secret is none that could be found.
            redacted = redact({key: text}, self._agentfs.guard.classifier()).value
        except BailiwickError:
            return PRIVATE
        assert isinstance(redacted, dict)
        line = " ".join(str(next(iter(redacted.values()))).split())
        line = line if line.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in line)
        return line if len(line) <= LONGEST_SUMMARY else f"{line[: LONGEST_SUMMARY - 1]}…"


def _telling(told: JSONValue) -> tuple[str, str]:
    """The part of a tool's input that says most about it, with its key."""
    if isinstance(told, str):
        files = _PATCHED.findall(told)
        return ("path", ", ".join(files)) if files else ("", "")
    if not isinstance(told, dict):
        return "", ""
    for key in _TELLING:
        value = told.get(key)
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            value = " ".join(map(str, value))
        if isinstance(value, str) and value.strip():
            return key, value
    inner = told.get("input")
    return _telling(inner) if isinstance(inner, str) else ("", "")


def _inputs(path: Path, wanted: Mapping[str, str]) -> Iterator[tuple[str, JSONValue]]:
    """The inputs of the ``wanted`` calls (by the client's names) that a transcript's last part holds."""
    names = [json.dumps(name).encode() for name in wanted]
    try:
        for line in _last_lines(path):
            if any(name in line for name in names):
                yield from ((name, told) for name, told in _calls_in(_parsed(line)) if name in wanted)
    except OSError:
        return


def _last_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file's last part; none of what is no plain file, for an agent named it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                file.seek(max(0, facts.st_size - LARGEST_READ))
                while line := file.readline(LONGEST_LINE):
                    yield line
    finally:
        os.close(descriptor)


def _parsed(line: bytes) -> JSONValue:
    try:
        parsed: JSONValue = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return parsed


def _calls_in(entry: JSONValue) -> Iterator[tuple[str, JSONValue]]:
    """The calls that one line of a transcript tells of, as Claude Code and Codex write them."""
    if not isinstance(entry, dict):
        return
    message = entry.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "tool_use" and isinstance(part.get("id"), str):
            yield str(part["id"]), part.get("input")
    payload = entry.get("payload")
    if isinstance(payload, dict) and isinstance(payload.get("call_id"), str):
        if payload.get("type") == "custom_tool_call":
            yield str(payload["call_id"]), payload.get("input")
        elif payload.get("type") == "function_call" and isinstance(payload.get("arguments"), str):
            yield str(payload["call_id"]), _parsed(str(payload["arguments"]).encode("utf-8", "replace"))
