"""``bailiwick keys``: what unlocks the sealed contents of a workspace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.agentfs.readable import check_readable
from core.crypto.identity import Identity
from core.crypto.openers import add_key_file, add_keychain, add_passphrase, add_recovery_code
from core.crypto.passphrases import check_strength, given_passphrase, normalised, read_passphrase_file
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.slots import KeySlots, Slot, checked_label
from core.crypto.unlocking import Way
from core.crypto.workspace_keys import MACHINE_LABEL, KeyStatus, WorkspaceKeys
from core.errors import EngineGone, InvalidInput
from tui.commands.nouns import Opened, answer, noun, opened_agentfs, table
from tui.commands.options import Invocation, common_options, pass_invocation
from tui.commands.unlocking import Unlocking, require_keys, terminal, unlocking_options
from tui.moments import clock
from tui.printable import printable

if TYPE_CHECKING:
    from core.workspace import Workspace

_NAMES = {
    SlotKind.PASSPHRASE: "passphrase",
    SlotKind.RECOVERY_CODE: "recovery code",
    SlotKind.KEY_FILE: "key file",
    SlotKind.KEYCHAIN: "keychain",
}
_COPIES = "Whoever kept a copy of it, and of what is sealed, can still open what it opened"
_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_label = click.option("--label", default="", metavar="L", help="What to call it; everyone can read that.")


@noun
def keys() -> None:
    """See, add and remove what unlocks sealed contents, and make new keys for new ones."""


@keys.command("list")
@common_options
@pass_invocation
def list_keys(invocation: Invocation) -> None:
    """List the key slots, and say whether and how they unlock here."""
    with opened_agentfs(invocation) as opened:
        held = opened.agentfs.keys
        held.ready()
        status = held.status()
        here = {slot.id for slot in status.slots if held.key_file(slot.id).exists()}
    rows = [
        (
            slot.id,
            f"{_kind(slot)}, here" if slot.id in here else _kind(slot),
            _made(slot),
            slot.header.label if slot.header else "",
            slot.problem,
        )
        for slot in status.slots
    ]
    nothing = "This workspace has no keys yet: `bailiwick keys add` makes them, and so does what is first sealed."
    if status.problem:
        nothing = f"{status.problem} {status.hint}"
    lines = table(("ID", "KIND", "MADE", "LABEL", "PROBLEM"), rows, nothing)
    answer(
        invocation,
        {
            "keys": [_document(slot) for slot in status.slots],
            "locked": status.locked,
            "recoverable": status.recoverable,
            "generation": status.generation,
            "opened_by": status.opened_by or None,
            "problem": status.problem,
        },
        [*lines, *_standing(status)],
    )


@keys.command()
@click.option("--passphrase", "by_passphrase", is_flag=True, help="A passphrase, asked for twice.")
@click.option("--new-passphrase-file", metavar="FILE", default="", help="Take the new passphrase from this file.")
@click.option("--recovery-code", "by_code", is_flag=True, help="A recovery code, which is shown once.")
@click.option("--key-file", "new_key_file", metavar="PATH", default="", help="A new key file.")
@click.option("--keychain", "by_keychain", is_flag=True, help="This machine's keychain.")
@_label
@common_options
@pass_invocation
def add(
    invocation: Invocation,
    by_passphrase: bool,
    new_passphrase_file: str,
    by_code: bool,
    new_key_file: str,
    by_keychain: bool,
    label: str,
) -> None:
    """Add one way of unlocking; the first makes the keys, and this machine unlocks by itself from then on."""
    if [by_passphrase, by_code, bool(new_key_file), by_keychain].count(True) != 1:
        raise InvalidInput(
            "Say one thing that is to unlock the workspace.",
            "--passphrase, --recovery-code, --key-file PATH or --keychain.",
        )
    if new_passphrase_file and not by_passphrase:
        raise InvalidInput("--new-passphrase-file goes with --passphrase.")
    _check_label(label)
    new = _New(_new_passphrase(new_passphrase_file) if by_passphrase else None, new_key_file, by_keychain, label)
    with opened_agentfs(invocation, make=True) as opened:
        held = opened.agentfs.keys
        _founded(opened, held)
        Unlocking().unlock(held)
        slot, code = new.add(held.keys.slots, held.keys.identity)
        _record(opened, "add", slot)
        machine = held.machine_slot()
    answer(
        invocation,
        {"key": _document(slot), **({"recovery_code": code.text()} if code is not None else {})},
        _added(slot, code, machine),
    )


@keys.command()
@click.argument("slot")
@_yes
@unlocking_options
@common_options
@pass_invocation
def remove(invocation: Invocation, slot: str, yes: bool, unlocking: Unlocking) -> None:
    """Remove the key slot SLOT, its id or the beginning of it."""
    with opened_agentfs(invocation) as opened:
        held = opened.agentfs.keys
        found = held.keys.slots.find(slot)
        if not (yes or sys.stdin.isatty()):
            raise InvalidInput("Without a terminal nobody can be asked.", "Say --yes.")
        unlocking.unlock(held)
        if not yes:
            invocation.say(printable(f"{_COPIES}: {_called(found)}."))
            if not click.confirm("Remove it?", err=True):
                raise InvalidInput("Nothing was removed.")
        key_file_went = held.remove(found.id)
        _record(opened, "remove", found)
    lines = [
        f"Removed: {_called(found)}{', with its key file on this machine' if key_file_went else ''}.",
        f"{_COPIES}; `bailiwick keys rotate` closes what is sealed from then on.",
    ]
    answer(invocation, {"key": _document(found), "key_file_removed": key_file_went}, lines)


@keys.command()
@unlocking_options
@common_options
@pass_invocation
def rotate(invocation: Invocation, unlocking: Unlocking) -> None:
    """Make new keys for what is sealed from now on; interrupted, it can be run again."""
    with opened_agentfs(invocation) as opened:
        held = opened.agentfs.keys
        unlocking.unlock(held)
        newest = held.rotate().newest
        opened.agentfs.audit.record(opened.person, "keys.rotate", newest.id, {"generation": newest.number})
    lines = [
        f"Generation {newest.number} is made: removed key slots do not open what is sealed from now on.",
        "What was sealed before is not sealed again: the older keys stay, and whoever had them can still open it.",
    ]
    answer(invocation, {"generation": newest.number, "id": newest.id}, lines)


@keys.command()
@click.option("--remember", is_flag=True, help="Unlock by itself on this machine from now on, by a new key file.")
@_label
@unlocking_options
@common_options
@pass_invocation
def unlock(invocation: Invocation, remember: bool, label: str, unlocking: Unlocking) -> None:
    """Unlock the running engine, and check that the workspace unlocks here: by itself, by a file, by what you type."""
    _check_label(label)
    with _workspace(invocation) as workspace:
        held = workspace.agentfs.keys
        by_itself = held.ready()
        way, given = _for_every_process(*unlocking.choose(held), held.status())
        engine = _engine_that(workspace, lambda: workspace.unlock_keys(way, given))
        status = held.status()
        remembered = None
        if remember and held.machine_slot() is None:
            remembered = held.remember(label or MACHINE_LABEL)
            _record(Opened(workspace.agentfs, workspace.config), "add", remembered)
    lines = [f"Unlocked by {_opener(status)}; {f'so is {engine}' if engine else 'no engine runs now'}."]
    if remembered is not None:
        lines.append(f"It unlocks by itself on this machine from now on, by key slot {remembered.id}.")
    elif by_itself:
        lines.append("It unlocks by itself on this machine.")
    else:
        lines.append("It does not unlock by itself on this machine; --remember changes that.")
    answer(
        invocation,
        {
            "locked": False,
            "opened_by": status.opened_by,
            "by_itself": by_itself or remembered is not None,
            "remembered": _document(remembered) if remembered is not None else None,
            "engine": engine or None,
        },
        lines,
    )


@keys.command()
@common_options
@pass_invocation
def lock(invocation: Invocation) -> None:
    """Have the running engine forget the keys, until somebody unlocks them."""
    with _workspace(invocation) as workspace:
        held = workspace.agentfs.keys
        require_keys(held)
        opener = _opener(held.status()) if held.ready() else ""
        engine = _engine_that(workspace, workspace.lock_keys)
    lines = [f"Locked: {engine}. `bailiwick keys unlock` unlocks it." if engine else "No engine runs now."]
    if opener:
        lines.append(f"Commands unlock by themselves here, each time anew: by {opener}.")
    answer(invocation, {"engine": engine or None, "by_itself": bool(opener)}, lines)


def _workspace(invocation: Invocation) -> AbstractContextManager[Workspace]:
    # Imported here: what needs no engine does without the way to it.
    from tui.commands.opening import opened

    return opened(invocation, "bailiwick keys", must_exist=True)


def _engine_that(workspace: Workspace, act: Callable[[], None]) -> str:
    """Have the keys of this process and the engine locked or unlocked; the engine's name, empty where none runs."""
    holder = workspace.engine_holder()
    with suppress(EngineGone):
        act()
        return holder.name if holder is not None else ""
    return ""


