"""Sealing to recipients: any bytes come back to whom they were sealed, nothing that was touched does."""

from __future__ import annotations

import errno
import io
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.crypto.age_format import read_header
from core.crypto.identity import new_key_pair
from core.crypto.sealing import check_recipient, open_sealed, open_stream, seal, seal_stream
from core.crypto.secret import Secret
from core.errors import InvalidInput, SealBroken, WrongKey

MINE, OTHERS = new_key_pair(), new_key_pair()


def by_stream(sealed: bytes) -> bytes:
    """What is sealed, read from one file into another."""
    target = io.BytesIO()
    open_stream(io.BytesIO(sealed), target, [MINE.secret], "The file")
    return target.getvalue()


def at_once(sealed: bytes) -> bytes:
    """What is sealed, from memory."""
    return open_sealed(sealed, [MINE.secret], "The file")


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=70_000))
def test_any_bytes_come_back(data: bytes) -> None:
    assert at_once(seal(data, [MINE.recipient])) == data
    target = io.BytesIO()
    seal_stream(io.BytesIO(data), target, [OTHERS.recipient, MINE.recipient])
    assert by_stream(target.getvalue()) == data


@pytest.mark.parametrize("size", [65536, 262_144, 262_145, 1_000_000])
def test_large_data_come_back(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sealed = seal(data, [MINE.recipient])
    assert at_once(sealed) == by_stream(sealed) == data


def test_nothing_is_put_around_the_format() -> None:
    sealed = seal(b"x" * 100, [MINE.recipient])
    assert len(sealed) == read_header(sealed, "It").length + 16 + 100 + 16


def test_the_same_data_look_different_each_time() -> None:
    assert seal(b"x", [MINE.recipient]) != seal(b"x", [MINE.recipient])


def test_every_flipped_bit_is_refused() -> None:
    sealed = seal(b"secret", [MINE.recipient])
    for bit in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << bit % 8
        for opened in (at_once, by_stream):
            with pytest.raises((SealBroken, WrongKey)):
                opened(bytes(broken))


def test_every_shorter_piece_is_refused() -> None:
    sealed = seal(b"secret", [MINE.recipient])
    for length in range(len(sealed)):
        for opened in (at_once, by_stream):
            with pytest.raises(SealBroken, match=r"cut off|not an age file"):
                opened(sealed[:length])
    for opened in (at_once, by_stream):
        with pytest.raises(SealBroken):
            opened(sealed + b"x")


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_large_files_touched_anywhere_are_refused(data: st.DataObject) -> None:
    sealed = LARGE
    at = data.draw(st.integers(0, len(sealed) - 1) | st.sampled_from(BOUNDARIES))
    cut = sealed[:at]
    changed = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    for broken in (cut, changed):
        for opened in (at_once, by_stream):
            with pytest.raises((SealBroken, WrongKey)):
                opened(broken)


LARGE = seal(b"x" * 65536 * 5, [MINE.recipient])
BOUNDARIES = [read_header(LARGE, "It").length + 16 + 65552 * count for count in range(5)]


@pytest.mark.parametrize("opened", [at_once, by_stream])
@pytest.mark.parametrize("chunks", range(len(BOUNDARIES)))
def test_cut_between_chunks_is_refused(opened: object, chunks: int) -> None:
    with pytest.raises(SealBroken, match="cut off"):
        opened(LARGE[: BOUNDARIES[chunks]])  # type: ignore[operator]


@pytest.mark.parametrize("opened", [at_once, by_stream])
def test_chunks_in_another_order_are_refused(opened: object) -> None:
    first, second, third = BOUNDARIES[:3]
    with pytest.raises(SealBroken, match="changed"):
        opened(LARGE[:first] + LARGE[second:third] + LARGE[first:second] + LARGE[third:])  # type: ignore[operator]


def test_another_key_is_told_as_such() -> None:
    sealed = seal(b"x", [OTHERS.recipient])
    for opened in (at_once, by_stream):
        with pytest.raises(WrongKey, match="The file is sealed, but not to any key that is held here"):
            opened(sealed)


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\3\4" * 100, b"age-encryption.org/v2\n-> x\n"])
def test_what_is_no_age_file_is_told_as_such(content: bytes) -> None:
    for opened in (at_once, by_stream):
        with pytest.raises(SealBroken, match="The file is not an age file"):
            opened(content)


@pytest.mark.parametrize(
    "recipient",
    ["", "age1", "ada@example.org", "ssh-ed25519 AAAA", MINE.recipient[:-1]],
    ids=["nothing", "prefix", "mail", "ssh", "cut-off"],
)
def test_what_is_no_recipient_is_refused(recipient: str) -> None:
    with pytest.raises(InvalidInput, match="is not an age recipient"):
        check_recipient(recipient)


def test_a_secret_key_given_as_recipient_is_not_shown() -> None:
    with pytest.raises(InvalidInput, match="A secret key is not an age recipient") as caught:
        seal(b"x", [MINE.secret.text()])
    assert MINE.secret.text() not in str(caught.value)


def test_nobody_as_recipient_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Nobody was named"):
        seal(b"x", [])


def test_a_damaged_identity_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not an age identity"):
        open_sealed(seal(b"x", [MINE.recipient]), [Secret("AGE-SECRET-KEY-1FOO")])


class Failing(io.BytesIO):
    """A file on a full disk."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, "broken disk")

    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, "no space")


def test_what_the_files_raise_is_not_disguised() -> None:
    sealed = seal(b"x" * 200_000, [MINE.recipient])
    for work in (
        lambda: seal_stream(Failing(), io.BytesIO(), [MINE.recipient]),
        lambda: open_stream(Failing(), io.BytesIO(), [MINE.secret]),
    ):
        with pytest.raises(OSError, match="broken disk"):
            work()
    for work in (
        lambda: seal_stream(io.BytesIO(b"x" * 200_000), Failing(), [MINE.recipient]),
        lambda: open_stream(io.BytesIO(sealed), Failing(), [MINE.secret]),
    ):
        with pytest.raises(OSError, match="no space") as caught:
            work()
        assert caught.value.errno == errno.ENOSPC


class Endless(io.RawIOBase):
    """So many bytes, made when read; written bytes are counted and dropped."""

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.written = 0

    def read(self, size: int = -1, /) -> bytes:
        size = min(size, self.left)
        self.left -= size
        return bytes(size)

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.written += len(data)
        return len(data)


def test_streams_take_constant_memory() -> None:
    tracemalloc.start()
    target = Endless()
    seal_stream(Endless(32 << 20), target, [MINE.recipient])  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert target.written > 32 << 20
    assert peak < 1 << 20


def test_other_threads_run_while_much_is_sealed() -> None:
    """The library holds the interpreter while it works; large data are given to it piece by piece."""
    data, stop, longest = bytes(48 << 20), threading.Event(), 0.0

    def watch() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not stop.is_set():
            time.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    sealed = seal(data, [MINE.recipient])
    open_sealed(sealed, [MINE.secret])
    took = time.perf_counter() - started
    stop.set()
    watcher.join()
    assert longest < max(0.1, took / 3)
