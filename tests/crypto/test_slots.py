"""Key slots: added whole, opened by their passphrase, damaged ones told apart, the last one never removed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.crypto.identity import Identity, new_identity
from core.crypto.openers import add_passphrase, open_by_passphrase
from core.crypto.passphrases import random_passphrase
from core.crypto.rotation import rotate
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.slots import PASSPHRASE_WORK_FACTOR, KeySlots, Slot
from core.errors import InvalidInput, Locked, NotFound, SealBroken, WorkspaceUnusable, WrongKey

SCRIPT = Path(__file__).with_name("changing.py")


@pytest.fixture
def slot(slots: KeySlots, identity: Identity, passphrase: Secret) -> Slot:
    """The first slot."""
    return add_passphrase(slots, identity, passphrase, label="laptop")


def file_of(slots: KeySlots, slot: Slot, ending: str = "age") -> Path:
    """One of a slot's two files."""
    return slots.folder / "slots" / f"{slot.id}.{ending}"


def test_a_slot_gives_the_identity_back(slots: KeySlots, identity: Identity, slot: Slot, passphrase: Secret) -> None:
    opened = slots.open(slot.id, passphrase)
    assert opened.generations == identity.generations
    assert opened.id == identity.id
    assert (opened.slot_id, opened.unopened) == (slot.id, ())


def test_what_lies_on_disk_is_private_and_holds_no_secret(
    slots: KeySlots, identity: Identity, slot: Slot, passphrase: Secret
) -> None:
    assert slots.folder.stat().st_mode & 0o777 == 0o700
    files = sorted(path for path in slots.folder.rglob("*") if path.is_file())
    assert [path.name for path in files] == [".lock", f"{slot.id}.age", f"{slot.id}.json"]
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"AGE-SECRET-KEY" not in path.read_bytes()
        assert passphrase.reveal() not in path.read_bytes()


def test_slots_are_listed_oldest_first_and_found_by_their_beginning(
    slots: KeySlots, identity: Identity, slot: Slot
) -> None:
    time.sleep(0.002)
    second = slots.add(identity, SlotKind.KEY_FILE, random_passphrase())
    assert slots.listed() == [slot, second]
    assert [each.kind for each in slots.listed()] == [SlotKind.PASSPHRASE, SlotKind.KEY_FILE]
    assert slots.find(second.id[:-1]) == second
    with pytest.raises(InvalidInput, match="Several"):
        slots.find("0")
    for nothing in ("", "zz"):
        with pytest.raises(NotFound):
            slots.find(nothing)


def test_a_wrong_passphrase_opens_nothing(slots: KeySlots, slot: Slot) -> None:
    with pytest.raises(WrongKey, match=f"That does not open key slot {slot.id}"):
        slots.open(slot.id, Secret("incorrect horse"))
    with pytest.raises(NotFound):
        slots.open("nothing", Secret("correct horse battery"))


def test_no_flipped_bit_goes_unseen(slots: KeySlots, slot: Slot, passphrase: Secret) -> None:
    path = file_of(slots, slot)
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, 5):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        with pytest.raises(SealBroken, match=r"changed|cut off|not an age file|not sealed by|rounds of work"):
            slots.open(slot.id, passphrase)
        assert slots.listed()[0].problem
    path.write_bytes(whole)
    assert slots.listed() == [slot]


def test_no_shorter_slot_goes_unseen(slots: KeySlots, slot: Slot, passphrase: Secret) -> None:
    path = file_of(slots, slot)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(SealBroken, match=r"is cut off|not an age file"):
            slots.open(slot.id, passphrase)


def test_exchanged_slots_are_told_as_such(slots: KeySlots, identity: Identity, slot: Slot, passphrase: Secret) -> None:
    other = add_passphrase(slots, identity, Secret("another passphrase"))
    first, second = file_of(slots, slot), file_of(slots, other)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for typed in (passphrase, Secret("another passphrase"), Secret("neither of them")):
        with pytest.raises(SealBroken, match=f"Key slot {slot.id} was exchanged: its file holds key slot {other.id}"):
            slots.open(slot.id, typed)


