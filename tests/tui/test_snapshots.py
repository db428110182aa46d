"""What the panes look like, at both sizes, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driving import answered, make_app, settled, type_text, until
from fake_workspace import FakeWorkspace
from textual.pilot import Pilot

from tui.app import BailiwickApp
from tui.screens.help import HelpScreen
from tui.widgets.document_reader import DocumentReader

SIZES = [(80, 24), (160, 48)]
Compare = Callable[..., bool]


def prepared(*keys: str, typed: str = "") -> Callable[[Pilot[None]], object]:
    """What to do before the picture is taken."""

    async def before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, BailiwickApp)
        await settled(app, pilot)
        if typed:
            await type_text(pilot, typed)
            await answered(app, typed)
            reader = app.query_one(DocumentReader)
            await until(lambda: reader.virtual_size.height > 0 or not reader.is_on_screen, "the document")
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        if isinstance(app.screen, HelpScreen):
            await until(lambda: bool(app.screen.query("MarkdownParagraph")), "the help's text")
            await app.workers.wait_for_complete()
        await pilot.pause(0.2)

    return before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["bailiwick-dark", "bailiwick-light"])
@pytest.mark.parametrize("name", ["welcome", "hits", "reading", "agents", "hardware", "help", "add"])
def test_screen(snap_compare: Compare, name: str, theme: str, size: tuple[int, int]) -> None:
    keys: dict[str, tuple[str, ...]] = {
        "reading": ("enter", "enter"),
        "agents": ("escape", "escape", "1"),
        "hardware": ("escape", "escape", "6"),
        "help": ("escape", "escape", "question_mark"),
        "add": ("a",),
    }
    workspace = FakeWorkspace(empty=name in ("welcome", "add"))
    typed = "boil" if name in ("hits", "reading") else ""
    app = make_app(workspace, theme=theme)
    try:
        assert snap_compare(app, run_before=prepared(*keys.get(name, ()), typed=typed), terminal_size=size)
    finally:
        workspace.close()
