"""Key slots: each an immutable file that holds the workspace's identity, sealed by a passphrase.

``slots/<id>.age`` is an age file that the ``age`` program opens; ``slots/<id>.json`` beside it is its header. A slot
exists from the moment its ``.age`` file has its name until it is deleted, and is never rewritten: changing a password
is adding a slot, opening it, and removing the old one. Files come and go under one lock, each complete or absent.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.crypto import age_format
from core.crypto.generations import GENERATIONS_FOLDER, coverage, read_generations
from core.crypto.identity import Identity, new_key_pair, read_slot_content, slot_content
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotHeader, SlotKind, read_slot_header
from core.crypto.whole_files import delete, only_one, read_small, write_new
from core.errors import InvalidInput, Locked, NotFound, SealBroken, WorkspaceUnusable, WrongKey
from core.ids import new_id

SLOTS_FOLDER = "slots"
LONGEST_LABEL = 60
PASSPHRASE_WORK_FACTOR = 18
"""scrypt's cost for what a person chose: 0.76 s and 256 MiB on the machine it was measured on; age's own default."""
RANDOM_WORK_FACTOR = 12
"""For passphrases of 130 or 256 random bits, which nobody can guess however fast: unlocking takes 10 ms."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A key slot as it lies there. ``problem`` is a sentence when it cannot be relied on; ``header`` may be missing."""

    id: str
    header: SlotHeader | None
    problem: str = ""

    @property
    def kind(self) -> SlotKind | None:
        """Where its passphrase comes from, if its header tells."""
        return self.header.kind if self.header else None

    @property
    def name(self) -> str:
        """What sentences call it."""
        return f"Key slot {self.id}"