def test_exchanged_slots_without_headers_are_told_too(
    slots: KeySlots, identity: Identity, slot: Slot, passphrase: Secret
) -> None:
    other = add_passphrase(slots, identity, Secret("another passphrase"))
    for each in (slot, other):
        file_of(slots, each, "json").unlink()
    shutil.copy(file_of(slots, slot), file_of(slots, other))
    with pytest.raises(SealBroken, match="exchanged"):
        slots.open(other.id, passphrase)


def test_absurd_work_is_refused_at_once(slots: KeySlots, slot: Slot, passphrase: Secret) -> None:
    path = file_of(slots, slot)
    path.write_bytes(path.read_bytes().replace(b" 2\n", b" 30\n", 1))
    started = time.perf_counter()
    with pytest.raises(SealBroken, match="asks for 2\\^30 rounds of work"):
        slots.open(slot.id, passphrase)
    assert "rounds" in slots.listed()[0].problem
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[" * 100_000, b'{"kind": "passphrase"}'])
def test_a_damaged_header_keeps_nobody_out(
    slots: KeySlots, slot: Slot, passphrase: Secret, identity: Identity, content: bytes | None
) -> None:
    header = file_of(slots, slot, "json")
    header.unlink()
    if content is not None:
        header.write_bytes(content)
    assert "header" in slots.listed()[0].problem
    assert open_by_passphrase(slots, passphrase).id == identity.id


def test_every_change_of_a_header_is_seen(slots: KeySlots, slot: Slot, identity: Identity) -> None:
    path = file_of(slots, slot, "json")
    whole = path.read_bytes()
    for bit in range(0, len(whole) * 8, 3):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        assert slots.reliable(identity) == []
    path.write_bytes(whole)
    assert slots.reliable(identity) == [slot]


def test_a_link_or_pipe_in_place_of_a_slot_is_not_followed(
    slots: KeySlots, slot: Slot, passphrase: Secret, tmp_path: Path
) -> None:
    path = file_of(slots, slot)
    path.rename(tmp_path / "elsewhere.age")
    path.symlink_to(tmp_path / "elsewhere.age")
    assert "cannot be read" in slots.listed()[0].problem
    with pytest.raises(WorkspaceUnusable):
        slots.open(slot.id, passphrase)


def test_the_last_slot_stays(slots: KeySlots, identity: Identity, slot: Slot, passphrase: Secret) -> None:
    with pytest.raises(InvalidInput, match="last key slot"):
        slots.remove(slot.id, identity)
    other = add_passphrase(slots, identity, Secret("another passphrase"))
    slots.remove(slot.id, identity)
    with pytest.raises(NotFound):
        slots.remove(slot.id, identity)
    with pytest.raises(InvalidInput, match="last key slot"):
        slots.remove(other.id, identity)
    assert [each.id for each in slots.listed()] == [other.id]
    assert {path.stem for path in (slots.folder / "slots").iterdir()} == {other.id}


def test_a_damaged_slot_does_not_count_as_a_way_in(slots: KeySlots, identity: Identity, slot: Slot) -> None:
    other = add_passphrase(slots, identity, Secret("another passphrase"))
    path = file_of(slots, other)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidInput, match="last key slot"):
        slots.remove(slot.id, identity)
    slots.remove(other.id, identity)


def test_a_folder_belongs_to_one_identity(slots: KeySlots, slot: Slot) -> None:
    with pytest.raises(InvalidInput, match="belong to another identity"):
        add_passphrase(slots, new_identity(), Secret("another passphrase"))
    assert slots.listed() == [slot]


@pytest.mark.parametrize("label", ["x" * 61, "two\nlines", "\x1b[31m"])
def test_a_label_is_one_short_line(slots: KeySlots, identity: Identity, label: str) -> None:
    with pytest.raises(InvalidInput, match="label"):
        add_passphrase(slots, identity, Secret("a good passphrase"), label=label)
    assert slots.listed() == []


@pytest.mark.parametrize("short", ["", " " * 20, "password", "123456789"])
def test_a_passphrase_that_protects_nothing_is_refused(slots: KeySlots, identity: Identity, short: str) -> None:
    with pytest.raises(InvalidInput, match="at least 10 characters"):
        add_passphrase(slots, identity, Secret(short))


