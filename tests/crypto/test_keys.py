"""The keys in a process: locked, unlocked, noticing what other processes do, and the keys derived from them."""

from __future__ import annotations

import hashlib
import hmac
import io
import itertools
import subprocess
import sys
import threading

import pytest
from cheap import PASSPHRASE

from core.crypto.identity import Identity, new_key_pair
from core.crypto.keys import Keys, Purpose
from core.crypto.openers import add_passphrase, open_by_passphrase
from core.crypto.rotation import rotate
from core.crypto.sealing import open_sealed
from core.crypto.secret import Secret, derived
from core.crypto.slots import KeySlots
from core.errors import InvalidInput, Locked, SealBroken, WrongKey


@pytest.fixture
def keys(slots: KeySlots, identity: Identity, passphrase: Secret) -> Keys:
    """Unlocked keys."""
    add_passphrase(slots, identity, passphrase)
    keys = Keys(slots)
    keys.unlock(lambda: open_by_passphrase(slots, passphrase))
    return keys


def test_locked_keys_do_nothing_and_say_how_to_unlock(slots: KeySlots) -> None:
    keys = Keys(slots)
    assert keys.is_locked
    assert not keys.exist
    for work in (
        lambda: keys.seal_for_self(b"x"),
        lambda: keys.open(b"x"),
        lambda: keys.subkey(Purpose.LOG),
        lambda: keys.identity,
        lambda: keys.recipient,
        keys.rotate,
        lambda: keys.open_stream(io.BytesIO(), io.BytesIO()),
        lambda: keys.seal_stream_for_self(io.BytesIO(), io.BytesIO()),
    ):
        with pytest.raises(Locked, match="keys of this workspace are locked") as caught:
            work()
        assert "keys unlock" in caught.value.hint


def test_what_was_sealed_opens_again_and_with_others(keys: Keys) -> None:
    assert not keys.is_locked
    assert keys.exist
    other = new_key_pair()
    sealed = keys.seal_for_self(b"a private note", also=[other.recipient])
    assert keys.open(sealed) == b"a private note"
    assert open_sealed(sealed, [other.secret]) == b"a private note"
    with pytest.raises(SealBroken, match=r"notes/a.md was changed"):
        keys.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "notes/a.md")
    target, back = io.BytesIO(), io.BytesIO()
    keys.seal_stream_for_self(io.BytesIO(b"x" * 100_000), target)
    keys.open_stream(io.BytesIO(target.getvalue()), back)
    assert back.getvalue() == b"x" * 100_000


def test_a_failed_unlocking_leaves_them_locked(slots: KeySlots, identity: Identity, passphrase: Secret) -> None:
    add_passphrase(slots, identity, passphrase)
    keys = Keys(slots)
    with pytest.raises(WrongKey):
        keys.unlock(lambda: open_by_passphrase(slots, Secret("not the passphrase")))
    assert keys.is_locked


def test_locking_overwrites_the_secrets(keys: Keys) -> None:
    sealed = keys.seal_for_self(b"x")
    identity = keys.identity
    secrets = [*identity.secrets, identity.slot_key.secret]  # type: ignore[union-attr]
    keys.lock()
    assert keys.is_locked
    for secret in secrets:
        assert set(secret._held) == {0}
        with pytest.raises(Locked):
            secret.reveal()
    with pytest.raises(Locked):
        open_sealed(sealed, secrets)
    keys.lock()


def test_a_rotation_of_another_process_is_used_for_the_next_write(keys: Keys, passphrase: Secret) -> None:
    before = keys.seal_for_self(b"old")
    rotated = rotate(keys.slots, open_by_passphrase(keys.slots, passphrase))
    sealed = keys.seal_for_self(b"new")
    assert open_sealed(sealed, [rotated.newest.key.secret]) == b"new"
    assert (keys.open(before), keys.open(sealed)) == (b"old", b"new")


def test_a_rotation_of_its_own_is_used_even_when_its_slot_is_gone(keys: Keys) -> None:
    mine = keys.identity.slot_id
    add_passphrase(keys.slots, keys.identity, Secret("another passphrase"))
    keys.slots.remove(mine, keys.identity)
    keys.rotate()
    assert keys.rotate(from_number=1).newest.number == 2
    assert keys.open(keys.seal_for_self(b"x")) == b"x"
    other = Keys(keys.slots)
    other.unlock(lambda: open_by_passphrase(keys.slots, Secret("another passphrase")))
    assert other.recipient == keys.recipient


def test_derived_keys_differ_and_say_their_generation(keys: Keys) -> None:
    before = {purpose: keys.subkey(purpose) for purpose in Purpose}
    assert len({each.secret.reveal() for each in before.values()}) == len(Purpose)
    assert all(len(each.secret.reveal()) == 32 for each in before.values())
    keys.rotate()
    after = {purpose: keys.subkey(purpose) for purpose in Purpose}
    assert {purpose for purpose in Purpose if after[purpose] == before[purpose]} == {
        Purpose.NAME,
        Purpose.SEAL,
    }
    for purpose in Purpose:
        assert keys.subkey(purpose, before[purpose].generation) == before[purpose]
    with pytest.raises(InvalidInput, match="no generation"):
        keys.subkey(Purpose.LOG, "0123456789abcdef")


def test_derivation_is_hkdf_sha256() -> None:
    """RFC 5869, test case 3, first block."""
    assert derived(Secret(b"\x0b" * 22), b"").reveal().hex().startswith("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1")
    extracted = hmac.digest(bytes(32), b"key", hashlib.sha256)
    assert derived(Secret(b"key"), b"info").reveal() == hmac.digest(extracted, b"info\x01", hashlib.sha256)


def test_importing_loads_nothing_heavy() -> None:
    program = (
        "import sys, core.crypto, core.crypto.keys, core.crypto.openers, core.crypto.workspace_keys;"
        "print([name for name in ('pyrage', 'keyring', 'cryptography', 'sqlite3', 'yaml') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_threads_seal_and_open_while_keys_rotate_and_are_locked(keys: Keys) -> None:
    """Nothing but Locked is ever raised, and whatever was sealed opens again."""
    sealed: list[tuple[bytes, bytes]] = []
    ended: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for count in itertools.count():
                data = f"{number} {count}".encode()
                sealed.append((data, keys.seal_for_self(data)))
                assert keys.open(sealed[-1][1]) in {each for each, _ in sealed}
        except Exception as error:  # noqa: BLE001 — looked at below
            ended.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        keys.rotate()
    identity = open_by_passphrase(keys.slots, Secret(PASSPHRASE))
    keys.lock()
    for thread in threads:
        thread.join(30)
    assert [type(error) for error in ended] == [Locked] * 6, ended
    assert len(sealed) > 6
    assert all(open_sealed(each, identity.secrets) == data for data, each in sealed)
