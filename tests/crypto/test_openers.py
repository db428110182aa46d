"""The ways in: keychain, key file, passphrase file, prompt, recovery code."""

from __future__ import annotations

import os
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from memory_keychain import MemoryKeychain

from core.crypto import keychain
from core.crypto.identity import Identity
from core.crypto.openers import (
    add_key_file,
    add_keychain,
    add_passphrase,
    add_recovery_code,
    change_passphrase,
    open_by_key_file,
    open_by_keychain,
    open_by_passphrase,
    open_by_recovery_code,
    open_by_typed,
    remove_slot,
)
from core.crypto.passphrases import given_passphrase
from core.crypto.recovery_code import new_recovery_code
from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.slots import KeySlots
from core.errors import InvalidInput, Locked, NotFound, SealBroken, Unreachable, WrongKey


class ForgetfulKeychain(MemoryKeychain):
    """A keychain that keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class PlainKeychain(MemoryKeychain):
    """A keychain that is a plain file; keyring does not recommend those, and gives them less than 1."""

    priority = 0.5  # type: ignore[assignment]


def test_a_keychain_opens_without_asking(slots: KeySlots, identity: Identity, memory: MemoryKeychain) -> None:
    slot = add_keychain(slots, identity)
    assert slot.kind is SlotKind.KEYCHAIN
    assert keychain.keychain_name()
    ((service, name),) = memory.kept
    assert (service, name) == ("bailiwick", slot.id)
    assert open_by_keychain(slots).id == identity.id


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring, chainer.ChainerBackend, PlainKeychain])
def test_what_keeps_no_secrets_is_no_keychain(
    slots: KeySlots, identity: Identity, backend: type[KeyringBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [fail.Keyring(), null.Keyring(), PlainKeychain(), PlainKeychain()]
    monkeypatch.setattr(keyring.backend, "get_all_keyring", lambda: found)
    keyring.set_keyring(backend())
    assert keychain.keychain_name() == ""
    with pytest.raises(Unreachable, match="no keychain"):
        add_keychain(slots, identity)
    assert slots.listed() == []


def test_a_chain_with_a_real_keychain_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.backend, "get_all_keyring", lambda: [MemoryKeychain(), MemoryKeychain()])
    keyring.set_keyring(chainer.ChainerBackend())
    assert keychain.keychain_name()


def test_a_backend_that_cannot_be_loaded_is_no_keychain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring.core, "_keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Backend")
    assert keychain.keychain_name() == ""


def test_a_keychain_that_keeps_nothing_is_noticed(slots: KeySlots, identity: Identity) -> None:
    keyring.set_keyring(ForgetfulKeychain())
    with pytest.raises(Unreachable, match="did not keep"):
        add_keychain(slots, identity)
    assert slots.listed() == []


def test_a_locked_keychain_is_a_sentence(slots: KeySlots, identity: Identity, memory: MemoryKeychain) -> None:
    add_keychain(slots, identity)
    memory.locked = True
    with pytest.raises(Unreachable, match="The keychain refused \\(KeyringLocked\\)"):
        open_by_keychain(slots)


def test_another_machines_keychain_slot_is_no_way_in(
    slots: KeySlots, identity: Identity, memory: MemoryKeychain, passphrase: Secret
) -> None:
    far = add_keychain(slots, identity)
    slot = add_passphrase(slots, identity, passphrase)
    kept = memory.kept.pop(("bailiwick", far.id))
    with pytest.raises(NotFound, match="holds no key of this workspace"):
        open_by_keychain(slots)
    with pytest.raises(InvalidInput, match="last key slot"):
        remove_slot(slots, slot.id, identity)
    memory.kept["bailiwick", far.id] = kept
    remove_slot(slots, slot.id, identity)


def test_a_removed_slot_leaves_the_keychain(
    slots: KeySlots, identity: Identity, memory: MemoryKeychain, passphrase: Secret
) -> None:
    add_passphrase(slots, identity, passphrase)
    remove_slot(slots, add_keychain(slots, identity).id, identity)
    assert memory.kept == {}


def test_a_key_file_opens(slots: KeySlots, identity: Identity, tmp_path: Path) -> None:
    path = tmp_path / "bailiwick.key"
    slot = add_key_file(slots, identity, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_by_key_file(slots, path).slot_id == slot.id
    with pytest.raises(InvalidInput, match="exists already"):
        add_key_file(slots, identity, path)
    assert len(slots.listed()) == 1


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o602, 0o620, 0o644, 0o660, 0o777])
def test_a_key_file_that_others_can_read_or_change_is_refused(
    slots: KeySlots, identity: Identity, tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "bailiwick.key"
    add_key_file(slots, identity, path)
    path.chmod(mode)
    with pytest.raises(InvalidInput, match="can be read or changed by others") as caught:
        open_by_key_file(slots, path)
    assert "chmod 600" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator can give files away")
def test_a_key_file_of_somebody_else_is_refused(slots: KeySlots, identity: Identity, tmp_path: Path) -> None:
    path = tmp_path / "bailiwick.key"
    add_key_file(slots, identity, path)
    os.chown(path, 12345, 12345)
    with pytest.raises(InvalidInput, match="others"):
        open_by_key_file(slots, path)


def test_a_key_file_inside_the_workspace_is_refused(slots: KeySlots, identity: Identity) -> None:
    slots.folder.mkdir(parents=True)
    for path in (slots.folder / "a.key", slots.folder.parent / "a.key", slots.folder / ".." / "a.key"):
        with pytest.raises(InvalidInput, match="inside the workspace"):
            add_key_file(slots, identity, path)


def test_what_is_no_key_file_is_told(slots: KeySlots, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no key file"):
        open_by_key_file(slots, tmp_path / "missing")
    with pytest.raises(InvalidInput, match="is not a file"):
        open_by_key_file(slots, tmp_path)
    path = tmp_path / "other.key"
    path.touch(0o600)
    for content in (b"", b"\xff\xfe", b"AGE-SECRET-KEY-1FOO", b"x" * 100_000):
        path.write_bytes(content)
        with pytest.raises(InvalidInput, match=r"not a key file|too large"):
            open_by_key_file(slots, path)


def test_no_key_file_is_left_when_its_slot_cannot_be_added(slots: KeySlots, identity: Identity, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="label"):
        add_key_file(slots, identity, tmp_path / "a.key", label="two\nlines")
    assert not (tmp_path / "a.key").exists()


def test_a_recovery_code_opens_however_it_is_typed(slots: KeySlots, identity: Identity) -> None:
    slot, code = add_recovery_code(slots, identity)
    assert slot.kind is SlotKind.RECOVERY_CODE
    for typed in (code.text(), code.text().lower(), code.text().replace("-", " "), code.text().replace("0", "o")):
        assert open_by_recovery_code(slots, Secret(typed)).id == identity.id
    with pytest.raises(InvalidInput, match="has 28 symbols"):
        open_by_recovery_code(slots, Secret(code.text()[:-1]))
    _, other = add_recovery_code(KeySlots(slots.folder.parent.parent / "other"), identity)
    with pytest.raises(WrongKey, match="That recovery code opens no key slot"):
        open_by_recovery_code(slots, other)


def test_the_passphrase_comes_from_a_file_before_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.touch(0o600)
    path.write_text("from the file\r\nnot this line\n")
    environ = {"BAILIWICK_PASSPHRASE_FILE": str(path)}
    assert given_passphrase(lambda _: "typed", "?", environ) == Secret("from the file")
    assert given_passphrase(lambda _: "typed", "?", {}) == Secret("typed")
    with pytest.raises(Locked, match="nobody can be asked"):
        given_passphrase(None, "?", {})
    path.write_text("\n")
    with pytest.raises(InvalidInput, match="begins with an empty line"):
        given_passphrase(None, "?", environ)
    path.chmod(0o644)
    with pytest.raises(InvalidInput, match="others"):
        given_passphrase(None, "?", environ)


def test_the_passphrase_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"through the pipe\n")
    os.close(writing)
    try:
        environ = {"BAILIWICK_PASSPHRASE_FILE": f"/dev/fd/{reading}"}
        assert given_passphrase(None, "?", environ) == Secret("through the pipe")
    finally:
        os.close(reading)


def test_any_of_several_passphrases_opens(slots: KeySlots, identity: Identity, passphrase: Secret) -> None:
    add_passphrase(slots, identity, passphrase)
    damaged = add_passphrase(slots, identity, Secret("another passphrase"))
    assert open_by_passphrase(slots, Secret("another passphrase")).slot_id == damaged.id
    path = slots.folder / "slots" / f"{damaged.id}.age"
    path.write_bytes(path.read_bytes()[:-1])
    assert open_by_passphrase(slots, passphrase).id == identity.id
    with pytest.raises(WrongKey) as caught:
        open_by_passphrase(slots, Secret("another passphrase"))
    assert f"Key slot {damaged.id} is cut off" in caught.value.hint


def test_one_damaged_slot_says_what_is_wrong(slots: KeySlots, identity: Identity, passphrase: Secret) -> None:
    slot = add_passphrase(slots, identity, passphrase)
    path = slots.folder / "slots" / f"{slot.id}.age"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SealBroken, match="cut off"):
        open_by_passphrase(slots, passphrase)


def test_what_was_typed_may_be_a_passphrase_or_a_recovery_code(
    slots: KeySlots, identity: Identity, passphrase: Secret
) -> None:
    with pytest.raises(NotFound, match="no key slot for a passphrase"):
        open_by_typed(slots, passphrase)
    code_slot, code = add_recovery_code(slots, identity)
    assert open_by_typed(slots, Secret(code.text().lower())).slot_id == code_slot.id
    with pytest.raises(InvalidInput, match="A recovery code has"):
        open_by_typed(slots, passphrase)
    slot = add_passphrase(slots, identity, passphrase)
    assert open_by_typed(slots, code).slot_id == code_slot.id
    assert open_by_typed(slots, passphrase).slot_id == slot.id
    foreign = new_recovery_code()
    for wrong in (Secret("not the passphrase"), foreign):
        with pytest.raises(WrongKey, match="That passphrase opens no key slot"):
            open_by_typed(slots, wrong)
    chosen = add_passphrase(slots, identity, foreign)
    assert open_by_typed(slots, foreign).slot_id == chosen.id


def test_a_changed_passphrase(slots: KeySlots, identity: Identity, passphrase: Secret) -> None:
    old = add_passphrase(slots, identity, passphrase, label="laptop")
    with pytest.raises(InvalidInput, match="at least"):
        change_passphrase(slots, identity, old.id, Secret("short"))
    new = change_passphrase(slots, identity, old.id, Secret("another passphrase"))
    assert [(each.id, each.header and each.header.label) for each in slots.listed()] == [(new.id, "laptop")]
    assert open_by_passphrase(slots, Secret("another passphrase")).id == identity.id
    with pytest.raises(WrongKey, match="That passphrase opens no key slot"):
        open_by_passphrase(slots, passphrase)
