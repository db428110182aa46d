"""The keys of one workspace in this process: made when first needed, and unlocked without asking where that can be."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.crypto.generations import generation_names
from core.crypto.identity import Identity, new_identity
from core.crypto.keys import Keys, Purpose, keyed_proof
from core.crypto.openers import add_key_file, open_by_key_file, remove_slot
from core.crypto.sealing import open_sealed
from core.crypto.secret import HOW_TO_UNLOCK
from core.crypto.slot_header import SlotKind
from core.crypto.slots import PASSPHRASE_WORK_FACTOR, SLOTS_FOLDER, KeySlots, Slot
from core.crypto.unasked import AtHand, at_hand, key_file_of, open_unasked
from core.crypto.whole_files import cannot_write, delete
from core.errors import BailiwickError, InvalidInput, Locked, SealBroken, WrongKey
from core.ids import new_id

MACHINE_LABEL = "machine"
"""The label of a slot that a machine opens by itself; it is readable by everyone, so it names none."""


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """What is remembered of a workspace's identity apart from its slots, which may be lost or exchanged.

    ``known`` gives the id that was noted first, empty where none was, and ``note`` notes one. ``oldest_sealed`` gives
    something that the identity must open, None where nothing is sealed. They raise what reading and writing it raises.
    """

    known: Callable[[], str]
    note: Callable[[str], None]
    oldest_sealed: Callable[[], bytes | None]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """How it stands with the keys, without anything having been tried for this answer.

    ``held``: a person locked this process. ``slots`` are oldest first, with the problem of each. ``recoverable``: a
    whole slot of a passphrase or recovery code is there, so that losing this machine loses nothing. While unlocked,
    ``generation`` is the number of the newest and ``opened_by`` the id of the slot; while locked, 0 and empty.
    ``problem`` is a sentence that says why it stays locked, or why nothing is sealed, and ``hint`` what to do; both
    empty where all is well.
    """

    exist: bool
    locked: bool
    held: bool
    slots: tuple[Slot, ...]
    recoverable: bool
    generation: int
    opened_by: str = ""
    problem: str = ""
    hint: str = ""


class WorkspaceKeys:
    """The keys of one workspace in this process, and the ways in which they unlock without asking.

    Safe from any thread. Making one reads nothing. The first use may take a second, where only a passphrase file opens
    the workspace; what was tried in vain is tried again when the slots or files concerned have changed.
    """

    def __init__(
        self,
        folder: Path,
        key_files: Path,
        *,
        environ: Mapping[str, str] = os.environ,
        work_factor: int = PASSPHRASE_WORK_FACTOR,
        record: IdentityRecord | None = None,
    ) -> None:
        """``folder`` holds the slots; ``key_files``, outside the workspace, what opens them on this machine.

        With ``record`` nothing is sealed under another identity than the one it knows.
        """
        self.keys = Keys(KeySlots(folder, work_factor=work_factor))
        self.key_files = key_files
        self.founded: Slot | None = None
        """The first slot, where it was this process that made the keys."""
        self._environ = environ
        self._record = record
        self._listeners: list[Callable[[], None]] = []
        self._held = False
        self._tried: AtHand | None = None
        self._refused: BailiwickError | None = None
        self._deciding = threading.Lock()
        self._unlocking = threading.Lock()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener``, which must not raise, after each locking, unlocking and founding, in its thread."""
        self._listeners.append(listener)

    def ready(self) -> bool:
        """Whether sealed things can be opened now; unlocks by itself if it can. Raises nothing."""
        if self._was_replaced():
            self.keys.lock()
        if self.keys.is_locked:
            with self._unlocking:
                unlocked = self._unlock_unasked()
            if unlocked:
                self._changed()
        return not self.keys.is_locked

    def prepare(self) -> Keys:
        """Unlock the keys, or make them where the workspace has none, so that ``seal`` works; the answer is they.

        Raises Locked, SealBroken when they are those of another identity, and as ``found``.
        """
        if not self.ready() and not self._held and not self.keys.slots.ids():
            self.found()
        keys = self._usable()
        identity = keys.identity
        self._require_own(keys.slots.complete(identity) if identity.unopened else identity)
        return keys

    def seal(self, data: bytes) -> bytes:
        """``data`` as an age file for the newest generation; makes the keys where there are none. As ``prepare``."""
        return self.prepare().seal_for_self(data)

    def rotate(self) -> Identity:
        """Make a new generation for what is sealed from now on. Raises as ``prepare`` and ``Keys.rotate``."""
        return self.prepare().rotate()

    def open(self, data: bytes, name: str = "The sealed data") -> bytes:
        """What ``seal`` was given. Raises Locked, WrongKey and SealBroken, with ``name`` as the subject."""
        return self._usable().open(data, name)

    def proof(self, *parts: bytes) -> bytes:
        """32 bytes that only a holder of the keys can make, the same for the same parts for ever. Raises Locked.

        HMAC-SHA256 over the parts, each after its length, with a key derived from the first generation.
        """
        return keyed_proof(self._usable().subkey(Purpose.SEAL).secret, *parts)

    def unlock(self, opener: Callable[[KeySlots], Identity]) -> None:
        """Unlock as a person asks, with one of the functions of ``openers``. Raises what it raises."""
        self._hold(opener(self.keys.slots), by_person=True)
        self._changed()

    def lock(self) -> None:
        """Forget every secret; nothing unlocks this process again but ``unlock``."""
        with self._deciding:
            self._held = True
            self.keys.lock()
        self._changed()

    def found(self) -> Slot:
        """Make the identity and its first slot, for this machine, where there are none; answers the oldest slot.

        Of several processes that do so at once one makes them, and the others take them. Raises InvalidInput when the
        key files would lie in the workspace, SealBroken when its slots are lost, StorageFull and WorkspaceUnusable.
        """
        slots = self.keys.slots
        present = slots.listed()
        if present:
            return present[0]
        if lost := self._lost():
            raise lost
        identity = new_identity()
        try:
            slot = self.founded = self._add_machine_slot(identity, MACHINE_LABEL)
            if self._record is not None:
                self._record.note(identity.id)
        except InvalidInput:
            present = slots.listed()
            if not present:
                raise
            slot = present[0]
        finally:
            identity.forget()
        if not self.ready():
            self._changed()
        return slot

    def remember(self, label: str = MACHINE_LABEL) -> Slot:
        """Add a slot by which this machine unlocks without asking. Raises Locked, and as ``KeySlots.add``."""
        return self._add_machine_slot(self._usable().identity, label)

    def remove(self, slot_id: str) -> bool:
        """Remove a slot, and this machine's key file of it; answers whether there was one.

        Raises Locked, and as ``KeySlots.remove``. A slot of a key file or keychain counts as another way in only where
        it opens on this machine, or is what opened the workspace in this process.
        """
        slots, identity = self.keys.slots, self._usable().identity
        opened_by = identity.slot_id
        remove_slot(
            slots,
            slot_id,
            identity,
            lambda slot: slot.kind is not SlotKind.KEY_FILE or slot.id == opened_by or self._key_file_opens(slot),
        )
        path = self.key_file(slot_id)
        there = os.path.lexists(path)
        if there:
            delete(path)
        return there

    def key_file(self, slot_id: str) -> Path:
        """Where this machine's key file of a slot lies, if it has one."""
        return key_file_of(self.key_files, slot_id)

    def machine_slot(self) -> Slot | None:
        """The slot that a key file of this machine opens, if there is one; tries them. Raises nothing."""
        return next((slot for slot in self.keys.slots.listed() if self._key_file_opens(slot)), None)

    def status(self) -> KeyStatus:
        """How it stands now; unlocks nothing and raises nothing."""
        slots = self.keys.slots.listed()
        identity, refused = self._identity()
        if identity is not None:
            slots = [_proved(slot, identity) for slot in slots]
        if refused is None and identity is None and slots:
            refused = self._why_locked()
        refused = refused or self._not_own(identity)
        return KeyStatus(
            exist=bool(slots),
            locked=identity is None,
            held=self._held,
            slots=tuple(slots),
            recoverable=any(
                slot.kind in (SlotKind.PASSPHRASE, SlotKind.RECOVERY_CODE) and not slot.problem for slot in slots
            ),
            generation=identity.newest.number if identity is not None else 0,
            opened_by=identity.slot_id if identity is not None else "",
            problem=refused.message if refused is not None else "",
            hint=refused.hint if refused is not None else "",
        )

    def _usable(self) -> Keys:
        if not self.ready():
            if not self.keys.slots.ids():
                raise Locked("This workspace has no keys yet.", "Make them with `bailiwick keys add`.")
            why = self._why_locked()
            raise Locked(
                "The keys of this workspace are locked.", f"{why.message} {why.hint}" if why else HOW_TO_UNLOCK
            )
        return self.keys

    def _lost(self) -> SealBroken | None:
        """The error for slots that were there once: what they opened is still here."""
        folder, record = self.keys.slots.folder, self._record
        sealed = record is not None and (record.known() or record.oldest_sealed() is not None)
        if not sealed and not generation_names(folder):
            return None
        return SealBroken(
            "The key slots of this workspace are lost, but not what was sealed with its keys.",
            f"Bring back {folder / SLOTS_FOLDER} from a backup.",
        )

    def _require_own(self, identity: Identity) -> None:
        """Raise SealBroken unless ``identity`` is the workspace's; the first that opens what is sealed becomes it."""
        if self._record is None:
            return
        known = self._record.known()
        if not known:
            sealed = self._record.oldest_sealed()
            if sealed is not None and not _opens(identity, sealed):
                raise self._foreign()
            self._record.note(identity.id)
        elif known != identity.id:
            raise self._foreign()

    def _foreign(self) -> SealBroken:
        return SealBroken(
            "The key slots of this workspace belong to another identity than what is sealed in it.",
            f"Bring back {self.keys.slots.folder / SLOTS_FOLDER} from a backup.",
        )

    def _was_replaced(self) -> bool:
        """Whether the workspace joined another identity, in another process, since this one was unlocked."""
        with suppress(BailiwickError):
            if self._record is None or self.keys.is_locked:
                return False
            identity = self.keys.identity
            # Its slot still lies there as a rule, so that nothing is read.
            return identity.slot_id not in self.keys.slots.ids() and self._record.known() not in ("", identity.id)
        return False

    def _not_own(self, identity: Identity | None) -> BailiwickError | None:
        """What is wrong with the slots as far as the record tells."""
        try:
            if identity is None:
                return None if self.keys.slots.ids() else self._lost()
            known = self._record.known() if self._record is not None else ""
        except BailiwickError:
            return None
        return None if known in ("", identity.id) else self._foreign()

    def _unlock_unasked(self) -> bool:
        """Whether this call has unlocked them."""
        slots = self.keys.slots
        found = at_hand(slots, self.key_files, self._environ)
        if not self.keys.is_locked or self._held or found == self._tried or not slots.ids():
            return False
        try:
            identity = open_unasked(slots, self.key_files, self._environ)
        except BailiwickError as error:
            self._tried, self._refused = found, error
            return False
        return self._hold(identity)

    def _hold(self, identity: Identity, *, by_person: bool = False) -> bool:
        with self._deciding:
            if self._held and not by_person:
                identity.forget()
                return False
            self._held = False
            self._tried = self._refused = None
            self.keys.unlock(lambda: identity)
        return True

    def _why_locked(self) -> BailiwickError | None:
        if self._held:
            return Locked("A person locked them here.", HOW_TO_UNLOCK)
        return self._refused

    def _identity(self) -> tuple[Identity | None, BailiwickError | None]:
        if self.keys.is_locked:
            return None, None
        try:
            return self.keys.identity, None
        except Locked:
            return None, None
        except BailiwickError as error:
            return None, error

    def _add_machine_slot(self, identity: Identity, label: str) -> Slot:
        slot_id = new_id()
        try:
            self.key_files.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(error, self.key_files) from None
        return add_key_file(self.keys.slots, identity, self.key_file(slot_id), label=label, slot_id=slot_id)

    def _key_file_opens(self, slot: Slot) -> bool:
        try:
            open_by_key_file(self.keys.slots, self.key_file(slot.id)).forget()
        except BailiwickError:
            return False
        return True

    def _changed(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def _opens(identity: Identity, sealed: bytes) -> bool:
    try:
        open_sealed(sealed, identity.secrets, "The oldest sealed content")
    except WrongKey:
        return False
    except SealBroken:
        # Damaged as it is, it tells nothing.
        return True
    return True


def _proved(slot: Slot, identity: Identity) -> Slot:
    if slot.problem or slot.header is None or slot.header.is_proved(identity):
        return slot
    return replace(slot, problem=f"The header of key slot {slot.id} was not written by a holder of the keys.")
