"""Generations: new writes use the newest, everything stays readable, and a kill at any step loses nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.crypto.generations import generation_names
from core.crypto.identity import Generation, GenerationFile, Identity, new_identity, new_key_pair
from core.crypto.keys import Keys
from core.crypto.openers import add_key_file, add_passphrase, change_passphrase, open_by_key_file, open_by_passphrase
from core.crypto.rotation import hand_on, rotate
from core.crypto.sealing import open_sealed, seal
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots
from core.errors import InvalidInput, Locked, SealBroken, WrongKey

NEW = Secret("another passphrase")
CALLS = ("open", "mkdir", "fsync", "link", "unlink")


def killed_at(point: int, work: Callable[[], object]) -> bool:
    """Do ``work`` in a child that ends, as by kill -9, before its call number ``point`` that changes the disk."""
    os_open, child = os.open, os.fork()
    if child == 0:
        left = point

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def counting(*arguments: object, **named: object) -> object:
                nonlocal left
                if call is not os_open or int(str(arguments[1])) & (os.O_WRONLY | os.O_RDWR):
                    left -= 1
                if left == 0:
                    os._exit(9)
                return call(*arguments, **named)

            return counting

        try:
            for name in CALLS:
                setattr(os, name, counted(getattr(os, name)))
            work()
            os._exit(0)
        finally:
            os._exit(1)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, 9)
    return ended == 9


@pytest.fixture
def opened(slots: KeySlots, identity: Identity, passphrase: Secret) -> Identity:
    """The identity, through its first slot."""
    add_passphrase(slots, identity, passphrase)
    return open_by_passphrase(slots, passphrase)


def test_a_rotation_is_seen_by_every_slot(slots: KeySlots, opened: Identity, tmp_path: Path) -> None:
    add_key_file(slots, opened, tmp_path / "a.key")
    before = seal(b"old", [opened.newest.key.recipient])
    rotated = rotate(slots, rotate(slots, opened))
    assert [each.number for each in rotated.generations] == [1, 2, 3]
    assert rotated.id == opened.id
    after = seal(b"new", [rotated.newest.key.recipient])
    for again in (
        open_by_key_file(slots, tmp_path / "a.key"),
        open_by_passphrase(slots, Secret("correct horse battery")),
    ):
        assert again.generations == rotated.generations
        assert open_sealed(before, again.secrets) == b"old"
        assert open_sealed(after, again.secrets) == b"new"
    with pytest.raises(WrongKey):
        open_sealed(after, opened.secrets)


def test_a_slot_added_later_holds_every_generation_itself(slots: KeySlots, opened: Identity) -> None:
    rotated = rotate(slots, opened)
    later = add_passphrase(slots, opened, NEW)
    shutil.rmtree(slots.folder / "generations")
    assert slots.open(later.id, NEW).generations == rotated.generations


def test_a_removed_slot_cannot_open_what_is_sealed_after_the_next_rotation(
    slots: KeySlots, opened: Identity, tmp_path: Path, passphrase: Secret
) -> None:
    removed = add_passphrase(slots, opened, NEW)
    copy = KeySlots(tmp_path / "copy" / "keys")
    shutil.copytree(slots.folder, copy.folder)
    slots.remove(removed.id, opened)
    rotated = rotate(slots, opened)
    shutil.copytree(slots.folder / "generations", copy.folder / "generations", dirs_exist_ok=True)
    stranger = copy.open(removed.id, NEW)
    assert len(stranger.generations) == 1
    with pytest.raises(WrongKey):
        open_sealed(seal(b"new", [rotated.newest.key.recipient]), [*stranger.secrets, stranger.slot_key.secret])  # type: ignore[union-attr]


def test_repeating_a_rotation_does_nothing(slots: KeySlots, opened: Identity) -> None:
    rotated = rotate(slots, opened, from_number=1)
    assert rotate(slots, opened, from_number=1).generations == rotated.generations
    assert rotate(slots, opened, from_number=2).newest.number == 3


def test_a_kill_at_any_step_of_a_rotation_loses_nothing(
    slots: KeySlots, opened: Identity, passphrase: Secret, tmp_path: Path
) -> None:
    add_key_file(slots, opened, tmp_path / "a.key")
    blobs = {}
    point = number = 1
    steps = 0
    while True:
        current = open_by_passphrase(slots, passphrase)
        assert current.newest.number == number
        blobs[number] = seal(str(number).encode(), [current.newest.key.recipient])
        killed = killed_at(point, lambda current=current: rotate(slots, current))  # type: ignore[misc]
        steps += 1
        for found in (open_by_passphrase(slots, passphrase), open_by_key_file(slots, tmp_path / "a.key")):
            assert found.unopened == ()
            assert found.newest.number in (number, number + 1)
            assert {key: open_sealed(blob, found.secrets) for key, blob in blobs.items()} == {
                key: str(key).encode() for key in blobs
            }
        # The same command once more, as a person would give it.
        continued = rotate(slots, current, from_number=number)
        assert continued.newest.number == number + 1
        assert not list(slots.folder.rglob(".new-*"))
        if not killed:
            break
        point, number = point + 1, number + 1
    assert steps > 6


def test_a_kill_at_any_step_of_adding_leaves_a_whole_slot_or_none(
    slots: KeySlots, opened: Identity, passphrase: Secret
) -> None:
    point = 1
    while killed_at(point, lambda: add_passphrase(slots, opened, NEW)):
        for slot in slots.listed():
            assert slot.problem == ""
        assert open_by_passphrase(slots, passphrase).id == opened.id
        present = len(slots.listed())
        add_passphrase(slots, opened, NEW)
        assert len(slots.listed()) == present + 1
        names = [path.name for path in (slots.folder / "slots").iterdir()]
        assert len(names) == 2 * (present + 1)
        point += 1
    assert point > 10


def test_a_kill_at_any_step_of_changing_a_passphrase_leaves_one_that_opens(
    slots: KeySlots, opened: Identity, passphrase: Secret
) -> None:
    first = slots.listed()[0]
    untouched = slots.folder.parent / "untouched"
    shutil.copytree(slots.folder, untouched)
    point = 1
    while killed_at(point, lambda: change_passphrase(slots, opened, first.id, NEW)):
        ways = [slot for slot in slots.listed() if not slot.problem]
        assert ways
        for slot in ways:
            assert slots.open(slot.id, passphrase if slot.id == first.id else NEW).id == opened.id
        shutil.rmtree(slots.folder)
        shutil.copytree(untouched, slots.folder)
        point += 1
    assert point > 15
    assert open_by_passphrase(slots, NEW).id == opened.id


def test_a_planted_slot_stops_the_rotation(slots: KeySlots, opened: Identity, tmp_path: Path) -> None:
    """Recipients are public: only the proof keeps a stranger from having the next key sealed to him."""
    stranger = KeySlots(tmp_path / "stranger" / "keys", work_factor=2)
    planted = add_passphrase(stranger, new_identity(), NEW)
    for ending in ("age", "json"):
        shutil.copy(stranger.folder / "slots" / f"{planted.id}.{ending}", slots.folder / "slots")
    with pytest.raises(SealBroken, match=f"The header of key slot {planted.id} was not written by a holder"):
        rotate(slots, opened)
    slots.remove(planted.id, opened)
    assert rotate(slots, opened).newest.number == 2


def test_a_header_with_another_recipient_stops_the_rotation(slots: KeySlots, opened: Identity) -> None:
    path = next((slots.folder / "slots").glob("*.json"))
    assert opened.slot_key is not None
    path.write_bytes(path.read_bytes().replace(opened.slot_key.recipient.encode(), new_key_pair().recipient.encode()))
    with pytest.raises(SealBroken, match="not written by a holder"):
        rotate(slots, opened)


def test_a_forged_generation_is_refused(slots: KeySlots, opened: Identity, passphrase: Secret) -> None:
    """Everything a stranger needs but the proof is public."""
    assert opened.slot_key is not None
    forged = Generation(2, new_key_pair())
    file = GenerationFile(opened.id, forged, opened.newest.key.recipient, (opened.slot_id,))
    stranger = Generation(1, new_key_pair())
    sealed = seal(file.content(stranger), [opened.slot_key.recipient])
    (slots.folder / "generations" / f"000002-{forged.id}.age").write_bytes(sealed)
    with pytest.raises(SealBroken, match="was not made by a holder of this workspace's keys"):
        open_by_passphrase(slots, passphrase)


@pytest.mark.parametrize("name", ["000003-{id}.age", "000002-0123456789abcdef.age"])
def test_a_generation_under_another_name_is_refused(
    slots: KeySlots, opened: Identity, passphrase: Secret, name: str
) -> None:
    rotated = rotate(slots, opened)
    path = slots.folder / "generations" / generation_names(slots.folder)[0]
    path.rename(path.with_name(name.format(id=rotated.newest.id)))
    with pytest.raises(SealBroken, match="was not made by a holder"):
        open_by_passphrase(slots, passphrase)


def test_a_damaged_generation_locks_writing_not_reading(slots: KeySlots, opened: Identity, passphrase: Secret) -> None:
    old = seal(b"old", [opened.newest.key.recipient])
    rotated = rotate(slots, opened)
    path = slots.folder / "generations" / generation_names(slots.folder)[0]
    whole = path.read_bytes()
    for broken in (b"", whole[:-1], whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]):
        path.write_bytes(broken)
        keys = Keys(slots)
        keys.unlock(lambda: open_by_passphrase(slots, passphrase))
        assert keys.open(old) == b"old"
        with pytest.raises(Locked, match="has not been given the newest keys"):
            keys.seal_for_self(b"new")
    # Whoever still holds the generation gives it to the slot again, as often as need be.
    for _ in range(2):
        assert len(hand_on(slots, rotated)) == 1
        assert open_by_passphrase(slots, passphrase).generations == rotated.generations
        granted = next((slots.folder / "generations").glob("*.*.age"))
        granted.write_bytes(granted.read_bytes()[:-1])


def test_nothing_is_rotated_without_slots(slots: KeySlots, identity: Identity) -> None:
    with pytest.raises(InvalidInput, match="no key slot"):
        rotate(slots, identity)
    assert generation_names(slots.folder) == ()


def test_two_rotations_on_two_machines_come_together(
    slots: KeySlots, opened: Identity, passphrase: Secret, tmp_path: Path
) -> None:
    other = KeySlots(tmp_path / "other" / "keys")
    shutil.copytree(slots.folder, other.folder)
    here, there = rotate(slots, opened), rotate(other, opened)
    sealed = [seal(b"x", [each.newest.key.recipient]) for each in (here, there)]
    for source, target in ((slots, other), (other, slots)):
        shutil.copytree(source.folder / "generations", target.folder / "generations", dirs_exist_ok=True)
    mine, theirs = open_by_passphrase(slots, passphrase), open_by_passphrase(other, passphrase)
    assert mine.generations == theirs.generations
    assert [each.number for each in mine.generations] == [1, 2, 2]
    assert [open_sealed(each, mine.secrets) for each in sealed] == [b"x", b"x"]
    assert rotate(slots, mine).newest.number == 3
