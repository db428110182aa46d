"""Founding a remote, and joining one: the workspace and the remote come to have one identity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.resealing import Resealing
from core.agentfs.scratch_folder import scratch_folder
from core.crypto.identity import Identity
from core.crypto.openers import add_recovery_code, open_by_key_file, open_by_passphrase, open_by_recovery_code
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.slots import KeySlots
from core.errors import InvalidInput, NotFound, RemoteRefused, SealBroken
from core.remote.store import ObjectStore
from core.sync.approval import end_request, take_answer
from core.sync.key_exchange import exchange_keys, fetch_keys, install_slots, keys_prefix, send_keys
from core.sync.remote_identity import RemoteFormat, already_founded, read_format, require_own, write_format

Progress = Callable[[int, int], None]
JOINED = "sync.workspace"
"""The setting that holds the id of the workspace whose remote this is, from the moment it was founded or joined."""


class JoinWay(StrEnum):
    """What opens the remote's keys; with ``member`` the workspace keeps keys of its own, as another user does."""

    RECOVERY_CODE = "recovery_code"
    PASSPHRASE = "passphrase"
    APPROVAL = "approval"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Founded:
    """A founded remote. ``recovery_code`` is shown once and kept nowhere.

    ``passphrases`` counts the passphrase slots that lie in the remote from now on, where whoever can read the bucket
    may try to guess them. ``temporary`` says in a sentence who deletes what is old under ``temp/``.
    """

    workspace: str
    recovery_code: Secret
    writers: str
    passphrases: int
    temporary: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A joined remote. ``resealed`` counts what was sealed again because the workspace had keys of its own before."""

    workspace: str
    slots: int
    resealed: int


def found(agentfs: AgentFS, store: ObjectStore, *, by: Actor, writers: str = "many") -> Founded:
    """Make ``store``, which holds no workspace yet, the remote of this one; run again after an interruption, it ends.

    ``writers`` is ``many``, or ``one`` where the probe found that the store ignores conditions and the person accepts
    that one device alone may write. Raises InvalidInput when the remote already holds a workspace (of two founders at
    once exactly one succeeds), Locked, and what the store raises.
    """
    _refuse_read_only(store)
    there = read_format(store)
    if there is not None and not _founded_here(agentfs, there):
        raise already_founded(store)
    identity = agentfs.keys.prepare().identity
    slots = agentfs.keys.keys.slots
    slot, code = add_recovery_code(slots, identity, label="remote")
    try:
        # Whoever sees the mark can join, so the keys are there before it.
        send_keys(store, slots, identity)
        mark = write_format(store, identity, device=agentfs.device, writers=writers)
    except InvalidInput:
        slots.remove(slot.id, identity)
        store.delete(_all_keys(store, identity))
        raise
    _note(agentfs, by, "remote.found", mark)
    passphrases = sum(each.kind is SlotKind.PASSPHRASE for each in slots.listed())
    return Founded(identity.id, code, mark.writers, passphrases)


def join(
    agentfs: AgentFS,
    store: ObjectStore,
    way: JoinWay,
    given: Secret | None = None,
    *,
    by: Actor,
    progress: Progress | None = None,
) -> Joined:
    """Make this workspace one with what ``store`` holds.

    ``given`` is the recovery code, the passphrase, or the code that ``ask_to_join`` answered. What was sealed here
    under keys of its own is sealed again under the remote's, with ``progress`` (done, in all); run again after an
    interruption, it ends. Raises NotFound when the remote holds no workspace, WrongKey, SealBroken when the remote is
    not what a holder of the keys wrote, WorkspaceUnusable when a newer Bailiwick wrote it, Unreachable while nobody has
    approved.
    """
    mark = read_format(store)
    if mark is None:
        raise NotFound(
            f"The remote {store.name} holds no workspace yet.", f"Found it with `bailiwick remote set '{store.name}'`."
        )
    if way is JoinWay.MEMBER:
        return _join_as_member(agentfs, store, mark, by)
    if given is None:
        raise InvalidInput("Nothing was given that opens the remote.", "Name a recovery code or a passphrase file.")
    with scratch_folder(agentfs.root, ".joining-") as folder:
        fetch_keys(store, mark.workspace, folder)
        identity = _opened(agentfs, store, KeySlots(folder), way, given, folder)
        require_own(mark, identity, store)
        resealed = _become(agentfs, folder, identity, progress or _unseen, by)
    exchange_keys(agentfs, store)
    end_request(agentfs, store)
    _note(agentfs, by, "remote.join", mark)
    return Joined(mark.workspace, len(agentfs.keys.keys.slots.ids()), resealed)


def check_still_ours(agentfs: AgentFS, store: ObjectStore) -> RemoteFormat:
    """The mark of a remote that was founded or joined; raises SealBroken or NotFound when it is another's or gone."""
    mark = read_format(store)
    known = agentfs.settings.get(JOINED)
    if mark is None:
        raise NotFound(
            f"The remote {store.name} holds no workspace any more.",
            "Look whether it is the right bucket; `bailiwick repair` marks it again.",
        )
    if mark.workspace != known:
        raise SealBroken(
            f"The remote {store.name} belongs to another workspace than the one that was joined.",
            f"Look whether it is the right bucket, or join it with `bailiwick remote join '{store.name}'`.",
        )
    return mark