class KeySlots:
    """The folder of a workspace's keys. Safe from any thread and any number of processes; holds no secrets."""

    def __init__(self, folder: Path, *, work_factor: int = PASSPHRASE_WORK_FACTOR) -> None:
        """``work_factor`` is for new passphrase slots: the base-2 logarithm of scrypt's cost."""
        self.folder = folder
        self._slots = folder / SLOTS_FOLDER
        self._work_factor = work_factor

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Inside the block no other process or thread adds, removes or rotates. Raises Unreachable after 30 seconds."""
        with only_one(self.folder, self._slots, self.folder / GENERATIONS_FOLDER):
            for header in self._slots.glob("*.json"):
                if not header.with_suffix(".age").exists():
                    delete(header)
            yield

    def ids(self) -> list[str]:
        """The ids of the slots, oldest first; no file is read."""
        try:
            names = os.listdir(self._slots)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name.removesuffix(".age") for name in names if name.endswith(".age") and not name.startswith("."))

    def listed(self) -> list[Slot]:
        """Every slot, oldest first; nothing is decrypted."""
        return [self._slot(slot_id) for slot_id in self.ids()]

    def find(self, beginning: str) -> Slot:
        """The slot whose id begins so; raises NotFound, or InvalidInput when several do."""
        found = [slot_id for slot_id in self.ids() if beginning and slot_id.startswith(beginning)]
        if not found:
            raise NotFound(f"There is no key slot {beginning}.", "`bailiwick keys list` shows them.")
        if len(found) > 1:
            raise InvalidInput(f"Several key slots begin with {beginning}.", "Type more of it.")
        return self._slot(found[0])

    def add(
        self, identity: Identity, kind: SlotKind, passphrase: Secret, *, label: str = "", slot_id: str = ""
    ) -> Slot:
        """Add a slot that ``passphrase`` opens; the first one founds the identity in this folder.

        ``label`` is readable by everyone. Raises InvalidInput when the folder holds another identity, Locked when
        ``identity`` has not all generations, and StorageFull or WorkspaceUnusable when it cannot be written.
        """
        slot_id = slot_id or new_id()
        with self.changing():
            present = [slot.header for slot in self.listed() if slot.header]
            if any(header.identity_id != identity.id for header in present):
                raise InvalidInput(
                    "The keys in this workspace belong to another identity.",
                    "Open one of its key slots instead, or name another workspace with --workspace.",
                )
            identity = self.complete(identity)
            slot_key = new_key_pair()
            factor = self._work_factor if kind is SlotKind.PASSPHRASE else RANDOM_WORK_FACTOR
            sealed = age_format.seal_by_passphrase(slot_content(identity, slot_id, slot_key), passphrase, factor)
            header = SlotHeader(
                id=slot_id,
                kind=kind,
                label=checked_label(label),
                created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                identity_id=identity.id,
                recipient=slot_key.recipient,
                holds=tuple(each.id for each in identity.generations),
                sha256=hashlib.sha256(sealed).hexdigest(),
                size=len(sealed),
                proved_by="",
            ).proved(identity.newest)
            slot_key.secret.forget()
            write_new(self._slots / f"{slot_id}.json", header.to_bytes())
            write_new(self._slots / f"{slot_id}.age", sealed)
        return Slot(slot_id, header)

    def open(self, slot_id: str, passphrase: Secret) -> Identity:
        """The identity that a slot holds, with the generations made since.

        Raises NotFound; WrongKey when the passphrase is not this slot's; SealBroken, in one sentence, when the slot is
        cut off, changed, exchanged with another or asks for absurd work (before any is done). A damaged header keeps
        nobody out.
        """
        slot = self._slot(slot_id)
        sealed = read_small(self._slots / f"{slot_id}.age")
        if sealed is None:
            raise NotFound(f"There is no key slot {slot_id}.", "`bailiwick keys list` shows them.")
        problem: WrongKey | SealBroken
        try:
            identity = read_slot_content(age_format.open_by_passphrase(sealed, passphrase, slot.name), slot.name)
        except (WrongKey, SealBroken) as error:
            problem = SealBroken(slot.problem, "Use another slot.") if slot.problem and slot.header else error
        else:
            if identity.slot_id == slot_id:
                return self.refreshed(identity)
            problem = _exchanged(slot.name, identity.slot_id)
        raise problem.with_traceback(None) from None

    def refreshed(self, identity: Identity) -> Identity:
        """``identity`` with every generation in the folder that it can open."""
        return read_generations(self.folder, identity)

    def complete(self, identity: Identity) -> Identity:
        """``identity`` refreshed; raises Locked when there is a generation that it cannot open."""
        identity = self.refreshed(identity)
        if identity.unopened:
            raise Locked(
                f"This key slot has not been given the newest keys ({', '.join(identity.unopened)}).",
                "Unlock with another slot; `bailiwick keys rotate` there hands the keys on.",
            )
        return identity

    def reliable(self, identity: Identity) -> list[Slot]:
        """The slots that are whole and were written by a holder of the keys."""
        return [slot for slot in self.listed() if not slot.problem and slot.header and slot.header.is_proved(identity)]

    def remove(self, slot_id: str, identity: Identity, opens: Callable[[Slot], bool] = lambda slot: True) -> None:
        """Delete a slot; ``opens`` answers for another slot whether it still can be opened, where that can be known.

        Raises NotFound, and InvalidInput when no other slot would give all generations: the last one stays. It still
        opens what it opened before for whoever has a copy of it: rotate, so that new writes are closed to it.
        """
        with self.changing():
            if slot_id not in self.ids():
                raise NotFound(f"There is no key slot {slot_id}.", "`bailiwick keys list` shows them.")
            identity = self.complete(identity)
            covered = coverage(self.folder, identity)
            wanted = {each.id for each in identity.generations}
            if not any(
                slot.header and wanted <= {*slot.header.holds, *covered.get(slot.id, ())} and opens(slot)
                for slot in self.reliable(identity)
                if slot.id != slot_id
            ):
                raise InvalidInput(
                    "This is the last key slot known to open the workspace; without it everything sealed is lost.",
                    "Add another with `bailiwick keys add` first, or unlock with the one that is to stay.",
                )
            delete(self._slots / f"{slot_id}.age")
            delete(self._slots / f"{slot_id}.json")

    def _slot(self, slot_id: str) -> Slot:
        header = self._header(slot_id)
        name = f"Key slot {slot_id}"
        try:
            sealed = read_small(self._slots / f"{slot_id}.age")
            if sealed is None:
                return Slot(slot_id, header, f"{name} is gone.")
            age_format.passphrase_stanza(age_format.read_header(sealed, name), name)
        except (SealBroken, WorkspaceUnusable) as broken:
            return Slot(slot_id, header, broken.message)
        if header is None:
            return Slot(slot_id, None, f"The header of key slot {slot_id} is missing or damaged.")
        if header.fits(sealed):
            return Slot(slot_id, header)
        owner = self._owner(sealed)
        if owner:
            return Slot(slot_id, header, _exchanged(name, owner).message)
        if len(sealed) < header.size:
            return Slot(slot_id, header, f"{name} is cut off: its end is missing.")
        return Slot(slot_id, header, f"{name} or its header was changed after it was written.")

    def _owner(self, sealed: bytes) -> str:
        headers = {slot_id: self._header(slot_id) for slot_id in self.ids()}
        return next((slot_id for slot_id, header in headers.items() if header and header.fits(sealed)), "")

    def _header(self, slot_id: str) -> SlotHeader | None:
        try:
            return read_slot_header(read_small(self._slots / f"{slot_id}.json") or b"", slot_id)
        except WorkspaceUnusable:
            return None


def _exchanged(name: str, owner: str) -> SealBroken:
    return SealBroken(f"{name} was exchanged: its file holds key slot {owner}.", "Use another slot.")


def checked_label(label: str) -> str:
    """``label`` itself; raises InvalidInput when a slot cannot have it."""
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise InvalidInput(f"A slot's label is one line of at most {LONGEST_LABEL} characters.")
    return label