def test_accents_are_the_same_however_they_were_typed(slots: KeySlots, identity: Identity) -> None:
    add_passphrase(slots, identity, Secret("caf\u00e9 au lait noir"))
    assert open_by_passphrase(slots, Secret("cafe\u0301 au lait noir")).id == identity.id


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path, identity: Identity) -> None:
    (tmp_path / "keys").write_text("a file where the folder should be")
    with pytest.raises(WorkspaceUnusable, match="cannot be written"):
        add_passphrase(KeySlots(tmp_path / "keys"), identity, Secret("a good passphrase"))


def test_what_crashes_left_is_swept(slots: KeySlots, slot: Slot, identity: Identity) -> None:
    folder = slots.folder / "slots"
    (folder / ".new-1.abc").write_bytes(b"half a slot")
    (folder / "01m87zt9e1ra0k5a2ep4rzjhe4.json").write_bytes(b"a header whose slot was never written")
    assert slots.listed() == [slot]
    other = add_passphrase(slots, identity, Secret("another passphrase"))
    assert {path.stem for path in folder.iterdir()} == {slot.id, other.id}


def test_a_slot_that_lacks_a_generation_is_given_it(slots: KeySlots, identity: Identity, slot: Slot) -> None:
    """As when it was added on one machine while another rotated: the files of both come together later."""
    elsewhere = KeySlots(slots.folder.parent.parent / "elsewhere" / "keys", work_factor=2)
    shutil.copytree(slots.folder, elsewhere.folder)
    other = add_passphrase(elsewhere, identity, Secret("another passphrase"))
    rotated = rotate(slots, identity)
    for ending in ("json", "age"):
        shutil.copy(file_of(elsewhere, other, ending), slots.folder / "slots")

    left_out = slots.open(other.id, Secret("another passphrase"))
    assert len(left_out.generations) == 1
    assert left_out.unopened == (f"000002-{rotated.newest.id}.age",)
    with pytest.raises(Locked, match="has not been given the newest keys"):
        slots.complete(left_out)
    with pytest.raises(InvalidInput, match="last key slot"):
        slots.remove(slot.id, rotated)

    third = rotate(slots, rotated)
    found = slots.open(other.id, Secret("another passphrase"))
    assert found.generations == third.generations
    assert found.unopened == ()
    slots.remove(slot.id, third)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A process that waits to begin."""
    command = [sys.executable, str(SCRIPT), str(folder), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_processes_add_and_rotate_at_once(slots: KeySlots, slot: Slot, identity: Identity, passphrase: Secret) -> None:
    work = [("add", "6", "the first one"), ("add", "6", "the second one"), ("rotate", "4")]
    running = [start(slots.folder, *each) for each in work]
    for each in running:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    answers = [each.communicate(timeout=60) for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], answers
    assert len(slots.listed()) == 13
    newest = slots.open(slot.id, passphrase)
    assert [each.number for each in newest.generations] == [1, 2, 3, 4, 5]
    for (output, _), (_, _, *label) in zip(answers[:2], work[:2], strict=True):
        for number, slot_id in enumerate(output.split()):
            opened = slots.open(slot_id, Secret(f"{label[0]} and the number {number}"))
            assert (opened.generations, opened.unopened) == (newest.generations, ())


def test_of_two_that_found_at_once_one_is_told(slots: KeySlots) -> None:
    running = [start(slots.folder, "found", label) for label in "ab"]
    for each in running:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    errors = [each.communicate(timeout=60)[1] for each in running]
    assert sorted(each.returncode for each in running) == [0, 1]
    assert "belong to another identity" in "".join(errors)
    assert len(slots.listed()) == 1


def test_the_usual_cost_of_a_guess(tmp_path: Path, identity: Identity, passphrase: Secret) -> None:
    usual = KeySlots(tmp_path / "keys")
    slot = add_passphrase(usual, identity, passphrase)
    assert b" %d\n" % PASSPHRASE_WORK_FACTOR in file_of(usual, slot).read_bytes()[:80]
    started = time.perf_counter()
    usual.open(slot.id, passphrase)
    assert time.perf_counter() - started > 0.1


def test_a_header_says_nothing_but_this(slots: KeySlots, slot: Slot) -> None:
    held = json.loads(file_of(slots, slot, "json").read_bytes())
    assert set(held) == {
        *("created_at", "format", "holds", "id", "identity_id", "kind", "label"),
        *("proof", "proved_by", "recipient", "sha256", "size"),
    }
