"""A hook's whole process: what the client tells is spooled, what waits for the agent is handed over.

Nothing here may break the client: whatever goes wrong ends in one line of ``logs/hook.log`` and in nothing on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from core.intake.edited_files import edited_files
from core.intake.payloads import CLIENTS, HANDED, folder_of, line_of, record_of
from core.intake.spool import SpoolRefused, append, make_folder

SECONDS = 2.0
LARGEST_PAYLOAD = 32 * 1024 * 1024
LARGEST_LOG = 256 * 1024
_GIVES_CONTEXT = ("SessionStart", "UserPromptSubmit", "PostToolUse", "PostToolUseFailure")
_WHOSE = ("at", "client", "project", "project_sha256", "session")
_ASKS = ("--write", "--help", "-h", "--scope", "--json")


def takes(arguments: list[str]) -> bool:
    """Whether these arguments of ``bailiwick hook`` are a client's call, not a person's."""
    if not arguments or arguments[0] not in CLIENTS or any(each in _ASKS for each in arguments):
        return False
    try:
        return not os.isatty(0)
    except OSError:
        return True


def serve(arguments: list[str]) -> None:
    """Serve one call of a client's hook and end the process: with exit code 0, and within two seconds."""
    # A client that never ends its input, or a disk that never answers, must not hold the agent up.
    signal.signal(signal.SIGALRM, lambda *_: _give_up(arguments))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run(arguments)
    os._exit(0)


def run(arguments: list[str], source: int = 0, target: int = 1) -> None:
    """Do what one call of a client's hook asks for; never raises. The descriptors are where it reads and answers."""
    at = time.time_ns() // 1000
    client, workspace = arguments[0], ""
    try:
        workspace = _workspace(arguments[1:])
        # Codex tells the end of a turn as an argument to the program that its setting `notify` names.
        told = arguments[-1].encode("utf-8", "surrogatepass") if arguments[-1].startswith("{") else _input(source)
        said = _take(client, workspace, told, at, target)
    except ValueError as error:
        said = f"what it told is not understood ({type(error).__name__})"
    except SpoolRefused as error:
        said = str(error)
    except OSError as error:
        said = os.strerror(error.errno or 0)
    except Exception as error:  # noqa: BLE001 - the last boundary: a client goes on whatever happens here
        said = type(error).__name__
    if said:
        _log(workspace, client, said)


def _take(client: str, workspace: str, told: bytes, at: int, target: int) -> str:
    """Spool what was told and hand over what waits; the answer is what went wrong with that, for the log."""
    payload = json.loads(told)
    record = record_of(client, payload, os.environ, at)
    if not os.path.isdir(workspace):
        raise SpoolRefused("there is no workspace")
    said = _note_leases(workspace, client, payload, record) if "files" in record else ""
    append(workspace, line_of(record))
    event = payload.get("hook_event_name")
    # What a subagent is given its agent never sees.
    if event not in _GIVES_CONTEXT or payload.get("agent_id") or payload.get("context") is False:
        return said
    # Imported here: half of the calls hand nothing over, and SQLite is a third of what a hook costs.
    from core.intake.handover import NotReadable, hand_over

    def tell(text: str) -> None:
        answer = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}}
        _print(target, json.dumps(answer).encode() + b"\n")

    try:
        handed = hand_over(workspace, record, tell)
    except NotReadable as error:
        return str(error)
    if handed is not None:
        agent_id, sequences = handed
        note = {key: value for key, value in record.items() if key in _WHOSE}
        note |= {"event": HANDED, "agent_id": agent_id, "messages": sequences}
        append(workspace, line_of(note))
    return ""


def _note_leases(workspace: str, client: str, payload: dict[str, object], record: dict[str, object]) -> str:
    """Add to the record whose leases the tool's files lie under; the answer is why that could not be told."""
    from core.intake.handover import NotReadable
    from core.intake.leased_files import leases_over

    folder = folder_of(client, payload, os.environ)
    try:
        found = leases_over(workspace, edited_files(payload, folder), folder, str(record["project_sha256"]))
    except NotReadable as error:
        return str(error)
    if found:
        record["leases"] = found
    return ""


def _input(source: int) -> bytes:
    pieces, size = [], 0
    while piece := os.read(source, 1 << 20):
        size += len(piece)
        # What is too large is read to its end all the same: a client must not find its pipe closed.
        if size <= LARGEST_PAYLOAD:
            pieces.append(piece)
    if size > LARGEST_PAYLOAD:
        raise SpoolRefused("what it told is too large")
    return b"".join(pieces)


def _print(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def _workspace(arguments: list[str]) -> str:
    """The folder that ``--workspace`` names, else the one of ``core.config.workspace_folder``."""
    named = ""
    for position, each in enumerate(arguments):
        if each == "--workspace" and position + 1 < len(arguments):
            named = arguments[position + 1]
        elif each.startswith("--workspace="):
            named = each.removeprefix("--workspace=")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    if home := os.environ.get("BAILIWICK_HOME"):
        return os.path.join(os.path.abspath(home), "default")
    # Spelt out here: platformdirs alone would double what a hook costs.
    data = os.environ.get("XDG_DATA_HOME", "")
    usual = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/share"
    return os.path.join(data if os.path.isabs(data) else os.path.expanduser(usual), "bailiwick", "default")


def _give_up(arguments: list[str]) -> None:
    try:
        _log(_workspace(arguments[1:]), arguments[0], "it took too long")
    finally:
        os._exit(0)


def _log(workspace: str, client: str, sentence: str) -> None:
    """One line, without anything that the client told; on stderr where the workspace takes none."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{moment} hook {client}: {sentence}\n".encode("utf-8", "replace")
    try:
        if not os.path.isdir(workspace):
            raise FileNotFoundError
        folder = os.path.join(workspace, "logs")
        make_folder(folder)
        path = os.path.join(folder, "hook.log")
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size > LARGEST_LOG:
                os.replace(path, f"{path}.1")
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError:
        try:
            os.write(2, line)
        except OSError:
            return
