"""A commit read from a remote that may hold anything at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.agentfs.database import to_json
from core.errors import InvalidInput, SealBroken, WorkspaceUnusable
from core.ids import new_id
from core.sync.commit import AuditHead, Commit, Operation, Place, body_of, decode, encode, told_size
from core.sync.packing import Encoding, compress
from core.sync_model import Change

AREA = "u-mara"
HASH = "ab" * 32
HEADER: Any = {"v": 1, "kind": "assumption", "metadata": {"note": ["x", 1.5, None, True]}}
PUT = Operation(
    "notes/heat",
    Change.PUT,
    None,
    HASH,
    "assumption",
    new_id(),
    HEADER,
    "cd" * 32,
    5,
    Place(f".bailiwick/blobs/{AREA}/ab/{HASH}", 0, 7, HASH, Encoding.ZSTD_AGE),
)
COMMIT = Commit(
    AREA,
    7,
    HASH,
    new_id(),
    new_id(),
    datetime(2026, 11, 25, 9, 0, tzinfo=UTC),
    (PUT, Operation("notes/cold", Change.DELETE, HASH, None)),
    AuditHead(12, HASH, (9, HASH)),
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud800", "..", HASH]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def stored(body: object, signature: object = "00" * 64) -> bytes:
    text = json.dumps({"body": body, "sig": signature})
    return compress(text.encode("utf-8", "surrogatepass"))


def body() -> Any:
    return json.loads(body_of(COMMIT))


def spots(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside ``value``."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(each for key, child in inner for each in spots(child, (*way, key)))]


def with_spot(value: Any, way: tuple[Any, ...], other: Any) -> Any:
    if not way:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = with_spot(value[way[0]], way[1:], other)
    return copy


def test_what_is_written_is_read() -> None:
    signed = decode(encode(body_of(COMMIT), b"s" * 64), AREA, 7)
    assert signed.commit == COMMIT
    assert (signed.body, signed.signature) == (body_of(COMMIT), b"s" * 64)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(spots(body())), values)
def test_whatever_stands_anywhere_in_a_commit_is_read_or_named(way: tuple[Any, ...], value: Any) -> None:
    other = with_spot(body(), way, value)
    try:
        signed = decode(stored(other), AREA, 7)
    except (SealBroken, WorkspaceUnusable):
        return
    assert json.loads(signed.body) == json.loads(json.dumps(other)), "what is signed is what was read"
    assert body_of(replace(signed.commit)), "what was read can be told again"
    for each in signed.commit.operations:
        assert not each.path.startswith("/")
        assert each.path.isprintable()
        assert ".." not in each.path.partition("/state/")[0].split("/")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | values.map(lambda value: compress(json.dumps(value, default=str).encode("utf-8"))))
def test_whatever_lies_there_is_named(data: bytes) -> None:
    with pytest.raises((SealBroken, WorkspaceUnusable)):
        decode(data, AREA, 7)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"body":' * 50_000,
        b'{"body": ' + b"9" * 1_000_000 + b"}",
        b'{"body": {"v": 1e999}}',
    ],
    ids=["deep lists", "deep objects", "a long number", "no number"],
)
def test_what_json_readers_stumble_over_is_named(text: bytes) -> None:
    with pytest.raises((SealBroken, WorkspaceUnusable)):
        decode(compress(text), AREA, 7)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_outside_of_every_calendar_is_named(moment: str) -> None:
    with pytest.raises(SealBroken):
        decode(stored({**body(), "at": moment}), AREA, 7)


def test_what_no_reader_takes_in_is_not_written() -> None:
    assert told_size(PUT) == len(to_json(body()["ops"][0]).encode())
    with pytest.raises(InvalidInput):
        told_size(replace(PUT, header={"note": "x" * (1 << 20)}))
    with pytest.raises(InvalidInput):
        told_size(replace(PUT, path="notes/../../etc/passwd"))
    with pytest.raises(InvalidInput):
        told_size(replace(PUT, kind="x" * 65))
    with pytest.raises(InvalidInput):
        told_size(replace(PUT, header={"note": float("nan")}))
