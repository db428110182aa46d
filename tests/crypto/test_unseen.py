"""No secret is seen in repr, in messages, or in a traceback that prints the locals of every frame of this package."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from core.crypto import age_format, keychain, sealing
from core.crypto.identity import Identity, key_pair, new_key_pair
from core.crypto.keys import Keys, Purpose
from core.crypto.openers import (
    add_key_file,
    add_keychain,
    add_passphrase,
    add_recovery_code,
    open_by_key_file,
    open_by_passphrase,
    open_by_recovery_code,
)
from core.crypto.passphrases import given_passphrase, read_passphrase_file
from core.crypto.rotation import rotate
from core.crypto.secret import Secret, derived
from core.crypto.slots import KeySlots

CANARY = "canary-passphrase-7731"


def shown(work: Callable[[], object]) -> str:
    """Everything that Python can print of what ``work`` raises."""
    try:
        work()
    except Exception as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        stream = io.StringIO()
        logger = logging.Logger("unseen")
        logger.addHandler(logging.StreamHandler(stream))
        logger.exception("it failed: %r", error)
        return "".join(trace.format()) + repr(error) + str(error) + stream.getvalue()
    raise AssertionError("it did not raise")


def test_a_secret_shows_nothing() -> None:
    secret = Secret(CANARY)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert CANARY not in text
        assert "Secret(…)" in text
    for work in (
        lambda: pickle.dumps(secret),
        lambda: copy.copy(secret),
        lambda: copy.deepcopy(secret),
        lambda: json.dumps(secret),
        lambda: hash(secret),
        lambda: vars(secret),
        lambda: asdict(key_pair(secret)),
    ):
        assert CANARY not in shown(work)
    assert secret == Secret(CANARY)
    assert secret != Secret("another")
    assert secret != CANARY


def test_a_forgotten_secret_is_gone() -> None:
    secret = Secret(CANARY)
    secret.forget()
    assert "locked in the meantime" in shown(secret.reveal)
    assert "locked in the meantime" in shown(secret.text)
    assert bytes(secret._held) == bytes(len(CANARY))


def test_identities_and_keys_show_nothing(slots: KeySlots, identity: Identity) -> None:
    add_passphrase(slots, identity, Secret(CANARY))
    keys = Keys(slots)
    keys.unlock(lambda: open_by_passphrase(slots, Secret(CANARY)))
    keys.rotate()
    for each in (keys, slots, keys.identity, keys.identity.newest, keys.subkey(Purpose.INDEX), slots.listed()):
        assert "AGE-SECRET-KEY" not in f"{each!r}{each}"
        assert CANARY not in f"{each!r}{each}"
        assert keys.subkey(Purpose.INDEX).secret.reveal().hex() not in f"{each!r}"


def test_no_traceback_shows_what_was_typed(slots: KeySlots, identity: Identity, tmp_path: Path) -> None:
    other = add_passphrase(slots, identity, Secret("correct horse battery"))
    sealed = age_format.seal_by_passphrase(Secret("content-canary"), Secret(CANARY), 2)
    private, public = tmp_path / "private", tmp_path / "public"
    for path, mode in ((private, 0o600), (public, 0o644)):
        path.write_text(CANARY + "\n")
        path.chmod(mode)
    absurd = slots.folder / "slots" / f"{other.id}.age"

    def with_absurd_work() -> None:
        whole = absurd.read_bytes()
        absurd.write_bytes(whole.replace(b" 2\n", b" 29\n", 1))
        try:
            slots.open(other.id, Secret(CANARY))
        finally:
            absurd.write_bytes(whole)

    attempts: list[Callable[[], object]] = [
        lambda: open_by_passphrase(slots, Secret(CANARY)),
        lambda: slots.open(other.id, Secret(CANARY)),
        with_absurd_work,
        lambda: age_format.open_by_passphrase(sealed[:-1] + bytes([sealed[-1] ^ 1]), Secret(CANARY), "It"),
        lambda: age_format.open_by_passphrase(sealed[:-20], Secret(CANARY), "It"),
        lambda: age_format.seal_by_passphrase(Secret(CANARY), Secret(CANARY), 99),
        lambda: add_passphrase(slots, identity, Secret(CANARY[:9])),
        lambda: add_passphrase(slots, identity, Secret(CANARY), label="\n"),
        lambda: add_passphrase(KeySlots(private / "keys"), identity, Secret(CANARY)),
        lambda: open_by_key_file(slots, private),
        lambda: open_by_key_file(slots, public),
        lambda: read_passphrase_file(public),
        lambda: open_by_passphrase(slots, given_passphrase(None, "?", {"BAILIWICK_PASSPHRASE_FILE": str(private)})),
    ]
    for attempt in attempts:
        text = shown(attempt)
        for hidden in (CANARY, CANARY[:9], "content-canary", "AGE-SECRET-KEY", identity.newest.key.secret.text()):
            assert hidden not in text


def test_no_traceback_shows_a_recovery_code(slots: KeySlots, identity: Identity) -> None:
    _, code = add_recovery_code(slots, identity)
    symbols = code.text().replace("-", "")
    wrong = symbols[:-1] + ("2" if symbols[-1] != "2" else "3")
    for typed in (wrong, symbols[:-1], symbols + "0", "U" + symbols[1:]):
        text = shown(lambda typed=typed: open_by_recovery_code(slots, Secret(typed)))  # type: ignore[misc]
        shortest = text.replace("-", "")
        # The lambda's own frame holds what this test typed.
        shortest = shortest.replace(f"typed = {typed!r}", "")
        assert symbols[2:20] not in shortest


def test_no_traceback_shows_a_key(
    slots: KeySlots, identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_passphrase(slots, identity, Secret(CANARY))
    opened = open_by_passphrase(slots, Secret(CANARY))
    broken = Secret("AGE-SECRET-KEY-1" + "Q" * 58)
    sealed = sealing.seal(b"x", [opened.newest.key.recipient])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    attempts: list[Callable[[], object]] = [
        lambda: sealing.open_sealed(sealed[:-1], opened.secrets),
        lambda: sealing.open_sealed(sealed, [new_key_pair().secret]),
        lambda: sealing.open_sealed(sealed, [broken]),
        lambda: sealing.open_stream(io.BytesIO(sealed[:-1]), io.BytesIO(), opened.secrets),
        lambda: key_pair(broken),
    ]
    with monkeypatch.context() as patched:
        patched.setattr("os.link", refuse)
        texts = [shown(lambda: rotate(slots, opened)), shown(lambda: add_recovery_code(slots, opened))]
        texts.append(shown(lambda: add_key_file(slots, opened, tmp_path / "a.key")))
    texts += [shown(attempt) for attempt in attempts]
    forgotten = derived(opened.newest.key.secret, b"x")
    forgotten.forget()
    texts.append(shown(lambda: derived(forgotten, b"y")))
    for text in texts:
        assert "AGE-SECRET-KEY-1" not in text
        assert CANARY not in text


def test_no_traceback_shows_what_a_keychain_was_given(slots: KeySlots, identity: Identity) -> None:
    class Talkative(KeyringBackend):
        """A keychain that repeats the secret when it refuses it."""

        priority = 5.0  # type: ignore[assignment]
        seen = ""

        def get_password(self, service: str, username: str) -> str | None:
            raise RuntimeError(f"cannot give {self.seen}")

        def set_password(self, service: str, username: str, password: str) -> None:
            type(self).seen = password
            raise RuntimeError(f"cannot keep {password}")

        def delete_password(self, service: str, username: str) -> None:
            raise RuntimeError("no")

    before = keyring.get_keyring()
    keyring.set_keyring(Talkative())
    try:
        texts = [shown(lambda: add_keychain(slots, identity)), shown(lambda: keychain.fetch("x"))]
    finally:
        keyring.set_keyring(before)
    assert len(Talkative.seen) == 64
    for text in texts:
        assert Talkative.seen not in text