def _opened(
    agentfs: AgentFS, store: ObjectStore, slots: KeySlots, way: JoinWay, given: Secret, folder: Path
) -> Identity:
    match way:
        case JoinWay.RECOVERY_CODE:
            return open_by_recovery_code(slots, given)
        case JoinWay.PASSPHRASE:
            return open_by_passphrase(slots, given)
        case _:
            return open_by_key_file(slots, take_answer(agentfs, store, given, folder))


def _become(agentfs: AgentFS, folder: Path, identity: Identity, progress: Progress, by: Actor) -> int:
    """Make ``identity``, whose slots lie in ``folder``, this workspace's; how much was sealed again for it."""
    keys = agentfs.keys
    resealing = Resealing(agentfs.database, agentfs.contents, agentfs.guard, agentfs.audit, agentfs.root / "keys")
    resealed = resealing.run(identity, progress, by=by) if resealing.is_needed(identity) else 0
    resealing.set_aside(identity)
    install_slots(folder, keys.keys.slots, identity)
    keys.unlock(lambda slots: slots.refreshed(identity))
    keys.prepare()
    if keys.machine_slot() is None:
        keys.remember()
    return resealed


def _join_as_member(agentfs: AgentFS, store: ObjectStore, mark: RemoteFormat, by: Actor) -> Joined:
    _refuse_read_only(store)
    identity = agentfs.keys.prepare().identity
    if identity.id == mark.workspace:
        require_own(mark, identity, store)
    slots = agentfs.keys.keys.slots
    send_keys(store, slots, identity)
    _note(agentfs, by, "remote.join", mark)
    return Joined(mark.workspace, len(slots.ids()), 0)


def _founded_here(agentfs: AgentFS, mark: RemoteFormat) -> bool:
    """Whether this very workspace wrote the mark, and was interrupted or is asked to do it again."""
    if mark.device != agentfs.device or not agentfs.keys.ready():
        return False
    return mark.is_proved(agentfs.keys.keys.identity)


def _all_keys(store: ObjectStore, identity: Identity) -> list[str]:
    return [info.key for info in store.list(keys_prefix(identity.id))]


def _note(agentfs: AgentFS, by: Actor, action: str, mark: RemoteFormat) -> None:
    agentfs.audit.record(by, action, mark.workspace, {"founding": mark.founding})
    agentfs.settings.put(JOINED, mark.workspace, by=by)


def _refuse_read_only(store: ObjectStore) -> None:
    if store.read_only:
        raise RemoteRefused(f"The remote {store.name} can only be read.", "Libraries of it can be pulled as it is.")


def _unseen(done: int, total: int) -> None:
    """Nobody watches."""
