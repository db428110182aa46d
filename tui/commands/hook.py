"""``bailiwick hook``: what clients call, and putting it where they do. Calls of clients end in ``tui.__main__``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from core.intake.hook import serve
from core.serving.clients.entries import Client, Scope
from tui.commands.nouns import opened_agentfs
from tui.commands.options import Invocation, common_options, pass_invocation

_NEXT = {
    Client.CLAUDE_CODE: "Claude Code takes it up by itself; `/hooks` there shows it.",
    Client.CODEX: "Codex runs it once you trust it: `/hooks` there.",
    Client.OPENCODE: "OpenCode loads it when it starts the next time.",
}


@click.command()
@click.argument("client", type=click.Choice([each.value for each in Client]))
@click.argument("told", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.option("--write", is_flag=True, help="Put it into the client's file; the former file is kept beside it.")
@click.option("--scope", type=click.Choice([each.value for each in Scope]), default=Scope.USER.value, metavar="S",
              help="user: the file in your home folder (the default); project: one in this folder.")  # fmt: skip
@common_options
@pass_invocation
def hook(invocation: Invocation, client: str, told: tuple[str, ...], write: bool, scope: str) -> None:
    """Take in what CLIENT tells its hook on standard input; in a terminal, show the hook.

    Tool calls are kept as names, times and hashes, never with what is in them; unread messages are handed to the agent.
    That is the one that $BAILIWICK_AGENT names, else one of the client's own in its project.
    """
    root = invocation.workspace_folder()
    if not write and not invocation.json and not sys.stdin.isatty():
        serve([client, "--workspace", str(root), *told])
    # Imported here: what a client tells is taken in without.
    from core.serving.clients.hooks import hook_snippet, hooks_file, with_hook
    from core.serving.clients.placing import put

    program = Client(client)
    command = [*_program(), "hook", client, "--workspace", str(root)]
    path = hooks_file(program, Scope(scope), Path.cwd(), Path.home())
    text = hook_snippet(program, command)
    placed = None
    if write:
        # A hook makes no workspace: what it leaves in one that nobody opens would never be taken in.
        with opened_agentfs(invocation, make=True):
            placed = put(path, lambda former: with_hook(program, command, former))
    if placed is None:
        invocation.say(f"This belongs into {path}; --write puts it there, beside what is there.")
    elif not placed.changed:
        invocation.say(f"{path} says so already.")
    else:
        former = f"; the former file is {placed.backup.name} beside it" if placed.backup is not None else ""
        invocation.say(f"Written to {path}{former}. {_NEXT[program]}")
    document = {
        "client": client,
        "path": str(path),
        "snippet": text,
        "written": placed is not None and placed.changed,
        "backup": str(placed.backup) if placed is not None and placed.backup is not None else None,
    }
    invocation.answer(document, [] if write else text.splitlines())


def _program() -> list[str]:
    """How a client starts this very Bailiwick, whatever folder and variables it runs in."""
    own = Path(sys.prefix) / "bin" / "bailiwick"
    if own.exists():
        return [str(own)]
    found = shutil.which("bailiwick")
    return [found] if found is not None else [sys.executable, "-P", "-m", "tui"]
