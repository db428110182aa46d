"""``bailiwick sessions``: stretches of work, snapshots of all states, and backups."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from core.agent_model import Actor, ActorKind, Session, StateChange
from core.agentfs.backup import Backup, restore_backup, write_backup
from core.agentfs.snapshots import Restored
from core.config import load_settings, user_config_folder
from core.crypto.identity import Identity
from core.crypto.passphrases import PASSPHRASE_FILE_VARIABLE
from core.crypto.slots import KeySlots
from core.crypto.workspace_keys import WorkspaceKeys
from core.errors import InvalidInput, Locked
from tui.commands.acting import Acting, acting_options
from tui.commands.nouns import DOOR, answer, count_option, noun, opened_agentfs, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.unlocking import Unlocking, unlocking_options
from tui.moments import clock
from tui.printable import printable

_HOW_TO_OPEN = f"Name a file: --recovery-code-file F, --key-file F, or ${PASSPHRASE_FILE_VARIABLE} with the passphrase."


@noun
def sessions() -> None:
    """Group an agent's work, snapshot all states and go back, write and restore backups."""


@sessions.command("list")
@click.argument("agent", default="")
@count_option(50, "How many, the newest ones.")
@common_options
@pass_invocation
def list_sessions(invocation: Invocation, agent: str, limit: int) -> None:
    """List the sessions of AGENT or of all, the newest first."""
    with opened_agentfs(invocation) as opened:
        found = opened.agentfs.sessions.all(agent, limit=limit)
    rows = [
        (
            each.id,
            each.agent,
            clock(each.started_at),
            clock(each.ended_at) if each.ended_at else "open",
            f"{each.calls:,}",
            f"{each.states:,}",
            f"{each.messages:,}",
            each.title,
        )
        for each in found
    ]
    heads = ("ID", "AGENT", "STARTED", "ENDED", "CALLS", "STATES", "MESSAGES", "TITLE")
    answer(invocation, {"sessions": found}, table(heads, rows, "There are no sessions."))


@sessions.command()
@click.argument("agent")
@click.option("--title", default="", metavar="T")
@acting_options(session=False)
@common_options
@pass_invocation
def start(invocation: Invocation, agent: str, title: str, acting: Acting) -> None:
    """Begin a session of AGENT; name it in $BAILIWICK_SESSION, and what the agent does counts to it."""
    with opened_agentfs(invocation) as opened:
        session = opened.agentfs.sessions.start(agent, by=acting.actor(opened, agent), title=title)
    answer(invocation, session, [session.id])


@sessions.command()
@click.argument("identifier", metavar="ID")
@acting_options(session=False)
@common_options
@pass_invocation
def end(invocation: Invocation, identifier: str, acting: Acting) -> None:
    """End a session."""
    with opened_agentfs(invocation) as opened:
        agent_id = opened.agentfs.sessions.get(identifier).agent_id
        session = opened.agentfs.sessions.end(identifier, by=acting.actor(opened, agent_id))
    answer(invocation, session, [_ended(session)])


@sessions.command()
@click.argument("name", default="")
@acting_options(session=False)
@common_options
@pass_invocation
def snapshot(invocation: Invocation, name: str, acting: Acting) -> None:
    """Copy the whole database as it is now, under NAME."""
    with opened_agentfs(invocation) as opened:
        taken = opened.agentfs.snapshots.take(name, by=acting.actor(opened))
    answer(invocation, taken, [f"Snapshot {taken.name or taken.id} is taken ({taken.size:,} bytes, {taken.id})."])


@sessions.command()
@common_options
@pass_invocation
def snapshots(invocation: Invocation) -> None:
    """List the snapshots, the newest first."""
    with opened_agentfs(invocation) as opened:
        found = opened.agentfs.snapshots.all()
    rows = [(each.id, clock(each.created_at), f"{each.size:,}", each.name) for each in found]
    lines = table(("ID", "TAKEN", "BYTES", "NAME"), rows, "There are no snapshots.")
    answer(invocation, {"snapshots": found}, lines)


@sessions.command()
@click.argument("snapshot_name", metavar="SNAPSHOT")
@click.argument("other", default="")
@click.option("--agent", default="", metavar="A", help="Only the states of this agent.")
@click.option("--session", default="", metavar="S", help="Only what this session wrote.")
@acting_options(session=False)
@common_options
@pass_invocation
def compare(invocation: Invocation, snapshot_name: str, other: str, agent: str, session: str, acting: Acting) -> None:
    """Show how the states differ from SNAPSHOT to OTHER, or to now; of an agent that asks, its own."""
    with opened_agentfs(invocation) as opened:
        by = acting.actor(opened)
        changes = opened.agentfs.snapshots.compare(snapshot_name, other, agent=agent, session_id=session, by=by)
    answer(invocation, {"changes": changes}, map(_change, changes) if changes else ["Nothing differs."])


