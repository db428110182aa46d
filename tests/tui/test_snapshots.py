"""What the panes look like, at both sizes, light and dark."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable

import pytest
from agent_data import Clock, fill
from driving import answered, make_app, settled, type_text, until
from fake_workspace import FakeWorkspace
from message_data import hold_ids, talk
from privacy_data import TEAM, protect
from textual.pilot import Pilot
from textual.widgets import Input

from tui.app import BailiwickApp
from tui.panes.audit import AuditPane
from tui.panes.conflicts import ConflictsPane
from tui.panes.messages import MessagesPane
from tui.panes.privacy import PrivacyPane
from tui.screens.help import HelpScreen
from tui.screens.unlock import UnlockScreen
from tui.widgets.agent_detail import AgentDetail
from tui.widgets.cards import Card
from tui.widgets.document_reader import DocumentReader
from tui.widgets.state_list import StateList

SIZES = [(80, 24), (160, 48)]
Compare = Callable[..., bool]


def prepared(*keys: str, typed: str = "") -> Callable[[Pilot[None]], Awaitable[None]]:
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
        card = app.screen_stack[0].query_one_optional("#card-hardware", Card)
        await until(lambda: card is None or not card.is_on_screen or "Ours" in str(card.content), "the first reading")
        conflicts = app.query_one(ConflictsPane)
        await until(lambda: conflicts.listing is not None, "the conflicts")
        await pilot.pause(0.2)

    return before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["bailiwick-dark", "bailiwick-light"])
@pytest.mark.parametrize("name", ["welcome", "hits", "reading", "hardware", "help", "add"])
def test_screen(snap_compare: Compare, name: str, theme: str, size: tuple[int, int]) -> None:
    keys: dict[str, tuple[str, ...]] = {
        "reading": ("enter", "enter"),
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


async def cards_at_rest(app: BailiwickApp) -> None:
    """Wait until the other panes' cards say what they have to say."""
    before: list[str] | None = None
    while (now := [str(card.content) for card in app.query(Card)]) != before:
        before = now
        await asyncio.sleep(0.6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["bailiwick-dark", "bailiwick-light"])
@pytest.mark.parametrize("name", ["no-agents", "agents", "agent-detail"])
@pytest.mark.usefixtures("universal_time")
def test_agents(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, name: str, theme: str, size: tuple[int, int]
) -> None:
    clock = Clock()
    clock.hold(monkeypatch)
    workspace = FakeWorkspace()
    if name != "no-agents":
        fill(workspace.agentfs, clock)
    app = make_app(workspace, theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await prepared("escape", "escape", "1")(pilot)
        detail = app.query_one(AgentDetail)
        await until(lambda: name == "no-agents" or not detail.is_waiting, "the first agent")
        if name == "agent-detail":
            await pilot.press("enter")
            app.query_one(StateList).go_to("state:plan/today")
            await until(lambda: detail.state is not None and detail.state.key == "plan/today", "the value")
        await cards_at_rest(app)
        await pilot.pause()

    try:
        assert snap_compare(app, run_before=before, terminal_size=size)
    finally:
        workspace.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["bailiwick-dark", "bailiwick-light"])
@pytest.mark.parametrize("name", ["messages", "message-detail", "audit"])
@pytest.mark.usefixtures("universal_time")
def test_logs(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, name: str, theme: str, size: tuple[int, int]
) -> None:
    clock = Clock()
    clock.hold(monkeypatch)
    hold_ids(monkeypatch)
    workspace = FakeWorkspace()
    said = talk(workspace.agentfs, clock)
    app = make_app(workspace, theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await prepared("escape", "escape", "7" if name == "audit" else "2")(pilot)
        if name == "audit":
            await pilot.press("v")
            audit = app.query_one(AuditPane)
            await until(lambda: audit.verification.verdict is not None, "the verdict")
        else:
            pane = app.query_one(MessagesPane)
            shown = said["question" if name == "message-detail" else "last"]
            pane.log_view.go_to(shown.sequence - 1)
            facts = pane.detail
            await until(lambda: facts.facts is not None and facts.facts.message.id == shown.id, "the message")
            await pilot.press(*(("enter",) if name == "message-detail" else ()))
        await pilot.pause(0.5)

    try:
        assert snap_compare(app, run_before=before, terminal_size=size)
    finally:
        workspace.close()


@pytest.mark.parametrize(
    ("name", "theme", "size"),
    [
        ("rules", "bailiwick-dark", SIZES[0]),
        ("leaves", "bailiwick-light", SIZES[1]),
        ("unlock", "bailiwick-dark", SIZES[0]),
    ],
)
@pytest.mark.usefixtures("universal_time")
def test_privacy(
    snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, name: str, theme: str, size: tuple[int, int]
) -> None:
    clock = Clock()
    clock.hold(monkeypatch)
    hold_ids(monkeypatch)
    workspace = FakeWorkspace()
    workspace.teams = (TEAM,)
    protect(workspace.agentfs, clock)
    app = make_app(workspace, theme=theme)

    async def before(pilot: Pilot[None]) -> None:
        await prepared("escape", "escape", "8")(pilot)
        contents = app.query_one(PrivacyPane).contents
        await until(lambda: contents.boundaries is not None, "the rules")
        if name == "leaves":
            await pilot.press("right_square_bracket")
            await until(lambda: contents.left is not None, "what would leave")
            await pilot.press("down", "tab")
            await until(lambda: contents.left is not None, "what would leave to the next")
        if name == "unlock":
            await until(lambda: app.locking.is_possible, "the keys")
            shutil.rmtree(workspace.agentfs.keys.key_files)
            await pilot.press("ctrl+l")
            await until(lambda: app.lock_note.display, "the lock")
            await pilot.press("ctrl+l")
            await until(lambda: isinstance(app.screen, UnlockScreen), "the dialog")
            app.screen.query_one(Input).cursor_blink = False
        await cards_at_rest(app)
        await pilot.pause()

    try:
        assert snap_compare(app, run_before=before, terminal_size=size)
    finally:
        workspace.close()
