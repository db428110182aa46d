"""Adding and opening slots in the ways a person knows: passphrase, keychain, key file, recovery code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.crypto import keychain
from core.crypto.identity import Identity
from core.crypto.passphrases import (
    check_strength,
    normalised,
    random_passphrase,
    read_key_file,
    write_key_file,
)
from core.crypto.recovery_code import looks_like_recovery_code, new_recovery_code, read_recovery_code
from core.crypto.secret import HOW_TO_UNLOCK, Secret
from core.crypto.slot_header import SlotKind
from core.crypto.slots import KeySlots, Slot
from core.crypto.whole_files import delete
from core.errors import BailiwickError, InvalidInput, NotFound, WrongKey
from core.ids import new_id


def add_passphrase(slots: KeySlots, identity: Identity, passphrase: Secret, *, label: str = "") -> Slot:
    """A slot for what a person chose. Raises InvalidInput when it is too short, and as ``KeySlots.add``."""
    check_strength(passphrase)
    return slots.add(identity, SlotKind.PASSPHRASE, normalised(passphrase), label=label)


def add_recovery_code(slots: KeySlots, identity: Identity, *, label: str = "") -> tuple[Slot, Secret]:
    """A slot and its code, which is shown once and kept nowhere. As shown, it is the passphrase for ``age -d``."""
    code = new_recovery_code()
    return slots.add(identity, SlotKind.RECOVERY_CODE, code, label=label), code


def add_key_file(slots: KeySlots, identity: Identity, path: Path, *, label: str = "", slot_id: str = "") -> Slot:
    """A slot whose passphrase lies in a new file, mode 0600; ``slot_id`` is a new id where the file is named by it.

    Raises InvalidInput when ``path`` exists, or lies in the workspace: a copy of that would hold lock and key.
    """
    path = path.absolute()
    if (path.parent.resolve() / path.name).is_relative_to(slots.folder.parent.resolve()):
        raise InvalidInput(
            "A key file inside the workspace would travel with what it opens.", "Name a file in another folder."
        )
    slot_id, passphrase = slot_id or new_id(), random_passphrase()
    write_key_file(path, slot_id, passphrase)
    try:
        return slots.add(identity, SlotKind.KEY_FILE, passphrase, label=label, slot_id=slot_id)
    except BaseException:
        delete(path)
        raise


def add_keychain(slots: KeySlots, identity: Identity, *, label: str = "") -> Slot:
    """A slot whose passphrase lies in this machine's keychain. Raises Unreachable when there is none that works."""
    slot_id, passphrase = new_id(), random_passphrase()
    keychain.keep(slot_id, passphrase)
    try:
        return slots.add(identity, SlotKind.KEYCHAIN, passphrase, label=label, slot_id=slot_id)
    except BaseException:
        keychain.forget(slot_id)
        raise


def open_by_passphrase(slots: KeySlots, passphrase: Secret) -> Identity:
    """The identity, by whichever passphrase slot fits. Raises WrongKey, or what the only such slot says is wrong."""
    return _first_that_opens(slots, SlotKind.PASSPHRASE, normalised(passphrase), "passphrase")


def open_by_recovery_code(slots: KeySlots, typed: Secret) -> Identity:
    """The identity, by a recovery code; raises InvalidInput that tells a typing error from a wrong code (WrongKey)."""
    return _first_that_opens(slots, SlotKind.RECOVERY_CODE, read_recovery_code(typed), "recovery code")


def open_by_key_file(slots: KeySlots, path: Path) -> Identity:
    """The identity, by a key file. Raises as ``read_key_file`` and ``KeySlots.open``."""
    slot_id, passphrase = read_key_file(path)
    return slots.open(slot_id, passphrase)


def open_by_keychain(slots: KeySlots) -> Identity:
    """The identity, by this machine's keychain, asking nobody.

    Raises Unreachable when there is no keychain, NotFound when it holds nothing for this workspace.
    """
    for slot in slots.listed():
        if slot.kind is SlotKind.KEYCHAIN:
            passphrase = keychain.fetch(slot.id)
            if passphrase is not None:
                return slots.open(slot.id, passphrase)
    raise NotFound("The keychain of this machine holds no key of this workspace.", HOW_TO_UNLOCK)


def open_by_typed(slots: KeySlots, typed: Secret) -> Identity:
    """The identity, by what a person typed where either a passphrase or a recovery code was asked for.

    Raises as ``open_by_passphrase``; where only recovery codes open the workspace, as ``open_by_recovery_code``.
    """
    kinds = {slot.kind for slot in slots.listed()}
    if SlotKind.PASSPHRASE not in kinds and SlotKind.RECOVERY_CODE in kinds:
        return open_by_recovery_code(slots, typed)
    if looks_like_recovery_code(typed):
        with suppress(WrongKey):
            return open_by_recovery_code(slots, typed)
    return open_by_passphrase(slots, typed)


def remove_slot(
    slots: KeySlots, slot_id: str, identity: Identity, opens: Callable[[Slot], bool] = lambda slot: True
) -> None:
    """Remove a slot, and its passphrase from the keychain; a key file stays, and opens nothing any more.

    Raises as ``KeySlots.remove``. Another slot counts as a way in where ``opens`` does not deny it, and one of a
    keychain only where this machine's keychain opens it.
    """
    kind = slots.find(slot_id).kind
    slots.remove(
        slot_id,
        identity,
        lambda slot: opens(slot) and (slot.kind is not SlotKind.KEYCHAIN or _opens_by_keychain(slots, slot)),
    )
    if kind in (SlotKind.KEYCHAIN, None):
        keychain.forget(slot_id)


def change_passphrase(slots: KeySlots, identity: Identity, slot_id: str, passphrase: Secret) -> Slot:
    """Add a slot for a new passphrase, open it, then remove the old one; a crash between leaves both.

    Raises as ``add_passphrase`` and ``remove_slot``; whatever it raises, what opened before still opens.
    """
    old = slots.find(slot_id)
    new = add_passphrase(slots, identity, passphrase, label=old.header.label if old.header else "")
    opened = slots.open(new.id, normalised(passphrase))
    remove_slot(slots, old.id, opened)
    opened.forget()
    return new


def _first_that_opens(slots: KeySlots, kind: SlotKind, passphrase: Secret, what: str) -> Identity:
    # A slot without its header may be of any kind.
    candidates = [slot for slot in slots.listed() if slot.kind in (kind, None)]
    damaged: list[BailiwickError] = []
    for slot in candidates:
        try:
            return slots.open(slot.id, passphrase)
        except WrongKey:
            continue
        except BailiwickError as error:
            damaged.append(error)
    if damaged and len(damaged) == len(candidates):
        raise damaged[0]
    if not candidates:
        raise NotFound(f"This workspace has no key slot for a {what}.", "`bailiwick keys list` shows what it has.")
    hint = f"If it was typed well: {damaged[0].message}" if damaged else "Check what was typed."
    raise WrongKey(f"That {what} opens no key slot of this workspace.", hint)


def _opens_by_keychain(slots: KeySlots, slot: Slot) -> bool:
    try:
        passphrase = keychain.fetch(slot.id)
        if passphrase is None:
            return False
        slots.open(slot.id, passphrase).forget()
    except BailiwickError:
        return False
    return True