def _for_every_process(way: Way, given: Secret, status: KeyStatus) -> tuple[Way, Secret]:
    """The same for the engine, whose environment may name no passphrase file."""
    slot = next((slot for slot in status.slots if slot.id == status.opened_by), None)
    if way is Way.UNASKED and slot is not None and slot.kind is SlotKind.PASSPHRASE:
        return Way.PASSPHRASE, given_passphrase(None, "")
    return way, given


def _check_label(label: str) -> None:
    """Raise InvalidInput when a slot cannot have that label, which everyone may read."""
    check_readable(checked_label(label), "The label")


@dataclass(frozen=True, slots=True)
class _New:
    """What is to unlock the workspace; a recovery code where it is nothing else."""

    passphrase: Secret | None
    key_file: str
    keychain: bool
    label: str

    def add(self, slots: KeySlots, identity: Identity) -> tuple[Slot, Secret | None]:
        if self.passphrase is not None:
            return add_passphrase(slots, identity, self.passphrase, label=self.label), None
        if self.key_file:
            return add_key_file(slots, identity, Path(self.key_file), label=self.label), None
        if self.keychain:
            return add_keychain(slots, identity, label=self.label), None
        return add_recovery_code(slots, identity, label=self.label)


def _new_passphrase(file: str) -> Secret:
    if file:
        passphrase = read_passphrase_file(Path(file))
        check_strength(passphrase)
        return passphrase
    prompt = terminal()
    if prompt is None:
        raise InvalidInput(
            "A new passphrase is needed, and nobody can be asked for it here.",
            "Name a file that holds it with --new-passphrase-file, or run this in a terminal.",
        )
    passphrase = normalised(Secret(prompt("New passphrase: ")))
    check_strength(passphrase)
    if normalised(Secret(prompt("The same again: "))) != passphrase:
        raise InvalidInput("The two passphrases differ.", "Nothing was added; try again.")
    return passphrase


