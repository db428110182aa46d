"""Driving the dashboard in tests: an app on a fake workspace, and waiting for what must come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fake_workspace import FakeWorkspace
from textual.pilot import Pilot
from textual.widgets import Input

from tui.app import BailiwickApp
from tui.panes import PANES

PATIENCE_SECONDS = 15.0
NO_CONFIG = Path("/nonexistent")


def make_app(workspace: FakeWorkspace, *, theme: str = "bailiwick-dark", start: str = "search") -> BailiwickApp:
    """The dashboard on ``workspace``, without anybody's own settings."""
    return BailiwickApp(lambda: workspace, theme=theme, start=start, config_folder=NO_CONFIG)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds; fails after a while, naming ``what``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(
    workspace: FakeWorkspace, size: tuple[int, int] = (80, 24), **options: str
) -> AsyncIterator[tuple[BailiwickApp, Pilot[None]]]:
    """A running dashboard whose workspace is open and whose panes are all there."""
    app = make_app(workspace, **options)
    try:
        async with app.run_test(size=size) as pilot:
            await settled(app, pilot)
            yield app, pilot
    finally:
        app.close_workspace()


async def settled(app: BailiwickApp, pilot: Pilot[None]) -> None:
    """Wait until the workspace is open, the panes are mounted and the first count is in."""
    await until(lambda: app.workspace is not None, "the workspace")
    await until(lambda: len(app.host.mounted) == len(PANES), "the panes")
    search = next(pane for pane in app.host.mounted if pane.PANE_ID == "search")
    await until(lambda: getattr(search, "_sources") >= 0, "the first count")  # noqa: B009 - it is not public
    for field in app.screen.query(Input):
        field.cursor_blink = False
    await pilot.pause()


async def answered(app: BailiwickApp, text: str) -> None:
    """Wait until the search pane shows the answer to ``text``, not to a part of it."""
    search = next(pane for pane in app.host.mounted if pane.PANE_ID == "search")
    await until(lambda: getattr(getattr(search, "_answer", None), "query", "") == text, f"the answer to {text!r}")


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Press the keys of ``text``."""
    names = {" ": "space", ":": "colon", ".": "full_stop", "=": "equals_sign", "/": "slash"}
    await pilot.press(*(names.get(character, character) for character in text))
