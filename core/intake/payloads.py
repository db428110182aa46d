"""What a client tells its hook, as the record that is kept of it: names, times and hashes, no content."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256

from core.intake.edited_files import edited_files

CLIENTS = ("claude-code", "codex", "opencode")
"""The clients whose hooks are understood, by the names the command line gives them."""
EVENTS = {
    "SessionStart": "start",
    "UserPromptSubmit": "prompt",
    "PreToolUse": "begin",
    "PostToolUse": "finish",
    "PostToolUseFailure": "finish",
    "Stop": "rest",
    "StopFailure": "fail",
    "Interrupt": "rest",
    "SessionEnd": "end",
}
"""What each event of a client is to the engine; any other is a sign of life."""
SEEN = "seen"
HANDED = "handed"
LONGEST_NAME = 100
LONGEST_ID = 128
LONGEST_PATH = 1024
FAILED = "failed"
INTERRUPTED = "interrupted"
LONGEST_KIND = 40
_EXIT_KEYS = ("exit_code", "exitCode", "exit")


def record_of(client: str, payload: object, environ: Mapping[str, str], at: int) -> dict[str, object]:
    """The record of one call of the hook; ``at`` is the time in microseconds since 1970.

    Raises ValueError when ``payload`` is not what a client tells, whatever else it holds is passed over.
    """
    if not isinstance(payload, dict):
        raise ValueError("no object")
    if payload.get("type") == "agent-turn-complete":
        payload = {
            "hook_event_name": "Stop",
            "session_id": payload.get("thread-id"),
            "cwd": payload.get("cwd"),
        }
    name = payload.get("hook_event_name")
    if not isinstance(name, str):
        raise ValueError("no hook_event_name")
    record: dict[str, object] = {"at": at, "client": client, "event": EVENTS.get(name, SEEN)}
    folder = folder_of(client, payload, environ)
    record.update(_project(folder))
    _keep(record, "agent", environ.get("BAILIWICK_AGENT"), LONGEST_NAME)
    _keep(record, "session", payload.get("session_id"), LONGEST_ID)
    if record["event"] in ("begin", "finish"):
        record.update(_call(name, payload))
        if record["event"] == "begin" and (files := edited_files(payload, folder)):
            record["files"] = [hash_of_path(each) for each in files]
    elif record["event"] == "fail" and is_kind(payload.get("error")):
        record["error"] = payload["error"]
    return record


def is_kind(value: object) -> bool:
    """Whether this is a client's word for a kind of failure, such as ``rate_limit``, and no sentence."""
    if not isinstance(value, str) or len(value) > LONGEST_KIND:
        return False
    return value.isascii() and value.islower() and value.replace("_", "").isalpha()


def line_of(record: dict[str, object]) -> bytes:
    """The record as the spool holds it."""
    return json.dumps(record, separators=(",", ":")).encode()


def _call(name: str, payload: Mapping[str, object]) -> dict[str, object]:
    told: dict[str, object] = {}
    _keep(told, "tool", payload.get("tool_name"), LONGEST_NAME)
    _keep(told, "call", payload.get("tool_use_id"), LONGEST_ID)
    transcript = _transcript(payload)
    if 0 < len(transcript) <= LONGEST_PATH and transcript.isprintable():
        told["transcript"] = transcript
    if "tool_input" in payload:
        told["parameters"] = _hash(payload["tool_input"])
    if EVENTS[name] == "begin":
        return told
    if name == "PostToolUseFailure":
        told["error"] = _failure(payload)
        if "error" in payload:
            told["result"] = _hash(payload["error"])
    elif "tool_response" in payload:
        told["result"] = _hash(payload["tool_response"])
        if error := _told_failure(payload["tool_response"]):
            told["error"] = error
    duration = payload.get("duration_ms")
    if isinstance(duration, int | float) and not isinstance(duration, bool) and 0 <= duration < 1e12:
        told["ms"] = int(duration)
    return told


def folder_of(client: str, payload: Mapping[str, object], environ: Mapping[str, str]) -> str:
    """The folder the agent works in."""
    folder = payload.get("project")
    if client == "claude-code":
        folder = folder or environ.get("CLAUDE_PROJECT_DIR")
    folder = folder or payload.get("cwd")
    if not isinstance(folder, str) or not folder:
        folder = os.getcwd()
    return os.path.normpath(folder)


def hash_of_path(path: str) -> str:
    """The SHA-256 by which a file or folder is told from others, without its name."""
    return sha256(_bytes(path)).hexdigest()


def _project(folder: str) -> dict[str, str]:
    """A folder as its last name, and the hash of all of it."""
    name = "home" if folder == os.path.expanduser("~") else os.path.basename(folder)
    return {"project": _printable(name)[:LONGEST_NAME], "project_sha256": hash_of_path(folder)}


def _transcript(payload: Mapping[str, object]) -> str:
    """Where the client keeps what was said; a subagent's is beside that of its session."""
    path, subagent = payload.get("transcript_path"), payload.get("agent_id")
    if not isinstance(path, str):
        return ""
    if isinstance(subagent, str) and subagent.isalnum() and path.endswith(".jsonl"):
        return f"{path[:-6]}/subagents/agent-{subagent}.jsonl"
    return path


def _failure(payload: Mapping[str, object]) -> str:
    """Why a call failed, as far as that can be said without its words."""
    if payload.get("is_interrupt") is True:
        return INTERRUPTED
    error = payload.get("error")
    first = error[:40].splitlines()[0] if isinstance(error, str) and error.strip() else ""
    number = first.removeprefix("Exit code ") if first.startswith("Exit code ") else ""
    return f"exit code {number}" if number.isascii() and number.isdigit() else FAILED


def _told_failure(response: object) -> str:
    """Why a call failed that a client reports like any other; empty when it went well."""
    if not isinstance(response, dict):
        return ""
    for where in (response, response.get("metadata")):
        if not isinstance(where, dict):
            continue
        for key in _EXIT_KEYS:
            code = where.get(key)
            if isinstance(code, int) and not isinstance(code, bool) and code:
                return f"exit code {code}" if abs(code) < 1 << 32 else FAILED
    return FAILED if response.get("is_error") is True or response.get("isError") is True else ""


def _keep(record: dict[str, object], name: str, value: object, longest: int) -> None:
    if isinstance(value, str) and 0 < len(value) <= longest * 4:
        record[name] = _printable(value)[:longest]


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def _hash(value: object) -> str:
    """The SHA-256 of a value as canonical JSON, which is how the rest of Bailiwick hashes what it does not keep."""
    return sha256(_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False))).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
