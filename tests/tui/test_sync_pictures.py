"""What the sync pane looks like, at both sizes, light and dark."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent_data import NOW, Clock
from driving import make_app, until
from fake_workspace import FakeWorkspace
from sync_data import busy, queued, synced
from test_snapshots import Compare, cards_at_rest, prepared
from textual.pilot import Pilot
from textual.widgets import Input

from core.sync_model import SyncActivity, SyncStatus
from tui.panes.sync import SyncPane
from tui.panes.sync_reading import Section
from tui.screens.set_remote import JoinScreen

NARROW, WIDE = (80, 24), (160, 48)
DARK, LIGHT = "bailiwick-dark", "bailiwick-light"


def asking() -> SyncStatus:
    """A safety brake waits for the person, offline."""
    question = "A sync would delete 812 of 900 items of u-ada. Is that wanted?"
    return replace(synced(), activity=SyncActivity.STOPPED, asks=question)


CASES = {
    "none": (None, DARK, NARROW),
    "synced": (synced, DARK, NARROW),
    "busy": (busy, DARK, NARROW),
    "busy-wide": (busy, LIGHT, WIDE),
    "asks": (asking, DARK, NARROW),
    "queue": (busy, LIGHT, NARROW),
    "cost": (busy, DARK, NARROW),
    "plan": (synced, DARK, NARROW),
    "verify-wide": (synced, DARK, WIDE),
    "join": (None, DARK, NARROW),
    "strategy": (synced, LIGHT, NARROW),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("universal_time")
def test_sync(
    snap_compare: Compare,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    status, theme, size = CASES[name]
    clock = Clock()
    clock.moment = NOW
    clock.hold(monkeypatch)
    workspace = FakeWorkspace()
    workspace.sync.waits = queued()
    if status is not None:
        workspace.sync.now = status()
    app = make_app(workspace, theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await prepared("escape", "escape", "4")(pilot)
        pane = app.query_one(SyncPane)
        contents = pane.contents
        await until(lambda: contents.status is not None, "the status")
        match name:
            case "queue":
                pane.show_section(Section.QUEUE)
                await until(lambda: contents.queue is not None, "the queue")
            case "cost":
                pane.show_section(Section.COST)
            case "plan":
                await pilot.press("l")
                await until(lambda: contents.plan is not None and not contents.working, "the plan")
            case "verify-wide":
                await pilot.press("v")
                await until(lambda: contents.verification is not None and not contents.working, "the findings")
            case "join":
                await pilot.press("j")
                await until(lambda: isinstance(app.screen, JoinScreen) and app.screen.is_mounted, "the dialog")
                for field in app.screen.query(Input):
                    field.cursor_blink = False
            case "strategy":
                await pilot.press("m")
                await pilot.pause()
        if size == WIDE:
            await cards_at_rest(app)
        await pilot.pause(0.1)

    try:
        assert snap_compare(app, run_before=before, terminal_size=size)
    finally:
        workspace.close()
