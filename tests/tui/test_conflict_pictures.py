"""What the conflicts pane looks like: at each width, dark, light, in the terminal's own colours and without any."""

from __future__ import annotations

import pytest
from agent_data import NOW, Clock
from conflict_data import HARBOUR, PLAN, fill_conflicts
from driving import make_app, until
from fake_workspace import FakeWorkspace
from test_snapshots import Compare, cards_at_rest, prepared
from textual.pilot import Pilot
from textual.widgets import Static

from tui.panes.conflicts import ConflictsPane
from tui.screens.rule_many import RuleManyScreen

NARROW, MEDIUM, LARGER, WIDE = (70, 24), (80, 24), (100, 30), (160, 48)
DARK, LIGHT, ANSI, NONE = "bailiwick-dark", "bailiwick-light", "ansi-dark", "none"
CASES = {
    "list-wide": ("", ("m",), LIGHT, WIDE),
    "text-wide": (HARBOUR, ("<", ">", "plus"), DARK, WIDE),
    "text-larger": (HARBOUR, ("<", ">"), LIGHT, LARGER),
    "text": (HARBOUR, ("<", ">"), DARK, MEDIUM),
    "text-no-colour": (HARBOUR, ("<",), NONE, MEDIUM),
    "text-ansi": (HARBOUR, ("<",), ANSI, MEDIUM),
    "text-narrow": (HARBOUR, ("n", "tab", "tab"), LIGHT, NARROW),
    "json": (PLAN, (">", ">"), DARK, MEDIUM),
    "rule": ("", ("M", "r"), LIGHT, MEDIUM),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("universal_time")
def test_conflicts(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path, keys, theme, size = CASES[name]
    clock = Clock()
    clock.moment = NOW
    clock.hold(monkeypatch)
    workspace = FakeWorkspace()
    ids = fill_conflicts(workspace.agentfs)
    if theme == NONE:
        monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(workspace, theme=DARK if theme == NONE else theme)

    async def before(pilot: Pilot[None]) -> None:
        await prepared("escape", "escape", "5")(pilot)
        pane = app.query_one(ConflictsPane)
        await until(lambda: bool(pane.rows.rows), "the list")
        if path:
            pane.rows.go_to(ids[path])
            await pilot.press("enter")
            await until(lambda: pane.is_ruling, "the conflict")
            await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        if isinstance(app.screen, RuleManyScreen):
            told = app.screen.query_one("#rule-sum", Static)
            await until(lambda: "settled" in str(told.content), "the preview")
        if size == WIDE:
            await cards_at_rest(app)
        await pilot.pause(0.2)

    try:
        assert snap_compare(app, run_before=before, terminal_size=size)
    finally:
        workspace.close()