def _founded(opened: Opened, held: WorkspaceKeys) -> None:
    if not held.keys.exist:
        held.found()
        if held.founded is not None:
            _record(opened, "add", held.founded)


def _record(opened: Opened, action: str, slot: Slot) -> None:
    kind = slot.kind.value if slot.kind else None
    opened.agentfs.audit.record(opened.person, f"keys.{action}", slot.id, {"kind": kind})


def _added(slot: Slot, code: Secret | None, machine: Slot | None) -> list[str]:
    lines = [f"Added: {_called(slot)}."]
    if code is not None:
        lines += ["", f"    {code.text()}", "", "This recovery code is shown once and kept nowhere: write it down."]
        lines.append("Whoever has it and the workspace's files can open everything sealed, so keep it apart from them.")
    elif slot.kind is SlotKind.PASSPHRASE and machine is not None:
        lines.append("This machine still unlocks by itself, by its key file;")
        lines.append(f"`bailiwick keys remove {machine.id}` makes it ask for the passphrase.")
    return lines


def _standing(status: KeyStatus) -> list[str]:
    if not status.exist:
        return []
    if status.locked:
        return ["", f"Locked. {status.problem} {status.hint}".rstrip()]
    if status.problem:
        return ["", f"Unlocked by {_opener(status)}, but nothing is sealed. {status.problem} {status.hint}".rstrip()]
    lines = ["", f"Unlocked by {_opener(status)}; new contents are sealed with generation {status.generation}."]
    if not status.recoverable:
        lines.append("No passphrase or recovery code opens it: who loses the other ways loses what is sealed.")
        lines.append("`bailiwick keys add --recovery-code` makes a code to keep elsewhere.")
    return lines


def _document(slot: Slot) -> dict[str, object]:
    return {
        "id": slot.id,
        "kind": slot.kind.value if slot.kind else None,
        "label": slot.header.label if slot.header else "",
        "created_at": slot.header.created_at if slot.header else None,
        "problem": slot.problem,
    }


def _kind(slot: Slot) -> str:
    return _NAMES[slot.kind] if slot.kind else "unknown"


def _called(slot: Slot) -> str:
    label = f", {slot.header.label}" if slot.header and slot.header.label else ""
    return f"key slot {slot.id} ({_kind(slot)}{label})"


def _opener(status: KeyStatus) -> str:
    return next((_called(slot) for slot in status.slots if slot.id == status.opened_by), "a key slot that is gone")


def _made(slot: Slot) -> str:
    try:
        return clock(datetime.fromisoformat(slot.header.created_at)) if slot.header else ""
    except ValueError:
        return ""
