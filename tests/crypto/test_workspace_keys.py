"""The keys of a workspace in a process: made by themselves, unlocked without asking, locked by a person."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cheap import CHEAP, PASSPHRASE
from memory_keychain import MemoryKeychain

from core.crypto.keys import Purpose
from core.crypto.openers import (
    add_key_file,
    add_keychain,
    add_passphrase,
    add_recovery_code,
    open_by_key_file,
    open_by_passphrase,
    open_by_recovery_code,
)
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.slots import KeySlots
from core.crypto.workspace_keys import WorkspaceKeys
from core.errors import InvalidInput, Locked, SealBroken, WorkspaceUnusable, WrongKey

HERE = Path(__file__).parent


class Machine:
    """A machine with a folder of key files of its own, on which processes open the workspace."""

    def __init__(self, workspace: Path, home: Path) -> None:
        self.folder = workspace / "keys"
        self.key_files = home / "keys"

    def process(self, passphrase_file: Path | None = None) -> WorkspaceKeys:
        """The keys as another process of this machine sees them."""
        environ = {"BAILIWICK_PASSPHRASE_FILE": str(passphrase_file)} if passphrase_file else {}
        return WorkspaceKeys(self.folder, self.key_files, environ=environ, work_factor=CHEAP)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """The machine of the tests."""
    return Machine(tmp_path / "workspace", tmp_path / "home")


@pytest.fixture
def other_machine(tmp_path: Path) -> Machine:
    """Another machine that sees the same workspace."""
    return Machine(tmp_path / "workspace", tmp_path / "other home")


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    """A file with the passphrase of the tests."""
    path = tmp_path / "passphrase"
    path.touch(0o600)
    path.write_text(PASSPHRASE)
    return path


def test_making_one_reads_and_writes_nothing(machine: Machine, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from core.crypto.workspace_keys import WorkspaceKeys;"
        "keys = WorkspaceKeys(Path(sys.argv[1]), Path(sys.argv[2])); print(keys.ready(), keys.status().exist,"
        "[name for name in ('pyrage', 'keyring', 'cryptography') if name in sys.modules])"
    )
    arguments = [sys.executable, "-c", program, str(machine.folder), str(machine.key_files)]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert answer.stdout == "False False []\n"
    assert list(tmp_path.iterdir()) == []


def test_the_first_thing_sealed_makes_the_keys_and_other_processes_open_it(machine: Machine) -> None:
    keys = machine.process()
    sealed = keys.seal(b"a private note")
    status = keys.status()
    (slot,) = status.slots
    assert (status.exist, status.locked, status.held, status.recoverable, status.generation, status.problem) == (
        True,
        False,
        False,
        False,
        1,
        "",
    )
    assert status.opened_by == slot.id
    assert keys.founded is not None
    assert keys.founded.id == slot.id
    assert (slot.kind, slot.problem) == (SlotKind.KEY_FILE, "")
    path = machine.key_files / f"{slot.id}.key"
    assert list(machine.key_files.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    assert machine.key_files.stat().st_mode & 0o777 == 0o700
    other = machine.process()
    assert other.status().locked
    assert other.open(sealed) == b"a private note"
    assert other.found() == slot
    assert other.founded is None


def test_opening_and_proving_make_no_keys(machine: Machine) -> None:
    keys = machine.process()
    for work in (lambda: keys.open(b"x"), lambda: keys.proof(b"x"), keys.remember):
        with pytest.raises(Locked, match="no keys yet") as caught:
            work()
        assert "keys add" in caught.value.hint
    assert not machine.folder.exists()


def test_two_processes_that_found_at_once_have_one_identity(machine: Machine) -> None:
    """Eight processes begin together; each opens what every other sealed, and no key file is left over."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(HERE / "founding.py"), str(machine.folder), str(machine.key_files), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0] for process in processes]
    keys = machine.process()
    assert [keys.open(bytes.fromhex(answer)) for answer in answers] == [str(number).encode() for number in range(8)]
    (slot,) = keys.status().slots
    assert [path.name for path in machine.key_files.iterdir()] == [f"{slot.id}.key"]


