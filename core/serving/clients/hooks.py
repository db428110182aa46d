"""Our hook as each client wants to read it, and in which of its files."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from core.model import JSONValue
from core.serving.clients import jsonc
from core.serving.clients.entries import Client, Scope

SECONDS = 5
_EVENTS: Mapping[Client, Mapping[str, Mapping[str, JSONValue]]] = {
    Client.CLAUDE_CODE: {
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
    Client.CODEX: {
        "SessionStart": {},
        "UserPromptSubmit": {},
        "PreToolUse": {},
        "PostToolUse": {},
        "Stop": {},
        # Codex allows no more at the end of a session.
        "SessionEnd": {"timeout": 3},
    },
}
_PLUGIN = "opencode_plugin.js"
_PLUGIN_COMMAND = 'const COMMAND = ["bailiwick", "hook", "opencode"]'


def hooks_file(
    client: Client, scope: Scope, project: Path, home: Path, environ: Mapping[str, str] = os.environ
) -> Path:
    """The file of a client that our hook belongs into, whether or not it is there."""
    is_project = scope is Scope.PROJECT
    if client is Client.CLAUDE_CODE:
        # Of a project not the file that a team shares: the command holds paths of this machine.
        user = Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")
        return project / ".claude" / "settings.local.json" if is_project else user / "settings.json"
    if client is Client.CODEX:
        return (project / ".codex" if is_project else Path(environ.get("CODEX_HOME") or home / ".codex")) / "hooks.json"
    configured = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    user = Path(environ.get("OPENCODE_CONFIG_DIR") or configured)
    return (project / ".opencode" if is_project else user) / "plugins" / "bailiwick.js"


def hook_snippet(client: Client, command: Sequence[str]) -> str:
    """What a file holds that has our hook alone; ``command`` is the whole command line of the hook."""
    return with_hook(client, command, "")


def with_hook(client: Client, command: Sequence[str], text: str) -> str:
    """The file's ``text`` with our hook, in place of an earlier one of ours; raises NotJSON when it is not understood.

    OpenCode's is a file of our own: whatever it holds is replaced.
    """
    if client is Client.OPENCODE:
        template = (resources.files("core.serving.clients") / _PLUGIN).read_text(encoding="utf-8")
        assert _PLUGIN_COMMAND in template
        return template.replace(_PLUGIN_COMMAND, f"const COMMAND = {json.dumps(list(command))}")
    line = shlex.join(command)
    for event, more in _EVENTS[client].items():
        handler: dict[str, JSONValue] = {"type": "command", "command": line, "timeout": SECONDS, **more}
        groups = _groups(text, event)
        if not _replaced(groups, handler, client):
            groups.append({"hooks": [handler]})
        if groups != _groups(text, event):
            text = jsonc.with_member(text, ("hooks", event), groups)
    return text


def _groups(text: str, event: str) -> list[JSONValue]:
    """The matchers of an event with their hooks, as the file has them."""
    settings = jsonc.parse(text) if text.strip("\ufeff \t\r\n") else {}
    hooks = settings.get("hooks", {}) if isinstance(settings, dict) else None
    groups = hooks.get(event, []) if isinstance(hooks, dict) else None
    if not isinstance(groups, list):
        raise jsonc.NotJSON(f"the hooks of {event} are not a list in an object")
    return groups


def _replaced(groups: list[JSONValue], handler: dict[str, JSONValue], client: Client) -> bool:
    """Put ``handler`` in the place of ours, where there is one: Codex knows the others by their places."""
    found = False
    for group in groups:
        listed = group.get("hooks") if isinstance(group, dict) else None
        for place, each in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(listed, list) and isinstance(each, dict) and _is_ours(each.get("command"), client):
                listed[place] = handler
                found = True
    return found


def _is_ours(command: JSONValue, client: Client) -> bool:
    try:
        words = shlex.split(command) if isinstance(command, str) else []
    except ValueError:
        return False
    place = next((index for index in range(1, len(words)) if words[index : index + 2] == ["hook", client.value]), 0)
    return any(Path(word).name in ("bailiwick", "tui") for word in words[:place])
