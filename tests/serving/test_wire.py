"""Whatever travels through the door arrives as it was; whatever does not fit is refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import errors
from core.errors import BailiwickError, InvalidInput
from core.events import Event, ItemsChanged
from core.model import Answer, Filters, Hit, IndexCounts, Item, Library, Matched, Problem, SearchMode, Source
from core.search.query import MAX_LIMIT, Query
from core.serving.calls import EngineCalls, EventBatch, shapes
from core.serving.wire import RELAYED_EVENTS, WireError, decode, decode_error, encode, encode_error

TEXTS = st.text(st.characters(), max_size=20)
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
QUERIES = st.builds(
    Query,
    text=TEXTS.filter(str.strip),
    filters=st.deferred(lambda: whole(Filters)),
    mode=st.sampled_from(SearchMode),
    limit=st.integers(1, MAX_LIMIT),
)


def whole(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Values of a dataclass with every field given."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{each.name: values(each.name, hints[each.name]) for each in fields(kind)})


def values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name == "metadata":
        return st.dictionaries(TEXTS, JSON_VALUES, max_size=3)
    if hint is float or hint == float | None:
        return st.floats(allow_nan=False) | (st.none() if hint == float | None else st.nothing())
    return st.from_type(hint)


st.register_type_strategy(str, TEXTS)
st.register_type_strategy(datetime, MOMENTS)
for _each in (Hit, Matched, Filters, Problem, *RELAYED_EVENTS):
    st.register_type_strategy(_each, whole(_each))
st.register_type_strategy(Event, st.one_of([whole(each) for each in RELAYED_EVENTS]))


@given(
    st.one_of(
        [whole(each) for each in (Answer, Hit, IndexCounts, Item, Library, Source, EventBatch, *RELAYED_EVENTS)]
        + [QUERIES]
    )
)
def test_values_arrive_as_they_were(value: object) -> None:
    assert decode(type(value), json.loads(json.dumps(encode(value)))) == value


@given(st.one_of([whole(each) for each in RELAYED_EVENTS]))
def test_events_keep_their_class(event: Event) -> None:
    arrived = decode(Event, json.loads(json.dumps(encode(event))))
    assert (type(arrived), arrived) == (type(event), event)


@given(QUERIES, st.booleans())
def test_arguments_arrive_by_their_names(query: Query, wait: bool) -> None:
    shape = shapes(EngineCalls)["search"]
    assert shape.read(json.loads(json.dumps(shape.write(query, wait_for_model=wait)))) == {
        "query": query,
        "wait_for_model": wait,
    }
    assert shape.read(shape.write(query)) == {"query": query}


@given(JSON_VALUES)
def test_junk_is_refused_or_understood_but_breaks_nothing(junk: object) -> None:
    for name, shape in shapes(EngineCalls).items():
        for arguments in (junk, {"query": junk}, {"query": {"text": junk}}, {"document_id": junk}):
            sentence = ""
            read: dict[str, Any] = {}
            try:
                read = shape.read(arguments)
            except (WireError, InvalidInput) as error:
                sentence = str(error)
            assert "\n" not in sentence, name
            assert set(read) <= {"query", "wait_for_model", "document_id"}


@pytest.mark.parametrize(
    ("hint", "value", "sentence"),
    [
        (int, True, "int"),
        (int, 1.5, "int"),
        (bool, 1, "bool"),
        (float, True, "float"),
        (str, None, "str"),
        (str | None, 3, "str"),
        (tuple[str, str], ["one"], "2 values"),
        (tuple[int, ...], ["one"], r"value\[0\]"),
        (tuple[int, ...], "12", "list"),
        (datetime, "yesterday", "ISO 8601"),
        (SearchMode, "magic", "hybrid, vector, text"),
        (IndexCounts, {"documents": 1, "passages": 2}, "lacks pending"),
        (IndexCounts, {"documents": 1, "passages": 2, "pending": 3, "more": 4}, "has no 'more'"),
        (IndexCounts, [], "object"),
        (Event, {"is": "ItemsChanged", "position": 1}, "no known kind"),
        (Event, {}, "no known kind"),
        (dict[str, int], {"a": "b"}, r"value\['a'\]"),
    ],
)
def test_what_does_not_fit_is_named(hint: object, value: object, sentence: str) -> None:
    with pytest.raises(WireError, match=sentence):
        decode(hint, value)


def test_a_whole_number_is_a_float_too_and_mappings_and_lists_travel() -> None:
    assert decode(float, 3) == 3.0
    assert decode(dict[str, list[int | None]], {"a": [1, None]}) == {"a": [1, None]}
    with pytest.raises(TypeError):
        encode(object())
    assert "is" not in encode(ItemsChanged(3))


@pytest.mark.parametrize(
    "kind", [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BailiwickError)]
)
def test_errors_arrive_as_the_same_class(kind: type[BailiwickError]) -> None:
    arrived = decode_error(json.loads(json.dumps(encode_error(kind("It broke.", "Mend it.", {"version": 3})))))
    assert (type(arrived), arrived.message, arrived.hint) == (kind, "It broke.", "Mend it.")
    assert (arrived.exit_code, arrived.facts) == (kind.exit_code, {"version": 3})


def test_an_error_of_another_class_arrives_as_its_nearest_known_one() -> None:
    class Special(InvalidInput):
        exit_code = 9

    arrived = decode_error(encode_error(Special("No.")))
    assert (type(arrived), arrived.exit_code, arrived.hint) == (InvalidInput, 9, "")
    assert type(decode_error({"error": "x", "exit_code": 2, "kind": "Unheard"})) is BailiwickError
    for junk in (None, [], {}, {"error": 3, "exit_code": 2}, {"error": "x", "exit_code": "2"}):
        with pytest.raises(WireError):
            decode_error(junk)


def test_a_dataclass_that_refuses_its_values_is_a_sentence() -> None:
    @dataclass(frozen=True)
    class Even:
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError("a secret")

    Even.__annotations__["number"] = int
    with pytest.raises(WireError, match="not a usable Even"):
        decode(Even, {"number": 3})
