"""Puts our hook where a client looks for hooks: beside what is there, with a copy of that, whole or not at all."""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from core.agentfs.database import now
from core.agentfs.whole_file import whole_file
from core.errors import InvalidInput
from core.model import JSONValue

SECONDS = 5
_EVENTS: Mapping[str, Mapping[str, dict[str, JSONValue]]] = {
    "claude-code": {
        "SessionStart": {},
        "UserPromptSubmit": {},
        # It says nothing to the agent, so the tool need not wait for it.
        "PreToolUse": {"async": True},
        "PostToolUse": {},
        "PostToolUseFailure": {},
        "Stop": {},
        "StopFailure": {},
        "SessionEnd": {},
    },
    "codex": {
        "SessionStart": {},
        "UserPromptSubmit": {},
        "PreToolUse": {},
        "PostToolUse": {},
        "Stop": {},
        # Codex allows no more at the end of a session.
        "SessionEnd": {"timeout": 3},
    },
}
_PLUGIN_COMMAND = 'const COMMAND = ["bailiwick", "hook", "opencode"]'


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the hook is now. ``backup`` is the copy of what was there, ``None`` where nothing was changed or there."""

    path: Path
    backup: Path | None
    changed: bool


def settings_path(client: str, *, project: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file in which the hooks of ``client`` stand: the user's, or with ``project`` those of that folder."""
    home = Path(environ.get("HOME") or "~").expanduser()
    match client:
        case "claude-code":
            if project is not None:
                # Not the file that a team shares: the command holds paths of this machine.
                return project / ".claude" / "settings.local.json"
            return Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "settings.json"
        case "codex":
            folder = project / ".codex" if project is not None else Path(environ.get("CODEX_HOME") or home / ".codex")
            return folder / "hooks.json"
        case "opencode":
            if project is not None:
                return project / ".opencode" / "plugins" / "bailiwick.js"
            configured = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
            return Path(environ.get("OPENCODE_CONFIG_DIR") or configured) / "plugins" / "bailiwick.js"
    raise InvalidInput(f"There is no client {client}.")


def snippet(client: str, command: Sequence[str]) -> str:
    """What stands in that file for our hook alone; ``command`` is the hook's whole command line."""
    if client == "opencode":
        template = (resources.files("core.intake") / "opencode_plugin.js").read_text(encoding="utf-8")
        assert _PLUGIN_COMMAND in template
        return template.replace(_PLUGIN_COMMAND, f"const COMMAND = {json.dumps(list(command))}")
    hooks: dict[str, JSONValue] = {
        event: [{"hooks": [handler]}] for event, handler in _handlers(client, command).items()
    }
    return json.dumps({"hooks": hooks}, indent=2) + "\n"


def install(client: str, command: Sequence[str], path: Path) -> Installed:
    """Write our hook into the file ``path``, in place of an earlier one of ours; what else is there stays.

    Raises InvalidInput when the file holds something else than settings, or cannot be written; then it is as it was.
    """
    # Settings are often links into a folder of dotfiles; the link stays, what it points to is written.
    path = Path(os.path.realpath(path))
    try:
        present: bytes | None = path.read_bytes()
    except FileNotFoundError:
        present = None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({os.strerror(error.errno or 0)}).") from None
    if client == "opencode" or present is None or not present.strip():
        wanted = snippet(client, command).encode()
    else:
        wanted = _merged(path, present, _handlers(client, command), client)
    if wanted == present:
        return Installed(path, None, changed=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{path.parent} cannot be made ({os.strerror(error.errno or 0)}).") from None
    backup = None
    if present is not None:
        backup = path.with_name(f"{path.name}.{now():%Y%m%dT%H%M%S%f}.bak")
        _write(backup, present, path)
    _write(path, wanted, path)
    return Installed(path, backup, changed=True)


def _write(target: Path, data: bytes, like: Path) -> None:
    """Write the file with the permissions of ``like``, where that is there."""
    try:
        mode = stat.S_IMODE(like.stat().st_mode)
    except FileNotFoundError:
        mode = 0o600
    with whole_file(target, replace=True) as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)


def _handlers(client: str, command: Sequence[str]) -> dict[str, dict[str, JSONValue]]:
    line = shlex.join(command)
    return {
        event: {"type": "command", "command": line, "timeout": SECONDS, **more}
        for event, more in _EVENTS[client].items()
    }


def _merged(path: Path, present: bytes, handlers: Mapping[str, dict[str, JSONValue]], client: str) -> bytes:
    settings = _read(path, present)
    before = json.dumps(settings)
    hooks = settings.setdefault("hooks", {})
    if not isinstance(hooks, dict):
        raise InvalidInput(f"What {path} calls hooks is no object; nothing was written.", "Mend it first.")
    for event, handler in handlers.items():
        groups = hooks.setdefault(event, [])
        if not isinstance(groups, list):
            raise InvalidInput(f"The hooks of {event} in {path} are no list; nothing was written.", "Mend them first.")
        if not _replaced(groups, handler, client):
            groups.append({"hooks": [handler]})
    if json.dumps(settings) == before:
        return present
    indent = _indent(present)
    end = "\n" if present.endswith(b"\n") else ""
    return (json.dumps(settings, indent=indent, ensure_ascii=False) + end).encode()


def _replaced(groups: list[JSONValue], handler: dict[str, JSONValue], client: str) -> bool:
    """Put ``handler`` in the place of ours, where there is one: places of others are what some clients know them by."""
    found = False
    for group in groups:
        listed = group.get("hooks") if isinstance(group, dict) else None
        if not isinstance(listed, list):
            continue
        for place, each in enumerate(listed):
            if isinstance(each, dict) and _is_ours(each.get("command"), client):
                listed[place] = dict(handler)
                found = True
    return found


def _is_ours(command: JSONValue, client: str) -> bool:
    if not isinstance(command, str):
        return False
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    place = next((index for index in range(1, len(words)) if words[index : index + 2] == ["hook", client]), 0)
    return any(Path(word).name in ("bailiwick", "tui") for word in words[:place])


def _read(path: Path, present: bytes) -> dict[str, JSONValue]:
    def once(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
        found = dict(pairs)
        if len(found) != len(pairs):
            # Writing it again would keep the last of them alone.
            raise InvalidInput(f"{path} has a key twice in one object; nothing was written.", "Mend it first.")
        return found

    try:
        settings = json.loads(present, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise InvalidInput(
            f"{path} is not valid JSON; nothing was written.",
            "Mend it, or add the hook by hand: without --write it is shown.",
        ) from None
    if not isinstance(settings, dict):
        raise InvalidInput(f"{path} holds no object; nothing was written.", "Mend it first.")
    return settings


def _indent(present: bytes) -> int | str:
    """How the file indents its first level."""
    for line in present.decode("utf-8", "replace").splitlines()[1:]:
        blank = line[: len(line) - len(line.lstrip())]
        if blank and line.strip():
            return "\t" if blank.startswith("\t") else len(blank)
    return 2
