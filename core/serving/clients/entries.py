"""What each client wants to read about this server, and in which of its files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.model import JSONValue
from core.serving.clients import jsonc, toml_tables

NAME = "bailiwick"
TOKEN_VARIABLE = "BAILIWICK_MCP_TOKEN"
# A busy machine takes its time to start a process; what the clients allow by themselves is 5 to 10 seconds.
START_MILLISECONDS = 15_000
_SCHEMA = "https://opencode.ai/config.json"


class Client(StrEnum):
    """A program that agents run in."""

    CLAUDE_CODE = "claude-code"
    OPENCODE = "opencode"
    CODEX = "codex"


class Scope(StrEnum):
    """Whether a file is for one project or for all that its user does."""

    PROJECT = "project"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Server:
    """How a client reaches this server: by starting ``command``, or at ``url``."""

    command: Sequence[str] = ()
    url: str = ""


def config_file(
    client: Client, scope: Scope, project: Path, home: Path, environ: Mapping[str, str] = os.environ
) -> Path:
    """The file of a client that our entry belongs into, whether or not it is there."""
    if client is Client.CLAUDE_CODE:
        return project / ".mcp.json" if scope is Scope.PROJECT else home / ".claude.json"
    if client is Client.CODEX:
        user = Path(environ.get("CODEX_HOME") or home / ".codex")
        return (project / ".codex" if scope is Scope.PROJECT else user) / "config.toml"
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    folder = project if scope is Scope.PROJECT else user
    with_comments = folder / "opencode.jsonc"
    return with_comments if with_comments.exists() else folder / "opencode.json"


def snippet(client: Client, server: Server) -> str:
    """The entry as it stands in a file that holds nothing else."""
    return merged(client, server, "")


def merged(client: Client, server: Server, text: str) -> str:
    """The file's ``text`` with our entry; raises NotJSON or NotTOML when the text is not understood."""
    if client is Client.CODEX:
        return toml_tables.with_table(text, ("mcp_servers", NAME), _codex(server))
    if client is Client.CLAUDE_CODE:
        return jsonc.with_member(text, ("mcpServers", NAME), _claude_code(server))
    if not text.strip():
        text = json.dumps({"$schema": _SCHEMA}, indent=2) + "\n"
    return jsonc.with_member(text, ("mcp", NAME), _opencode(server))


def _claude_code(server: Server) -> JSONValue:
    if server.url:
        return {"type": "http", "url": server.url, "headers": {"Authorization": f"Bearer ${{{TOKEN_VARIABLE}}}"}}
    command, *arguments = server.command
    return {"type": "stdio", "command": command, "args": list[JSONValue](arguments)}


def _opencode(server: Server) -> JSONValue:
    if server.url:
        headers: JSONValue = {"Authorization": f"Bearer {{env:{TOKEN_VARIABLE}}}"}
        return {"type": "remote", "url": server.url, "enabled": True, "headers": headers}
    command = list[JSONValue](server.command)
    return {"type": "local", "command": command, "enabled": True, "timeout": START_MILLISECONDS}


def _codex(server: Server) -> Mapping[str, toml_tables.Scalar]:
    if server.url:
        return {"url": server.url, "bearer_token_env_var": TOKEN_VARIABLE}
    command, *arguments = server.command
    return {"command": command, "args": tuple(arguments), "startup_timeout_sec": START_MILLISECONDS // 1000}
