"""Runs one command line and turns every outcome into output and an exit code."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from core import __version__
from core.errors import BailiwickError
from tui.commands.options import Invocation, common_options
from tui.printable import printable

CRASHED = 70
INTERRUPTED = 130

COMMANDS: dict[str, tuple[str, str]] = {
    "add": ("tui.commands.add:add", "Read documents: files, folders (watched from then on) or a Python package."),
    "remove": ("tui.commands.remove:remove", "Stop watching a path, or take a library away."),
    "search": ("tui.commands.search:search", "Search the documents."),
    "show": ("tui.commands.show:show", "Show a document, or one passage of it."),
    "libraries": ("tui.commands.libraries:libraries", "List what can be searched, by language, library and version."),
    "agents": ("tui.commands.agents:agents", "Register agents; who is here, doing what."),
    "state": ("tui.commands.state:state", "The versioned values of agents."),
    "messages": ("tui.commands.messages:messages", "What agents and you say to each other."),
    "leases": ("tui.commands.leases:leases", "Who may work on what."),
    "sessions": ("tui.commands.sessions:sessions", "Stretches of work, snapshots of all states, backups."),
    "agentfs": ("tui.commands.agentfs:agentfs", "An agent as a file that AgentFS opens, and such files as agents."),
    "audit": ("tui.commands.audit:audit", "Who changed what, and whether the record of it is whole."),
    "privacy": ("tui.commands.privacy:privacy", "What is private and why, and who would get what."),
    "share": ("tui.commands.sharing:share", "Share an item with an agent, a team or everybody."),
    "unshare": ("tui.commands.sharing:unshare", "Take that back, or opt out of what is shared by itself."),
    "remote": ("tui.commands.remote:remote", "The folder or bucket that other machines and the team share."),
    "sync": ("tui.commands.sync:sync", "Send what changed here, fetch what changed elsewhere; how that stands."),
    "pull": ("tui.commands.pull:pull", "Bring a published library here, with its vectors."),
    "push": ("tui.commands.push:push", "Publish a library to everybody who can read the remote."),
    "verify": ("tui.commands.verify:verify", "Whether everything in the remote is there, and is what it was."),
    "repair": ("tui.commands.repair:repair", "Mend the remote from what this device has."),
    "conflicts": ("tui.commands.conflicts:conflicts", "What two sides changed differently, with every version."),
    "cache": ("tui.commands.cache:cache", "What was read from the remote and is kept; pin it, make room."),
    "teams": ("tui.commands.teams:teams", "Who is in a team, by cards that people give each other."),
    "keys": ("tui.commands.keys:keys", "What unlocks the sealed contents of the workspace."),
    "hook": ("tui.commands.hook:hook", "What a client's hooks call; --write puts them in place."),
    "hardware": ("tui.commands.hardware:hardware", "The machine: profile, limits, live load."),
    "info": ("tui.commands.info:info", "Every folder in use and where each setting came from."),
    "doctor": ("tui.commands.doctor:doctor", "Check the workspace and say how to mend what is damaged."),
    "mcp": ("tui.commands.mcp:mcp", "The tools for agents, over MCP: on standard input, or over HTTP."),
    "serve": ("tui.commands.serve:serve", "Be the engine without a screen, until ended."),
    "demo": ("tui.commands.demo:demo", "Open the dashboard on a throwaway workspace with real documentation."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; their one-line helps are in the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bailiwick", message="%(prog)s %(version)s")
@common_options
@click.pass_context
def bailiwick(context: click.Context) -> None:
    """The local-first data plane for coding agents. Without a command it opens the dashboard."""
    if context.invoked_subcommand is None:
        from tui.commands.dashboard import open_dashboard

        invocation = context.ensure_object(Invocation)
        context.exit(open_dashboard(invocation.workspace_folder(), "the dashboard"))


def run(arguments: list[str]) -> int:
    """Run the command line ``arguments``; returns the exit code."""
    wants_json = "--json" in arguments
    try:
        result: Any = bailiwick.main(arguments, prog_name="bailiwick", standalone_mode=False, obj=Invocation())
    except click.exceptions.Exit as outcome:
        return outcome.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "bailiwick"
        return _report(error.format_message(), f"`{command} --help` lists what it takes.", 2, wants_json)
    except BailiwickError as error:
        return _report(error.message, error.hint, error.exit_code, wants_json, error.facts)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away; a closed stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last boundary: a person gets a sentence, the log the rest
        return _report(*_crash(error), CRASHED, wants_json)
    return result if isinstance(result, int) else 0


def _report(message: str, hint: str, code: int, wants_json: bool, facts: Mapping[str, object] | None = None) -> int:
    # Imported here: most commands end well. A message may quote what was typed, and that may be a secret.
    from core.privacy import scrub

    message, hint = scrub(message), scrub(hint)
    if wants_json:
        print(json.dumps({"error": message, "hint": hint, **(facts or {})}, ensure_ascii=False))
    else:
        print(printable(f"bailiwick: {message} {hint}".rstrip()), file=sys.stderr)
    return code


def _crash(error: Exception) -> tuple[str, str]:
    # Imported here: what breaks is rare, and files that rotate bring sockets along.
    from tui.logs import crash_log

    path = crash_log()
    logging.getLogger("bailiwick").error("unexpected %s", type(error).__name__, exc_info=error)
    return f"Something broke inside Bailiwick ({type(error).__name__}).", f"The details are in {path}."
