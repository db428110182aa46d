"""What is settled without anybody, in its order: identical, one side unchanged, merged; else decisions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conflicts.merging.automatic import LARGEST_MERGED, Media, Settled, media_of, merge, written
from core.conflicts.merging.decisions import Choice, DecisionKind, Form, resolve
from core.errors import InvalidInput

VERSIONS = (
    st.none()
    | st.binary(max_size=12)
    | st.sampled_from([b"", b"{}", b"[]", b'{"a":1}', b'{"a":2,"b":[1]}', b"a\nb\n", b"a\nc\n", b"\x00", b"1", b"null"])
)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_of_rules_holds_for_any_bytes(base: bytes | None, local: bytes | None, remote: bytes | None) -> None:
    settled = merge(base, local, remote)
    if local == remote:
        assert (settled.settled, settled.content) == (Settled.IDENTICAL, local)
    elif remote == base:
        assert (settled.settled, settled.content) == (Settled.LOCAL, local)
    elif local == base:
        assert (settled.settled, settled.content) == (Settled.REMOTE, remote)
    else:
        assert settled.settled is (Settled.OPEN if settled.decisions.open else Settled.MERGED)
    assert settled.decisions.open == () or settled.settled is Settled.OPEN
    other = merge(base, remote, local)
    assert len(other.decisions.open) == len(settled.decisions.open)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_one_side_everywhere_is_that_side(base: bytes | None, local: bytes | None, remote: bytes | None) -> None:
    settled = merge(base, local, remote)
    everything = range(len(settled.decisions.decisions))
    for choice, version in ((Choice.LOCAL, local), (Choice.REMOTE, remote)):
        made = written(settled.media, resolve(settled.decisions.chosen(everything, choice)), like=version)
        if settled.media is Media.JSON and made is not None and version is not None:
            assert json.loads(made) == json.loads(version)
        else:
            assert made == version


def test_what_merges_is_merged() -> None:
    settled = merge(b'{"a":1,"b":1}', b'{"a":2,"b":1}', b'{"a":1,"b":2}')
    assert (settled.settled, settled.media, settled.content) == (Settled.MERGED, Media.JSON, b'{"a":2,"b":2}')
    settled = merge(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\nC\n")
    assert (settled.settled, settled.media, settled.content) == (Settled.MERGED, Media.TEXT, b"A\nb\nC\n")


def test_json_stays_laid_out_as_it_was() -> None:
    def laid_out(value: object) -> bytes:
        return (json.dumps(value, indent=4) + "\n").encode()

    settled = merge(laid_out({"b": 1, "a": 1}), laid_out({"b": 2, "a": 1}), laid_out({"b": 1, "a": 2}))
    assert settled.content == laid_out({"b": 2, "a": 2})


def test_an_edit_against_a_deletion_is_asked_for_whole() -> None:
    settled = merge(b"a\n", None, b"b\n")
    assert settled.settled is Settled.OPEN
    [decision] = settled.decisions.decisions
    assert (decision.kind, settled.decisions.form) == (DecisionKind.DELETE_MODIFY, Form.WHOLE)
    assert written(settled.media, resolve(settled.decisions.chosen([0], Choice.LOCAL))) is None
    assert written(settled.media, resolve(settled.decisions.chosen([0], Choice.REMOTE))) == b"b\n"
    assert written(settled.media, resolve(settled.decisions.chosen([0], Choice.CUSTOM, "mine\n"))) == b"mine\n"


def test_bytes_are_taken_whole() -> None:
    settled = merge(b"\x00a", b"\x00b", b"\x00c")
    assert (settled.settled, settled.media) == (Settled.OPEN, Media.BINARY)
    with pytest.raises(InvalidInput, match="not both"):
        settled.decisions.chosen([0], Choice.BOTH_LOCAL_FIRST)
    assert written(settled.media, resolve(settled.decisions.chosen([0], Choice.REMOTE))) == b"\x00c"


@pytest.mark.parametrize(
    "lossy",
    [b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":0.10000000000000000555}', b"[" * 3_000 + b"]" * 3_000],
)
def test_json_that_reading_would_change_is_merged_as_text(lossy: bytes) -> None:
    assert media_of(lossy, b"{}") is Media.TEXT
    assert merge(b"{}", lossy, b"{}").content == lossy
    assert merge(lossy, lossy + b"\n", b"first\n" + lossy).settled in (Settled.MERGED, Settled.OPEN)


def test_numbers_keep_their_value() -> None:
    base, local = b'{"a":1.50,"b":12345678901234567890,"c":1}', b'{"a":1.50,"b":12345678901234567890,"c":2}'
    settled = merge(base, local, b'{"a":1.50,"b":12345678901234567890,"c":1,"d":1}')
    assert settled.content == b'{"a":1.5,"b":12345678901234567890,"c":2,"d":1}'


def test_what_is_too_large_is_taken_whole() -> None:
    large = b"x\n" * (LARGEST_MERGED // 2 + 1)
    assert merge(large, large + b"a\n", b"a\n" + large).media is Media.BINARY
