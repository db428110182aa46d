"""``bailiwick agentfs``: an agent's states and tool calls as a file of the AgentFS format 0.4, and back."""

from __future__ import annotations

from pathlib import Path

import click

from core.interchange.exporting import Exported, export_agent
from core.interchange.importing import Imported, import_agent
from tui.commands.acting import Acting, acting_options
from tui.commands.nouns import answer, noun, opened_agentfs
from tui.commands.options import Invocation, common_options, pass_invocation

_SHOWN = 20
_file = click.argument("file", type=click.Path(path_type=Path))


@noun
def agentfs() -> None:
    """Write an agent to a file that AgentFS opens, and read such a file into an agent."""


@agentfs.command()
@click.argument("agent")
@_file
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
@click.option("--with-sensitive", is_flag=True, help="Also what is sealed or sensitive here: in plain text in FILE.")
@acting_options(session=False)
@common_options
@pass_invocation
def export(invocation: Invocation, agent: str, file: Path, force: bool, with_sensitive: bool, acting: Acting) -> None:
    """Write the states and tool calls of AGENT to FILE, which only you can read; nothing in it is encrypted."""
    with opened_agentfs(invocation) as opened:
        done = export_agent(
            opened.agentfs, agent, file, by=acting.actor(opened), with_sensitive=with_sensitive, replace=force
        )
    answer(invocation, done, _exported(done))


@agentfs.command("import")
@click.argument("agent")
@_file
@click.option("--type", "agent_type", default="", metavar="T", help="Make AGENT, of this type, if it is not here.")
@click.option("--no-files", is_flag=True, help="Leave out the files; else each becomes a state, files/PATH.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@acting_options(session=False)
@common_options
@pass_invocation
def import_file(
    invocation: Invocation,
    agent: str,
    file: Path,
    agent_type: str,
    no_files: bool,
    dry_run: bool,
    acting: Acting,
) -> None:
    """Read a copy of FILE, of the AgentFS format, into AGENT: all of it or nothing, as new versions."""
    with opened_agentfs(invocation, make=not dry_run) as opened:
        done = import_agent(
            opened.agentfs,
            file,
            agent,
            by=acting.actor(opened),
            type=agent_type,
            files=not no_files,
            dry_run=dry_run,
        )
    answer(invocation, done, _imported(done))


def _exported(done: Exported) -> list[str]:
    held = f"{_many(done.states, 'key')}, {_many(done.files, 'file')} and {_many(done.calls, 'tool call')}"
    lines = [f"{done.path} holds {held} of {done.agent} ({done.size:,} bytes, SHA-256 {done.sha256})."]
    if done.left_out:
        lines.append(f"{_many(done.left_out, 'sensitive value')} left out; --with-sensitive writes them in plain text.")
    if done.sensitive:
        lines.append("In plain text in it, for whoever gets the file, though sensitive here:")
        lines += _listed(list(done.sensitive))
    return lines


def _imported(done: Imported) -> list[str]:
    would = "would have" if done.dry_run else "has"
    made = " (made now)" if done.created and not done.dry_run else " (not here yet)" if done.created else ""
    changed = f"{_many(done.states, 'new state')} and {_many(done.changed, 'changed one')}"
    calls = _many(done.calls + done.calls_ended, "new tool call")
    lines = [f"{done.agent}{made} {would} {changed}, {done.unchanged:,} as before, and {calls}."]
    if done.sealed:
        lines.append(f"{_many(done.sealed, 'state')} sealed: a secret or a private pattern.")
    if done.skipped:
        lines.append("Not imported, for a state or a call of Bailiwick cannot be like this:")
        lines += _listed([f"{each.what} {each.name}: {each.reason}" for each in done.skipped])
    return lines


def _listed(names: list[str]) -> list[str]:
    more = [f"  and {len(names) - _SHOWN:,} more; --json names all."] if len(names) > _SHOWN else []
    return [f"  {name}" for name in names[:_SHOWN]] + more


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
