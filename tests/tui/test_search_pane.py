"""The search pane: type-ahead, hits, the document, filters, and every step back."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from driving import answered, running, type_text, until
from fake_workspace import PASSAGES, FakeWorkspace
from textual.widgets import Input, Static

from core.errors import InvalidInput, NotFound
from core.events import LibrariesChanged
from core.model import Answer, SearchMode
from core.search.query import Query
from tui.app import BailiwickApp
from tui.editor import editor_command
from tui.panes.search import SearchPane
from tui.widgets.document_lines import render_document
from tui.widgets.document_reader import DocumentReader, ReaderColours
from tui.widgets.hit_list import HitList
from tui.widgets.welcome import Welcome

COLOURS = ReaderColours("#ffffff", "#ff0000", "#888888", "github-dark")


def facts(app: BailiwickApp) -> str:
    return str(app.query_one("#facts", Static).content)


def titles(app: BailiwickApp) -> list[str]:
    return [hit.title for hit in app.query_one(HitList)._hits]


async def test_typing_searches_and_the_best_hit_is_read_beside() -> None:
    async with running(FakeWorkspace(), size=(160, 48)) as (app, pilot):
        await type_text(pilot, "about boil")
        await until(lambda: len(titles(app)) == 4, "the hits")
        assert "4 hits · hybrid · path exact · 4 candidates · 1.5 ms" in facts(app)
        reader = app.query_one(DocumentReader)

        def shown() -> str:
            return "\n".join(reader.render_line(y).text for y in range(reader.size.height))

        await until(lambda: "kettle.Kettle.fill  line 3" in shown(), "the document")
        assert "The first sentence about boil." in shown()


async def test_only_the_newest_question_is_shown() -> None:
    class Slow(FakeWorkspace):
        gate = threading.Event()

        def search(self, query: Query) -> Answer:
            if query.text == "b":
                assert self.gate.wait(10)
            return super().search(query)

    workspace = Slow()
    async with running(workspace) as (app, pilot):
        await pilot.press("b")
        field = app.query_one("#query", Input)
        await until(lambda: field.value == "b", "the letter")
        await type_text(pilot, "oil clean")
        assert field.value == "boil clean"
        workspace.gate.set()
        await until(lambda: bool(workspace.asked) and workspace.asked[-1].text == "boil clean", "the last question")
        await until(lambda: "4 hits" in facts(app), "its answer")


async def test_enter_goes_into_the_document_and_escape_comes_back_step_by_step() -> None:
    workspace = FakeWorkspace()
    async with running(workspace) as (app, pilot):
        pane = app.query_one(SearchPane)
        await type_text(pilot, "pour")
        await until(lambda: titles(app) == ["kettle.Kettle.pour"], "the hit")
        await pilot.press("enter")
        assert isinstance(app.focused, HitList)
        await pilot.press("enter")
        await until(lambda: isinstance(app.focused, DocumentReader), "the reader")
        assert pane.has_class("-reading")
        await until(lambda: "open doc1" in workspace.calls, "the access")
        await until(lambda: "passage 3 of 4" in str(app.query_one("#document-title", Static).content), "the title")
        await pilot.press("right_square_bracket")
        await until(lambda: "passage 4 of 4" in str(app.query_one("#document-title", Static).content), "the next")
        await pilot.press("right_square_bracket", "left_square_bracket", "left_square_bracket")
        await until(lambda: "passage 2 of 4" in str(app.query_one("#document-title", Static).content), "the second")
        await pilot.press("escape")
        assert isinstance(app.focused, HitList)
        assert not pane.has_class("-reading")
        await pilot.press("escape")
        assert isinstance(app.focused, Input)
        await pilot.press("escape")
        assert app.focused is None
        await pilot.press("slash")
        assert isinstance(app.focused, Input)


async def test_typed_filters_reach_the_search_and_a_nearest_version_is_marked() -> None:
    workspace = FakeWorkspace()
    async with running(workspace, size=(160, 48)) as (app, pilot):
        await type_text(pilot, "lib:kettle ver:9 boil")
        await answered(app, "boil")
        assert "nearest" in facts(app)
        asked = workspace.asked[-1]
        assert (asked.text, asked.filters.library, asked.filters.version) == ("boil", "kettle", "9")
        assert "library kettle" in str(app.query_one("#filters", Static).content)
        prompt = str(app.query_one(HitList).get_option_at_index(0).prompt)
        assert "≈1.2.0" in prompt


async def test_the_filter_dialog_narrows_and_refuses_nonsense() -> None:
    workspace = FakeWorkspace()
    async with running(workspace) as (app, pilot):
        await type_text(pilot, "boil")
        await until(lambda: bool(titles(app)), "the hits")
        await pilot.press("enter", "f")
        await until(lambda: bool(app.screen.query("#filter-where")), "the dialog")
        app.screen.query_one("#filter-where", Input).value = "nonsense"
        await pilot.press("enter")
        await until(lambda: "KEY=VALUE" in str(app.screen.query_one("#filter-error", Static).content), "the refusal")
        app.screen.query_one("#filter-where", Input).value = "format=python"
        app.screen.query_one("#filter-language", Input).value = "python"
        await pilot.press("enter")
        await until(lambda: workspace.asked[-1].filters.where == (("format", "python"),), "the filtered search")
        assert workspace.asked[-1].filters.language == "python"


async def test_m_changes_the_way_of_finding() -> None:
    workspace = FakeWorkspace()
    async with running(workspace) as (app, pilot):
        await type_text(pilot, "boil")
        await until(lambda: bool(titles(app)), "the hits")
        await pilot.press("enter", "m")
        await until(lambda: workspace.asked[-1].mode is SearchMode.VECTOR, "vectors")
        await pilot.press("m")
        await until(lambda: "path text" in facts(app), "words")


async def test_too_long_a_query_is_told_in_the_pane() -> None:
    async with running(FakeWorkspace()) as (app, _):
        app.query_one("#query", Input).value = "x" * 10_000
        await until(lambda: "10,000 characters" in facts(app), "the sentence")
        assert titles(app) == []


async def test_nothing_found_says_so() -> None:
    async with running(FakeWorkspace()) as (app, pilot):
        await type_text(pilot, "zebra")
        await until(lambda: "Nothing found for “zebra”" in facts(app), "the sentence")


async def test_an_empty_workspace_explains_itself_and_its_keys_work_at_once() -> None:
    workspace = FakeWorkspace(empty=True)
    async with running(workspace) as (app, pilot):
        await until(lambda: app.focused is None, "free keys")
        assert app.query_one(Welcome).is_on_screen
        workspace.empty = False
        workspace.bus.publish(LibrariesChanged())
        await until(lambda: "4 passages" in facts(app), "the new documents")
        await pilot.press("slash")
        await type_text(pilot, "boil")
        await until(
            lambda: titles(app) == [f"kettle.Kettle.{name}" for name in ("fill", "boil", "pour", "clean")], "hits"
        )


async def test_c_copies_the_passage() -> None:
    async with running(FakeWorkspace(), size=(160, 48)) as (app, pilot):
        await type_text(pilot, "pour")
        await until(lambda: app.query_one(DocumentReader).virtual_size.height > 0, "the document")
        await pilot.press("enter", "c")
        await until(lambda: "kettle.Kettle.pour" in app.clipboard, "the copy")
        assert PASSAGES[2].text in app.clipboard


def test_the_editor_is_called_at_the_line(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("x")
    python = sys.executable
    assert editor_command(str(file), 7, {"EDITOR": f"{python} -x"}) == [python, "-x", "+7", str(file)]
    code = tmp_path / "code"
    code.write_text("#!/bin/sh\n")
    code.chmod(0o755)
    assert editor_command(str(file), 7, {"VISUAL": str(code)}) == [str(code), "--goto", f"{file}:7"]
    with pytest.raises(InvalidInput, match="no editor"):
        editor_command(str(file), 7, {"EDITOR": "no-such-editor-anywhere"})
    with pytest.raises(NotFound, match="no longer there"):
        editor_command(str(tmp_path / "gone.py"), 7, {"EDITOR": python})


@pytest.mark.parametrize("width", [20, 40, 100])
def test_a_document_is_wrapped_to_its_width_and_loses_nothing(width: int) -> None:
    from fake_workspace import CONTENT

    lines = render_document(CONTENT, 1, "boil", width, COLOURS)
    assert all(strip.cell_length == width for strip in lines.strips)
    text = "".join("".join(strip.text[2:].split()) for strip in lines.strips)
    for passage in PASSAGES:
        assert "".join(passage.title.split()) in text
        assert "".join(passage.text.replace("```python", "").replace("```", "").split()) in text
    assert sorted(lines.starts) == [0, 1, 2, 3]
    assert lines.strips[lines.starts[1]].text.startswith("▌")
