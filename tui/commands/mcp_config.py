"""``bailiwick mcp config``: what a client has to be told to reach the tools, and where it belongs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from core.config import workspace_folder
from core.errors import InvalidInput
from core.serving.access_token import TOKEN_FILE
from core.serving.clients.entries import TOKEN_VARIABLE, Client, Scope, Server, config_file, snippet
from core.serving.clients.placing import Placed, place
from tui.commands.options import Invocation, common_options, pass_invocation

DEFAULT_PORT = 8765


@click.command()
@click.argument("client", type=click.Choice([each.value for each in Client]))
@click.option("--write", is_flag=True, help="Put it into the client's file; the former file is kept beside it.")
@click.option("--scope", type=click.Choice([each.value for each in Scope]), default=Scope.PROJECT.value, metavar="S",
              help="project: a file in this folder (the default); user: the one in your home folder.")  # fmt: skip
@click.option("--http", is_flag=True, help="For a server that `bailiwick mcp --http` runs.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True, metavar="N")
@click.option("--agent", default="", metavar="NAME", help="The agent that the client is; else it registers itself.")
@common_options
@pass_invocation
def config(invocation: Invocation, client: str, write: bool, scope: str, http: bool, port: int, agent: str) -> None:
    """Print the entry for CLIENT (claude-code, opencode, codex), or with --write put it into its file."""
    if http and agent:
        raise InvalidInput("Over HTTP the key that the client sends says which agent it is.", "Leave --agent away.")
    program = Client(client)
    server = Server(url=f"http://127.0.0.1:{port}/mcp") if http else Server(_command(invocation, agent))
    path = config_file(program, Scope(scope), Path.cwd(), Path.home())
    placed = place(program, server, path) if write else None
    text = snippet(program, server)
    for line in _remarks(invocation, path, placed, http=http):
        invocation.say(line)
    document = {
        "client": client,
        "path": str(path),
        "snippet": text,
        "written": placed is not None and placed.changed,
        "backup": str(placed.backup) if placed is not None and placed.backup is not None else None,
    }
    invocation.answer(document, [] if write else text.splitlines())


def _command(invocation: Invocation, agent: str) -> list[str]:
    command = [_program(), "mcp"]
    if agent:
        command += ["--agent", agent]
    # A client may start it without the variables of this shell.
    if invocation.workspace is not None or "BAILIWICK_HOME" in os.environ:
        command += ["--workspace", str(workspace_folder(invocation.workspace))]
    return command


def _program() -> str:
    """How a client starts us: by name where the name is found outside this environment too, else by the whole path."""
    own = Path(sys.prefix) / "bin" / "bailiwick"
    found = shutil.which("bailiwick")
    if found is not None and Path(found) != own:
        return "bailiwick"
    return str(own) if own.exists() else "bailiwick"


def _remarks(invocation: Invocation, path: Path, placed: Placed | None, *, http: bool) -> list[str]:
    if placed is None:
        lines = [f"This belongs into {path}; --write puts it there."]
    elif not placed.changed:
        lines = [f"{path} says so already."]
    elif placed.backup is None:
        lines = [f"Written to {path}."]
    else:
        lines = [f"Written to {path}; the former file is {placed.backup.name} beside it."]
    if http:
        token = workspace_folder(invocation.workspace) / TOKEN_FILE
        lines.append(
            f"The client reads ${TOKEN_VARIABLE}: the key of its agent, or export {TOKEN_VARIABLE}=$(cat {token})"
        )
    return lines