@sessions.command()
@click.argument("snapshot_name", metavar="SNAPSHOT")
@click.option("--agent", default="", metavar="A", help="Only the states of this agent.")
@click.option("--session", default="", metavar="S", help="Only what this session wrote.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@acting_options(session=False)
@common_options
@pass_invocation
def restore(
    invocation: Invocation,
    snapshot_name: str,
    agent: str,
    session: str,
    dry_run: bool,
    yes: bool,
    acting: Acting,
) -> None:
    """Bring states back to how they were in SNAPSHOT, as new versions; a snapshot of now is taken first."""
    if not (yes or dry_run or sys.stdin.isatty()):
        raise InvalidInput("Without a terminal nobody can be asked.", "Say --yes, or --dry-run to look first.")
    with opened_agentfs(invocation) as opened:
        store, by = opened.agentfs.snapshots, acting.actor(opened)
        outcome = store.restore(snapshot_name, by=by, agent=agent, session_id=session, dry_run=dry_run or not yes)
        if outcome.changes and not (yes or dry_run):
            for change in outcome.changes:
                invocation.say(printable(_change(change)))
            if not click.confirm(f"Restore {_states(outcome)}?", err=True):
                raise InvalidInput("Nothing was restored.")
            outcome = store.restore(snapshot_name, by=by, agent=agent, session_id=session)
    answer(
        invocation,
        {"changes": outcome.changes, "dry_run": dry_run, "undo": outcome.undo},
        _restored(outcome, dry_run=dry_run),
    )


@sessions.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--encrypt", is_flag=True, help="Seal all of it: a passphrase or recovery code opens it anywhere.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@unlocking_options
@common_options
@pass_invocation
def backup(invocation: Invocation, file: Path, encrypt: bool, force: bool, unlocking: Unlocking) -> None:
    """Write the whole workspace to FILE, a .tar.gz or an encrypted .tar, without what is derived."""
    with opened_agentfs(invocation) as opened:
        keys = opened.agentfs.keys if encrypt else None
        if keys is not None:
            unlocking.unlock(keys)
        written = write_backup(
            opened.agentfs, file.absolute(), by=opened.person, replace=force, keys=keys.keys if keys else None
        )
    _report(invocation, written, f"{written.path} is encrypted and holds" if encrypt else f"{written.path} holds")


@sessions.command("restore-backup")
@click.argument("file", type=click.Path(path_type=Path))
@unlocking_options
@common_options
@pass_invocation
def restore_from_backup(invocation: Invocation, file: Path, unlocking: Unlocking) -> None:
    """Make a workspace, which must not exist yet, from a backup; every hash is checked first."""
    os.umask(0o077)
    root = invocation.workspace_folder()
    by = Actor(ActorKind.PERSON, load_settings(root).user.id, DOOR)

    def unlock(slots: KeySlots) -> Identity:
        keys = WorkspaceKeys(slots.folder, user_config_folder() / "keys")
        try:
            unlocking.unlock(keys)
        except Locked as locked:
            raise Locked(f"{file} is encrypted. {locked.message}", _HOW_TO_OPEN) from None
        return keys.keys.identity

    _report(invocation, restore_backup(file, root, by=by, unlock=unlock), f"{root} holds", workspace=str(root))
    keys = WorkspaceKeys(root / "keys", user_config_folder() / "keys")
    if keys.keys.exist and not keys.ready():
        invocation.say("Its keys are locked on this machine; `bailiwick keys unlock --remember` changes that.")


def _report(invocation: Invocation, done: Backup, what: str, **others: str) -> None:
    manifest = done.manifest
    document = {
        "id": manifest.id,
        "path": done.path,
        "size": done.size,
        "created_at": manifest.created_at,
        "members": len(manifest.members),
        "bytes": manifest.size,
        "missing": manifest.missing,
        "encrypted": done.encrypted,
        **others,
    }
    for name in manifest.missing:
        invocation.say(printable(f"{name} was lost or damaged before and is not in the backup."))
    answer(invocation, document, [f"{what} {len(manifest.members):,} files of {manifest.size:,} bytes, all verified."])


def _ended(session: Session) -> str:
    return (
        f"{session.id} of {session.agent} is over: {session.calls:,} calls, {session.states:,} states,"
        f" {session.messages:,} messages."
    )


def _change(change: StateChange) -> str:
    versions = f"{change.before_version or '–'} → {change.after_version or '–'}"
    return f"{change.difference:8} {change.agent}  {change.key}  (version {versions})"


def _restored(outcome: Restored, *, dry_run: bool) -> list[str]:
    if not outcome.changes:
        return ["Nothing differs."]
    lines = [_change(change) for change in outcome.changes]
    if dry_run:
        return [*lines, f"{_states(outcome)} would change."]
    assert outcome.undo is not None
    undo = f"`bailiwick sessions restore {outcome.undo.id}` takes it back."
    return [*lines, f"{_states(outcome)} restored; {undo}"]


def _states(outcome: Restored) -> str:
    count = len(outcome.changes)
    return "1 state" if count == 1 else f"{count:,} states"
