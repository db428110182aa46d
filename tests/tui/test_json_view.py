"""JSON on the screen: readable without colour, wrapped, capped, and harmless whoever wrote it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from driving import until
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.pilot import Pilot
from textual.strip import Strip

from tui.widgets.json_view import JsonColours, JsonView, json_lines

EVIL = "a\x1b[2J\x9b31m\x1b]0;title\x07\u202eb\ud800"
printable_text = st.text(alphabet=st.characters(categories=("L", "N", "P", "S"), include_characters=" "))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | printable_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable_text, inner, max_size=4),
    max_leaves=20,
)


def texts(value: object, width: int = 80) -> list[str]:
    return [strip.text.rstrip() for strip in json_lines(value, width, JsonColours())]


@given(json_values)
def test_what_fits_reads_as_the_same_json(value: object) -> None:
    assert json.loads("\n".join(texts(value, 100_000))) == value


@given(st.recursive(st.text(alphabet=st.characters(codec=None)), lambda inner: st.dictionaries(st.text(), inner)))
def test_every_line_has_the_width_and_nothing_that_steers_a_terminal(value: object) -> None:
    for width in (1, 8, 23, 80):
        for strip in json_lines(value, width, JsonColours()):
            assert strip.cell_length == max(8, width)
            assert cell_len(strip.text) == strip.cell_length
            assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in strip.text)
            strip.text.encode()


def test_it_is_indented_and_punctuated() -> None:
    value = {"id": "m-1", "tags": ["a", 2, None, True, 1.5], "empty": [{}, []], "inner": {"x": False}}
    assert "\n".join(texts(value)) == "\n".join(
        (
            "{",
            '  "id": "m-1",',
            '  "tags": [',
            '    "a",',
            "    2,",
            "    null,",
            "    true,",
            "    1.5",
            "  ],",
            '  "empty": [',
            "    {},",
            "    []",
            "  ],",
            '  "inner": {',
            '    "x": false',
            "  }",
            "}",
        )
    )


def test_line_ends_in_a_string_are_lines_with_a_mark() -> None:
    assert texts({"body": "first\r\n\tsecond\n\nlast", "n": 1}) == [
        "{",
        '  "body": "first↵',
        "               second↵",
        "           ↵",
        '           last",',
        '  "n": 1',
        "}",
    ]


def test_a_string_cannot_look_like_structure() -> None:
    assert texts({"a": 'x",\n  "role": "owner'}) == ["{", '  "a": "x\\",↵', '          \\"role\\": \\"owner"', "}"]
    assert texts("back\\slash") == ['"back\\\\slash"']


def test_long_text_is_wrapped_at_words_and_nothing_is_lost() -> None:
    words = " ".join(f"word{number}" for number in range(60))
    lines = texts({"text": words}, 40)
    assert "".join(line.strip() + " " for line in lines[1:-1]).strip() == f'"text": "{words}"'
    assert "".join(part.strip() for part in texts("x" * 500, 33)) == '"' + "x" * 500 + '"'
    assert "".join(part.strip() for part in texts("漢字" * 100, 33)) == '"' + "漢字" * 100 + '"'


def test_escapes_in_keys_and_strings_are_shown() -> None:
    safe = '"a␛[2J�31m␛]0;title␇�b�"'
    assert texts({EVIL: [EVIL]}) == ["{", f"  {safe}: [", f"    {safe}", "  ]", "}"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (b"\x1b", "\"b'\\\\x1b'\""),
        ((1,), "[\n  1\n]"),
        ({1: 2}, '{\n  "1": 2\n}'),
        ("", '""'),
    ],
)
def test_what_json_does_not_know_is_shown_too(value: object, shown: str) -> None:
    assert "\n".join(texts(value)) == shown


def test_very_long_integers_and_very_deep_values_are_shown() -> None:
    assert texts(10 ** (sys.get_int_max_str_digits() + 1))[0].startswith("0x")
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    assert len(texts(deep)) == 2001


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (["x" * 10] * 90_000, 90_002),
        (["one\ntwo\nthree"] * 30_000, 90_002),
        ("x" * 1_000_000, 12_821),
    ],
)
def test_a_large_value_is_cut_and_the_rest_counted(value: object, lines: int) -> None:
    shown = texts(value)
    assert len(shown) == 2001
    assert shown[-1] == f"… {lines - 2000:,} more lines"


def test_kinds_have_the_colours_given() -> None:
    colours = JsonColours(key="red", string="green", number="blue", literal="yellow", muted="white")
    strips = json_lines({"k": ["s", 1, None]}, 20, colours)
    styles = {segment.text: segment.style for strip in strips for segment in strip}
    assert styles['"k": '] == Style.parse("red")
    assert styles['"s"'] == Style.parse("green")
    assert styles["1"] == Style.parse("blue")
    assert styles["null"] == Style.parse("yellow")
    assert styles["["] == Style.parse("white")


class ViewApp(App[None]):
    def compose(self) -> ComposeResult:
        with Vertical():
            yield JsonView()


@asynccontextmanager
async def viewing(size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[JsonView, ViewApp, Pilot[None]]]:
    app = ViewApp()
    async with app.run_test(size=size) as pilot:
        view = app.query_one(JsonView)
        view.focus()
        await pilot.pause()
        yield view, app, pilot


def strips(view: JsonView) -> list[Strip]:
    region = view.scrollable_content_region
    screen = view.screen._compositor.render_strips()
    return [line.crop(region.x, region.right) for line in screen[region.y : region.bottom]]


def shown(view: JsonView) -> list[str]:
    return [strip.text.rstrip() for strip in strips(view)]


async def test_the_view_shows_a_title_and_scrolls_to_the_end() -> None:
    async with viewing() as (view, _, pilot):
        view.show("Message \x1b[31m17", list(range(5000)))
        await pilot.pause()
        assert shown(view)[:3] == ["Message ␛[31m17", "[", "  0,"]
        await pilot.press("end")
        await until(lambda: view.scroll_offset.y == view.max_scroll_y, "the end")
        await pilot.pause()
        assert shown(view)[-1] == "… 3,002 more lines"
        view.show("Next", {"a": 1})
        await pilot.pause()
        assert shown(view)[:5] == ["Next", "{", '  "a": 1', "}", ""]
        view.clear()
        await pilot.pause()
        assert set(shown(view)) == {""}


@pytest.mark.parametrize("value", [None, [], "", False, 0])
async def test_values_that_are_false_are_values(value: object) -> None:
    async with viewing() as (view, _, pilot):
        view.show("", value)
        await pilot.pause()
        assert shown(view)[0] == json.dumps(value)


async def test_a_resized_terminal_wraps_anew() -> None:
    async with viewing((160, 48)) as (view, _, pilot):
        view.show("Title", {"text": "word " * 60})
        await pilot.pause()
        wide = view.virtual_size.height
        await pilot.resize_terminal(40, 24)
        await until(lambda: view.virtual_size.height > wide, "the new lines")
        await pilot.pause()
        assert all(len(line) <= 38 for line in shown(view))


async def test_what_is_given_while_hidden_is_there_when_it_appears() -> None:
    async with viewing() as (view, app, pilot):
        app.query_one(Vertical).display = False
        await until(lambda: not view.is_on_screen, "hiding")
        view.show("Hidden", {"a": 1})
        await pilot.pause()
        assert view.virtual_size.height == 0
        app.query_one(Vertical).display = True
        await until(lambda: view.virtual_size.height == 4, "the lines")
        await pilot.pause()
        assert shown(view)[0] == "Hidden"


async def test_a_new_theme_brings_its_colours() -> None:
    async with viewing() as (view, app, pilot):
        view.show("", "text")
        await pilot.pause()

        def colour() -> object:
            return next(iter(strips(view)[0])).style

        before = colour()
        app.theme = "textual-light"
        await until(lambda: colour() != before, "the new colours")
        app.theme = "ansi-dark"
        await pilot.pause()
        assert shown(view)[0] == '"text"'
