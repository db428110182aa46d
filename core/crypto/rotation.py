"""Rotation: a new generation of the workspace's key for new writes.

Under the lock of the keys one file appears (``identity`` says why that is enough). A process killed before leaves the
old generation, one killed after the new; running it again with the number it started from ends in the same place.
What was sealed before stays readable with the older generations, and stays readable to whoever held them: sealing it
again is the work of those who keep it.
"""

from __future__ import annotations

from core.crypto.generations import GENERATIONS_FOLDER, coverage, generation_files, generation_name
from core.crypto.identity import Generation, GenerationFile, Identity, new_key_pair
from core.crypto.sealing import seal
from core.crypto.slots import KeySlots, Slot
from core.crypto.whole_files import delete, write_new
from core.errors import InvalidInput, SealBroken


def rotate(slots: KeySlots, identity: Identity, *, from_number: int | None = None) -> Identity:
    """Make the next generation, which every slot opens; answers ``identity`` with it.

    ``from_number`` is the generation to leave behind: when a newer one is there already, nothing is done, so that an
    interrupted rotation can be repeated blindly. Slots that lacked a generation get it first.

    Raises SealBroken when a slot cannot be relied on (remove it first: the new key must not go to a stranger),
    InvalidInput when there is no slot, Locked when ``identity`` has not all generations, and what writing raises.
    """
    with slots.changing():
        identity = slots.complete(identity)
        if from_number is not None and identity.newest.number > from_number:
            return identity
        reliable = _all_reliable(slots, identity)
        _hand_on(slots, identity, reliable)
        generation = Generation(identity.newest.number + 1, new_key_pair())
        file = GenerationFile(
            identity.id, generation, identity.newest.key.recipient, tuple(slot.id for slot in reliable)
        )
        _write(slots, file, identity, reliable)
        return identity.extended([generation])


def hand_on(slots: KeySlots, identity: Identity) -> list[str]:
    """Give every slot the generations it lacks, as happens to slots added on another machine during a rotation.

    Answers the ids of the slots that got any. Raises as ``rotate``. Each is one file; repeat it when interrupted.
    """
    with slots.changing():
        identity = slots.complete(identity)
        return _hand_on(slots, identity, _all_reliable(slots, identity))


def _all_reliable(slots: KeySlots, identity: Identity) -> list[Slot]:
    reliable = slots.reliable(identity)
    left_out = [slot for slot in slots.listed() if slot.id not in {each.id for each in reliable}]
    if left_out:
        raise SealBroken(
            left_out[0].problem or f"The header of key slot {left_out[0].id} was not written by a holder of the keys.",
            f"Remove it with `bailiwick keys remove {left_out[0].id}`, then rotate.",
        )
    if not reliable:
        raise InvalidInput("There is no key slot that the new keys could be given to.", "Add one first.")
    return reliable


def _hand_on(slots: KeySlots, identity: Identity, reliable: list[Slot]) -> list[str]:
    covered = coverage(slots.folder, identity)
    after = {file.generation.id: file.after for file in generation_files(slots.folder, identity)}
    given = []
    for slot in reliable:
        held = {*(slot.header.holds if slot.header else ()), *covered.get(slot.id, ())}
        lacking = [each for each in identity.generations if each.id not in held]
        for generation in lacking:
            before = after.get(generation.id) or _one_before(identity, generation)
            file = GenerationFile(identity.id, generation, before, (slot.id,))
            # One that lies there already and gives nothing to its slot is damaged.
            delete(slots.folder / GENERATIONS_FOLDER / generation_name(file, slot.id))
            _write(slots, file, identity, [slot], only_slot=slot.id)
        if lacking:
            given.append(slot.id)
    return given


def _one_before(identity: Identity, generation: Generation) -> str:
    return next(each.key.recipient for each in identity.generations if each.number == generation.number - 1)


def _write(
    slots: KeySlots, file: GenerationFile, identity: Identity, readers: list[Slot], *, only_slot: str = ""
) -> None:
    before = next(each for each in identity.generations if each.key.recipient == file.after)
    recipients = [slot.header.recipient for slot in readers if slot.header]
    sealed = seal(file.content(before), [*recipients, file.generation.key.recipient])
    write_new(slots.folder / GENERATIONS_FOLDER / generation_name(file, only_slot), sealed)
