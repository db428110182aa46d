"""The bytes of a document give back the document, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.content_format import decode, encode
from core.model import DocumentContent, JSONValue, Passage

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values: st.SearchStrategy[JSONValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
passages = st.builds(Passage, texts, st.lists(texts, max_size=3).map(tuple), texts, st.integers(1, 10**9))
documents = st.builds(
    DocumentContent,
    texts,
    texts,
    texts,
    texts,
    texts,
    st.lists(passages, max_size=4).map(tuple),
    st.dictionaries(texts, values, max_size=4),
)
hurried = settings(max_examples=100, deadline=None)
SAMPLE = DocumentContent("T", "python", "l", "1", "/s", (Passage("T", ("T",), "text", 3),), {"k": 1})


@hurried
@given(documents)
def test_a_document_comes_back_from_its_bytes(content: DocumentContent) -> None:
    data = encode(content)
    assert decode(data) == content
    assert encode(decode(data)) == data


@hurried
@given(st.dictionaries(texts, values, max_size=5))
def test_equal_content_gives_equal_bytes_in_any_order(metadata: dict[str, JSONValue]) -> None:
    turned = dict(reversed(metadata.items()))
    one, other = (DocumentContent("T", "", "", "", "", (), each) for each in (metadata, turned))
    assert encode(one) == encode(other)


@hurried
@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode(data)


@hurried
@given(st.sampled_from(sorted(json.loads(encode(SAMPLE)))), values)
def test_a_document_with_one_field_changed_is_refused_or_comes_back(name: str, value: JSONValue) -> None:
    document = json.loads(encode(SAMPLE))
    document[name] = value
    try:
        content = decode(json.dumps(document).encode())
    except ValueError:
        return
    assert json.loads(encode(content)) == document


@hurried
@given(st.integers(0, len(encode(SAMPLE)) - 1))
def test_a_document_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        decode(encode(SAMPLE)[:length])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("format", True),
        ("format", 1.0),
        ("title", None),
        ("metadata", []),
        ("passages", {}),
        ("passages", [["t", ["h"], "x"]]),
        ("passages", [["t", ["h"], "x", True]]),
        ("passages", [["t", [1], "x", 1]]),
        ("passages", [["t", "h", "x", 1]]),
    ],
)
def test_wrong_types_are_refused(field: str, value: JSONValue) -> None:
    document = json.loads(encode(SAMPLE)) | {field: value}
    with pytest.raises(ValueError):
        decode(json.dumps(document).encode())


def test_unknown_and_missing_fields_are_refused() -> None:
    document = json.loads(encode(SAMPLE))
    with pytest.raises(ValueError, match="not a document"):
        decode(json.dumps(document | {"more": 1}).encode())
    del document["source"]
    with pytest.raises(ValueError, match="not a document"):
        decode(json.dumps(document).encode())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    data = encode(SAMPLE).replace(b'{"k":1}', b'{"k":' + number.encode() + b"}")
    with pytest.raises(ValueError):
        decode(data)


def test_deep_nesting_is_refused() -> None:
    data = encode(SAMPLE).replace(b'{"k":1}', b'{"k":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    with pytest.raises(ValueError, match="deep"):
        decode(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_cannot_hold_is_not_written(value: JSONValue) -> None:
    with pytest.raises(ValueError):
        encode(DocumentContent("T", "", "", "", "", (), {"k": value}))
