"""Sealing by passphrase in the age format: any bytes come back, nothing that was touched does."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crypto.age_format import open_by_passphrase, passphrase_stanza, read_header, seal_by_passphrase
from core.crypto.secret import Secret
from core.errors import BailiwickError, InvalidInput, SealBroken, WorkspaceUnusable, WrongKey

PASSPHRASE = Secret("correct horse battery")


def opened(sealed: bytes) -> bytes:
    """What is sealed, in plain."""
    return open_by_passphrase(sealed, PASSPHRASE, "The slot").reveal()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.binary(min_size=1, max_size=40))
def test_any_bytes_come_back(data: bytes, passphrase: bytes) -> None:
    sealed = seal_by_passphrase(Secret(data), Secret(passphrase), 1)
    assert open_by_passphrase(sealed, Secret(passphrase), "It").reveal() == data


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 200_000])
def test_pieces_of_any_length(size: int) -> None:
    assert opened(seal_by_passphrase(Secret(b"x" * size), PASSPHRASE, 1)) == b"x" * size


def test_pyrage_opens_it_and_the_other_way_round() -> None:
    from pyrage import passphrase as library

    data = b"hello" * 30_000
    assert library.decrypt(seal_by_passphrase(Secret(data), PASSPHRASE, 10), PASSPHRASE.text()) == data
    assert opened(library.encrypt(data, PASSPHRASE.text())) == data


def test_every_flipped_bit_is_refused() -> None:
    sealed = seal_by_passphrase(Secret(b"the identity"), PASSPHRASE, 1)
    for bit in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises((SealBroken, WrongKey)):
            opened(bytes(broken))


def test_only_one_spelling_of_the_header_is_accepted() -> None:
    """Base 64 has spare bits at its end, which no keyed hash covers in the last line."""
    sealed = seal_by_passphrase(Secret(b"the identity"), PASSPHRASE, 1)
    last = read_header(sealed, "It").length - 2
    for symbol in set(string.ascii_letters + string.digits + "+/=") - {chr(sealed[last])}:
        with pytest.raises(SealBroken, match="changed"):
            opened(sealed[:last] + symbol.encode() + sealed[last + 1 :])


def test_every_shorter_piece_is_refused() -> None:
    sealed = seal_by_passphrase(Secret(b"the identity"), PASSPHRASE, 1)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken, match=r"cut off|not an age file"):
            opened(sealed[:length])
    with pytest.raises(SealBroken):
        opened(sealed + b"x")


@pytest.mark.parametrize("chunks", [1, 2])
def test_cut_at_a_chunk_is_refused(chunks: int) -> None:
    sealed = seal_by_passphrase(Secret(b"x" * 65536 * 3), PASSPHRASE, 1)
    payload = read_header(sealed, "It").length + 16
    with pytest.raises(SealBroken, match="cut off"):
        opened(sealed[: payload + chunks * 65552])


def test_an_empty_last_chunk_is_refused() -> None:
    """Two texts for one content would let a file be changed unseen; the format forbids it."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    from core.crypto import age_format
    from core.crypto.secret import derived

    sealed = seal_by_passphrase(Secret(b"x" * 65536), PASSPHRASE, 1)
    header = read_header(sealed, "It")
    wrapping = age_format._stretched(PASSPHRASE, age_format._bytes(header.stanzas[0].arguments[0].encode(), ""), 1)
    file_key = Secret(ChaCha20Poly1305(wrapping.reveal()).decrypt(bytes(12), header.stanzas[0].body, None))
    nonce = sealed[header.length : header.length + 16]
    payload = ChaCha20Poly1305(derived(file_key, b"payload", nonce).reveal())
    longer = sealed[: header.length + 16] + payload.encrypt(bytes(12), b"x" * 65536, None)
    longer += payload.encrypt(bytes(10) + b"\1\1", b"", None)
    with pytest.raises(SealBroken, match="changed"):
        opened(longer)


def test_a_wrong_passphrase_is_told_as_such() -> None:
    sealed = seal_by_passphrase(Secret(b"the identity"), PASSPHRASE, 1)
    with pytest.raises(WrongKey, match="That does not open the slot"):
        open_by_passphrase(sealed, Secret("correct horse batter"), "The slot")


@pytest.mark.parametrize("factor", ["21", "22", "30", "63", "99", "100", "9" * 5000])
def test_absurd_work_is_refused_before_any_is_done(factor: str) -> None:
    sealed = seal_by_passphrase(Secret(b"x"), PASSPHRASE, 1)
    first, rest = sealed.split(b" 1\n", 1)
    started = time.perf_counter()
    with pytest.raises(SealBroken, match="rounds of work, more than the 2\\^20"):
        opened(first + b" " + factor.encode() + b"\n" + rest)
    assert time.perf_counter() - started < 0.05


@pytest.mark.parametrize("factor", ["0", "01", "-1", "+1", "x", "1x", ""])
def test_a_work_factor_that_is_no_number_is_refused(factor: str) -> None:
    first, rest = seal_by_passphrase(Secret(b"x"), PASSPHRASE, 1).split(b" 1\n", 1)
    with pytest.raises(SealBroken):
        opened(first + b" " + factor.encode() + b"\n" + rest)


def test_a_second_stanza_beside_a_passphrase_is_refused() -> None:
    sealed = seal_by_passphrase(Secret(b"x"), PASSPHRASE, 1)
    at = sealed.index(b"--- ")
    with pytest.raises(SealBroken, match="not sealed by a passphrase"):
        opened(sealed[:at] + b"-> X25519 abc\n" + b"A" * 43 + b"\n" + sealed[at:])


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    for begun in (data, b"age-encryption.org/v1\n" + data, b"age-encryption.org/v1\n-> scrypt " + data):
        try:
            passphrase_stanza(read_header(begun, "It"), "It")
        except SealBroken:
            continue


@pytest.mark.parametrize("factor", [0, 21, -1])
def test_no_absurd_work_is_asked_for(factor: int) -> None:
    with pytest.raises(InvalidInput, match="cannot be used"):
        seal_by_passphrase(Secret(b"x"), PASSPHRASE, factor)


def test_too_little_memory_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise ValueError("[digital envelope routines] memory limit exceeded")

    monkeypatch.setattr("hashlib.scrypt", refuse)
    with pytest.raises(WorkspaceUnusable, match="not enough memory") as caught:
        seal_by_passphrase(Secret(b"x"), PASSPHRASE, 18)
    assert isinstance(caught.value, BailiwickError)
    assert "256 MiB" in caught.value.message
