"""A workspace's keys with cheap passphrases; the cost of real ones is tested once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from cheap import CHEAP, PASSPHRASE
from keyring.backends import fail
from memory_keychain import MemoryKeychain

from core.crypto.identity import Identity, new_identity
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots


@pytest.fixture
def passphrase() -> Secret:
    """The passphrase of the tests."""
    return Secret(PASSPHRASE)


@pytest.fixture
def slots(tmp_path: Path) -> KeySlots:
    """The keys of an empty workspace."""
    return KeySlots(tmp_path / "workspace" / "keys", work_factor=CHEAP)


@pytest.fixture
def identity() -> Identity:
    """A new identity, in no slot yet."""
    return new_identity()


@pytest.fixture(autouse=True)
def usual_keychain() -> Iterator[None]:
    """Whatever a test sets is undone."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def memory() -> MemoryKeychain:
    """A working keychain."""
    backend = MemoryKeychain()
    keyring.set_keyring(backend)
    return backend
