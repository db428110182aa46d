"""``bailiwick hook``: what clients call, and putting it where they do. Calls of clients end in ``tui.__main__``."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click

from core.intake.hook import serve
from core.intake.payloads import CLIENTS
from tui.commands.nouns import answer, opened_agentfs
from tui.commands.options import Invocation, common_options, pass_invocation

_NEXT = {
    "claude-code": "Claude Code reads it by itself; `/hooks` there shows it.",
    "codex": "Codex runs new hooks once you trust them: `/hooks` there.",
    "opencode": "OpenCode loads it when it starts the next time.",
}


@click.command()
@click.argument("client", type=click.Choice(CLIENTS))
@click.argument("told", nargs=-1, type=click.UNPROCESSED)
@click.option("--write", is_flag=True, help="Put the hook into the client's settings; what is there stays.")
@click.option(
    "--scope",
    type=click.Choice(["user", "project"]),
    default="user",
    show_default=True,
    help="Whose settings: yours, or those of this folder.",
)
@common_options
@pass_invocation
def hook(invocation: Invocation, client: str, told: tuple[str, ...], write: bool, scope: str) -> None:
    """Take in what a client tells its hook, as JSON on standard input; in a terminal, show the hook.

    Tool calls are kept as names, times and hashes, never with what is in them; unread messages are handed to the agent.
    The agent is the one that $BAILIWICK_AGENT names, else one of the client's own in its project.
    """
    root = invocation.workspace_folder()
    if not write and not invocation.json and not sys.stdin.isatty():
        serve([client, "--workspace", str(root), *told])
    # Imported here: a client's call that comes this way does without.
    from core.intake.clients import install, settings_path, snippet

    command = [*_program(), "hook", client, "--workspace", str(root)]
    path = settings_path(client, project=Path.cwd() if scope == "project" else None)
    if not write:
        shown = snippet(client, command)
        lines = [f"This belongs into {path}; --write puts it there, beside what is there already:", ""]
        answer(invocation, {"client": client, "path": path, "snippet": shown}, [*lines, *shown.splitlines()])
        return
    with opened_agentfs(invocation, make=True):
        installed = install(client, command, path)
    lines = [f"The hook is in {installed.path}{'.' if installed.changed else ' already.'}"]
    if installed.backup is not None:
        lines.append(f"What was there before: {installed.backup}")
    answer(invocation, {"client": client, **asdict(installed)}, [*lines, _NEXT[client]] if installed.changed else lines)


def _program() -> list[str]:
    """How a client starts this very Bailiwick, whatever folder and environment it runs in."""
    called = shutil.which(sys.argv[0]) if os.path.basename(sys.argv[0]) == "bailiwick" else None
    return [os.path.abspath(called)] if called is not None else [sys.executable, "-m", "tui"]