def test_threads_that_found_at_once_have_one_identity(machine: Machine) -> None:
    keys = machine.process()
    sealed: list[bytes] = []
    threads = [threading.Thread(target=lambda: sealed.append(keys.seal(b"x"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [machine.process().open(each) for each in sealed] == [b"x"] * 6
    assert len(keys.status().slots) == 1


@pytest.mark.parametrize("moment", ["link", "unlink"])
def test_killed_while_founding(machine: Machine, moment: str) -> None:
    """Killed after the key file has its name, and before the slot has: a stray key file, and the next one founds."""
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import core.crypto.slots as slots\n"
        "from core.crypto.workspace_keys import WorkspaceKeys\n"
        "def killed(*_):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if sys.argv[3] == 'link':\n"
        "    slots.write_new = killed\n"
        "else:\n"
        "    os.unlink = killed\n"
        "WorkspaceKeys(Path(sys.argv[1]), Path(sys.argv[2]), environ={}).seal(b'x')\n"
    )
    arguments = [sys.executable, "-c", program, str(machine.folder), str(machine.key_files), moment]
    assert subprocess.run(arguments, check=False).returncode == -9
    assert len(list(machine.key_files.glob("*.key"))) == 1
    assert not machine.process().ready()
    keys = machine.process()
    assert machine.process().open(keys.seal(b"x")) == b"x"
    assert len(list(machine.key_files.glob("*.key"))) == 2


def test_a_machine_without_a_key_file_says_so_until_it_is_remembered(machine: Machine, other_machine: Machine) -> None:
    keys = machine.process()
    sealed = keys.seal(b"x")
    _, code = add_recovery_code(keys.keys.slots, keys.keys.identity)
    assert keys.status().recoverable
    far = other_machine.process()
    assert not far.ready()
    assert (far.status().locked, far.status().problem) == (
        True,
        "Nothing on this machine opens this workspace without asking.",
    )
    with pytest.raises(Locked, match="are locked") as caught:
        far.seal(b"x")
    assert "keys unlock" in caught.value.hint
    far.unlock(lambda slots: open_by_recovery_code(slots, code))
    slot = far.remember("the other one")
    assert other_machine.process().open(sealed) == b"x"
    assert machine.process().open(far.seal(b"y")) == b"y"
    assert {each.id for each in far.status().slots} >= {slot.id}


@pytest.mark.parametrize("mode", [0o644, 0o660])
def test_a_key_file_that_others_can_read_is_refused_with_the_reason(machine: Machine, mode: int) -> None:
    sealed = machine.process().seal(b"x")
    (path,) = machine.key_files.iterdir()
    path.chmod(mode)
    keys = machine.process()
    assert not keys.ready()
    status = keys.status()
    assert (status.locked, status.generation, status.opened_by) == (True, 0, "")
    assert status.problem == f"The key file {path} can be read or changed by others, so it keeps no secret."
    assert f"chmod 600 {path}" in status.hint
    with pytest.raises(Locked) as caught:
        keys.open(sealed)
    assert status.problem in caught.value.hint
    path.chmod(0o600)
    assert keys.open(sealed) == b"x"
    assert keys.status().problem == ""


def test_a_passphrase_file_unlocks_without_asking(machine: Machine, passphrase_file: Path) -> None:
    keys = machine.process()
    sealed = keys.seal(b"x")
    add_passphrase(keys.keys.slots, keys.keys.identity, Secret(PASSPHRASE))
    for path in machine.key_files.iterdir():
        path.unlink()
    passphrase_file.write_text("not the passphrase")
    late = machine.process(passphrase_file)
    assert not late.ready()
    assert late.status().problem == "That passphrase opens no key slot of this workspace."
    passphrase_file.write_text(PASSPHRASE)
    assert late.open(sealed) == b"x"


def test_a_keychain_unlocks_without_asking_and_is_asked_again_only_after_a_change(
    machine: Machine, memory: MemoryKeychain
) -> None:
    keys = machine.process()
    sealed = keys.seal(b"x")
    slot = add_keychain(keys.keys.slots, keys.keys.identity)
    for path in machine.key_files.iterdir():
        path.unlink()
    assert machine.process().open(sealed) == b"x"
    memory.locked = True
    late = machine.process()
    assert not late.ready()
    assert late.status().problem == "The keychain refused (KeyringLocked)."
    asked = memory.asked
    assert not late.ready()
    assert memory.asked == asked
    memory.locked = False
    add_recovery_code(keys.keys.slots, keys.keys.identity)
    assert late.open(sealed) == b"x"
    assert late.status().opened_by == slot.id


def test_a_person_locks_and_unlocks(machine: Machine, passphrase_file: Path) -> None:
    keys = machine.process(passphrase_file)
    sealed = keys.seal(b"x")
    add_passphrase(keys.keys.slots, keys.keys.identity, Secret(PASSPHRASE))
    told: list[bool] = []
    keys.subscribe(lambda: told.append(keys.status().locked))
    keys.lock()
    assert (keys.status().locked, keys.status().held, keys.ready()) == (True, True, False)
    assert "A person locked them here." in keys.status().problem
    for work in (lambda: keys.seal(b"x"), lambda: keys.open(sealed), lambda: keys.proof(b"x")):
        with pytest.raises(Locked, match="are locked"):
            work()
    with pytest.raises(WrongKey):
        keys.unlock(lambda slots: open_by_passphrase(slots, Secret("not the passphrase")))
    assert keys.status().held
    keys.unlock(lambda slots: open_by_passphrase(slots, Secret(PASSPHRASE)))
    assert (keys.open(sealed), keys.status().held) == (b"x", False)
    assert told == [True, False]


def test_who_locks_before_there_are_keys_makes_none(machine: Machine) -> None:
    keys = machine.process()
    keys.lock()
    with pytest.raises(Locked):
        keys.seal(b"x")
    assert not machine.folder.exists()


def test_locking_wins_over_an_unlocking_that_is_under_way(machine: Machine, passphrase_file: Path) -> None:
    keys = machine.process()
    keys.seal(b"x")
    add_passphrase(keys.keys.slots, keys.keys.identity, Secret(PASSPHRASE))
    for path in machine.key_files.iterdir():
        path.unlink()
    passphrase_file.unlink()
    os.mkfifo(passphrase_file, 0o600)
    late = machine.process(passphrase_file)
    thread = threading.Thread(target=late.ready)
    thread.start()
    with passphrase_file.open("w") as pipe:
        late.lock()
        pipe.write(PASSPHRASE + "\n")
    thread.join(30)
    assert not thread.is_alive()
    assert (late.status().locked, late.status().held) == (True, True)


def test_listeners_hear_of_founding_and_of_unlocking_by_itself(machine: Machine) -> None:
    told: list[tuple[bool, bool]] = []
    for _ in range(2):
        keys = machine.process()
        keys.subscribe(lambda keys=keys: told.append((keys.status().exist, keys.status().locked)))
        keys.open(keys.seal(b"x"))
    assert told == [(True, False)] * 2


def test_a_proof_lasts_over_generations_and_tells_its_parts_apart(machine: Machine, tmp_path: Path) -> None:
    keys = machine.process()
    keys.found()
    before = keys.proof(b"path", b"hash")
    secret = keys.keys.subkey(Purpose.SEAL).secret.reveal()
    parts = b"\0\0\0\0\0\0\0\4path\0\0\0\0\0\0\0\4hash"
    assert before == hmac.digest(secret, parts, hashlib.sha256)
    keys.keys.rotate()
    assert keys.status().generation == 2
    assert machine.process().proof(b"path", b"hash") == before
    assert len({before, keys.proof(b"pathhash"), keys.proof(b"pat", b"hhash"), keys.proof(b"path", b"hash", b"")}) == 4
    stranger = WorkspaceKeys(tmp_path / "stranger" / "keys", machine.key_files, environ={})
    stranger.found()
    assert stranger.proof(b"path", b"hash") != before


def test_removing_takes_this_machines_key_file_along(machine: Machine, passphrase_file: Path) -> None:
    keys = machine.process()
    sealed = keys.seal(b"x")
    (slot,) = keys.status().slots
    with pytest.raises(InvalidInput, match="last key slot"):
        keys.remove(slot.id)
    assert machine.process().ready()
    added = add_passphrase(keys.keys.slots, keys.keys.identity, Secret(PASSPHRASE))
    assert keys.remove(slot.id)
    assert list(machine.key_files.iterdir()) == []
    assert not machine.process().ready()
    assert machine.process(passphrase_file).open(sealed) == b"x"
    with pytest.raises(InvalidInput, match="last key slot"):
        keys.remove(added.id)


def test_a_key_file_elsewhere_is_a_way_in_only_where_it_was_used(machine: Machine, tmp_path: Path) -> None:
    keys = machine.process()
    keys.found()
    (slot,) = keys.status().slots
    elsewhere = add_key_file(keys.keys.slots, keys.keys.identity, tmp_path / "stick.key")
    with pytest.raises(InvalidInput, match="last key slot"):
        keys.remove(slot.id)
    keys.unlock(lambda slots: open_by_key_file(slots, tmp_path / "stick.key"))
    assert keys.remove(slot.id)
    assert [each.id for each in keys.status().slots] == [elsewhere.id]


def test_a_slot_of_a_stranger_is_shown_as_such(machine: Machine, tmp_path: Path) -> None:
    keys = machine.process()
    keys.found()
    strange = KeySlots(tmp_path / "stranger" / "keys", work_factor=CHEAP)
    other = WorkspaceKeys(strange.folder, machine.key_files, environ={}, work_factor=CHEAP)
    other.found()
    add_passphrase(strange, other.keys.identity, Secret(PASSPHRASE))
    for path in (strange.folder / "slots").iterdir():
        (machine.folder / "slots" / path.name).write_bytes(path.read_bytes())
    keys = machine.process()
    assert keys.ready()
    problems = {slot.id: slot.problem for slot in keys.status().slots}
    assert len(problems) == 3
    assert problems.pop(keys.status().opened_by) == ""
    assert all("was not written by a holder of the keys" in problem for problem in problems.values())
    assert not keys.status().recoverable


def test_lost_slots_are_not_replaced_by_other_keys(machine: Machine) -> None:
    keys = machine.process()
    keys.found()
    keys.keys.rotate()
    for path in (machine.folder / "slots").iterdir():
        path.unlink()
    with pytest.raises(SealBroken, match="slots of this workspace are lost"):
        machine.process().seal(b"x")
    assert not list((machine.folder / "slots").iterdir())


def test_key_files_inside_the_workspace_are_refused(machine: Machine) -> None:
    keys = WorkspaceKeys(machine.folder, machine.folder.parent / "config" / "keys", environ={})
    with pytest.raises(InvalidInput, match="inside the workspace"):
        keys.seal(b"x")
    assert not keys.status().exist


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for the administrator")
def test_a_read_only_home_is_a_sentence(machine: Machine) -> None:
    machine.key_files.parent.mkdir(mode=0o500)
    with pytest.raises(WorkspaceUnusable, match="cannot be written"):
        machine.process().seal(b"x")
