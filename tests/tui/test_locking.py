"""Locking and unlocking in the dashboard: what is sealed leaves the screen at once, and comes back by the right key."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from driving import answered, running, type_text, until
from fake_workspace import FakeWorkspace, private_to
from privacy_data import CANARY, protect
from textual.pilot import Pilot
from textual.widgets import Input, Static

from core.agentfs.agentfs import AgentFS
from core.crypto.openers import add_passphrase
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots
from core.events import KeysChanged
from tui.app import BailiwickApp
from tui.bridge import coalesce
from tui.panes.messages import MessagesPane
from tui.screens.restore_snapshot import RestoreScreen
from tui.screens.state_history import HistoryScreen
from tui.screens.unlock import UnlockScreen
from tui.widgets.agent_detail import AgentDetail
from tui.widgets.agent_table import AgentTable
from tui.widgets.lock_note import LockNote
from tui.widgets.state_list import StateList

sys.path.append(str(Path(__file__).parents[1] / "crypto"))
from cheap import CHEAP, PASSPHRASE

WIDE = (160, 48)
SECRET = CANARY[:12]
"""As much of it as is never broken over two lines."""
HELD_BACK = "holds a secret"


class Door:
    """A running dashboard on a workspace with secrets."""

    def __init__(self, workspace: FakeWorkspace, app: BailiwickApp, pilot: Pilot[None]) -> None:
        self.workspace, self.app, self.pilot = workspace, app, pilot

    @property
    def is_locked(self) -> bool:
        return bool(self.app.query_one(LockNote).display)

    def shows(self, text: str) -> bool:
        return any(text in strip.text for strip in self.app.screen._compositor.render_strips())

    def hides(self, text: str) -> bool:
        """Whether ``text`` is neither on the screen nor in a screenshot of it."""
        return not self.shows(text) and text not in self.app.export_screenshot().replace("&#160;", " ")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def lock(self) -> None:
        await self.pilot.press("ctrl+l")
        await until(lambda: self.is_locked, "the lock")

    async def locks_at_once(self) -> None:
        """What is sealed leaves the screen though nothing can be read anew: the only worker is busy."""
        free = threading.Event()
        busy = self.workspace.pool.submit(free.wait)
        await until(busy.running, "the worker")
        await self.lock()
        assert self.hides(SECRET)
        free.set()

    async def unlock(self) -> None:
        await self.pilot.press("ctrl+l")
        await until(lambda: not self.is_locked, "the keys")

    async def dialog(self, kind: type) -> None:
        await until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, kind.__name__)
        await self.pilot.pause()

    async def state(self, agent: str, key: str) -> None:
        """Show a state in the agents pane."""
        await self.press("1")
        table, detail = self.app.query_one(AgentTable), self.app.query_one(AgentDetail)
        agent_id = self.workspace.agentfs.agents.get(agent).id
        await until(lambda: table.chosen is not None, "the agents")
        table.rows.go_to(agent_id)
        await until(lambda: detail.agent_id == agent_id and detail.is_complete, "the agent")
        self.app.query_one(StateList).go_to(f"state:{key}")
        await until(lambda: detail.state is not None and detail.state.key == key, "the state")
        await self.pilot.pause()

    def hide_key_files(self) -> Path:
        """Take this machine's key file away; answers where it lies now."""
        folder = self.workspace.agentfs.keys.key_files
        away = folder.with_name("away")
        shutil.move(folder, away)
        return next(away.iterdir())


@asynccontextmanager
async def guarding(
    size: tuple[int, int] = WIDE, agentfs: AgentFS | None = None, start: str = "messages"
) -> AsyncIterator[Door]:
    workspace = FakeWorkspace()
    if agentfs is None:
        protect(workspace.agentfs)
    else:
        workspace._agentfs = agentfs
        agentfs.guard.on_keys_changed = lambda locked: workspace.bus.publish(KeysChanged(locked))
    async with running(workspace, size, start=start) as (app, pilot):
        door = Door(workspace, app, pilot)
        await until(lambda: app.query_one(MessagesPane).log_view.count > 0, "the messages")
        await until(lambda: app.locking.is_possible, "how the keys stand")
        await pilot.pause()
        yield door


async def test_what_is_sealed_leaves_the_screen_at_once_and_comes_back() -> None:
    async with guarding() as door:
        await until(lambda: door.shows(SECRET), "the message")
        await door.locks_at_once()
        assert door.shows("sealed; ^l unlocks")
        assert door.shows("■ locked  ^l unlocks")
        detail = door.app.query_one(MessagesPane).detail
        await until(lambda: detail.facts is not None and detail.facts.message.locked, "the locked message")
        assert not door.shows(SECRET)
        assert door.app.query_one(MessagesPane).copy_text() == ""
        await door.press("enter")
        await door.pilot.pause(0.1)
        assert door.workspace.agentfs.messages.unread("person", user_id="ada") == 1
        await door.state("planner", "tokens")
        assert door.shows("■ private, sealed")
        assert door.shows("sealed; ^l unlocks")
        assert not door.shows(SECRET)
        await door.unlock()
        await until(lambda: door.shows(SECRET), "the value")
        await door.locks_at_once()
        await door.press("3")
        card = door.app.query_one("#card-messages", Static)
        await until(lambda: "sealed; ^l unlocks" in str(card.content), "the card")
        await door.unlock()
        await until(lambda: HELD_BACK in str(card.content), "the card's message")
        assert SECRET not in str(card.content)
        await door.locks_at_once()


async def test_a_dialog_that_shows_versions_locks_with_the_rest() -> None:
    async with guarding(start="agents") as door:
        agentfs = door.workspace.agentfs
        agentfs.snapshots.take("before", by=door.workspace.person)
        agentfs.states.put("planner", "tokens", {"token": "none any more"}, by=door.workspace.person)
        await door.state("planner", "tokens")
        await door.press("h")
        await door.dialog(HistoryScreen)
        await until(lambda: door.shows(SECRET), "the versions")
        await door.locks_at_once()
        await until(lambda: door.shows("sealed; ^l unlocks"), "the note")
        await door.unlock()
        await until(lambda: door.shows(SECRET), "the versions again")
        await door.lock()
        await door.press("escape", "r")
        await door.dialog(RestoreScreen)
        plan = door.app.screen.query_one("#restore-changes", Static)
        await until(lambda: "tokens" in str(plan.content), "the plan")
        await door.press("enter", "y")
        await until(lambda: "Unlock it with ^l." in _text(door.app, "#working-answer"), "the refusal")
        assert not door.shows(SECRET)


async def test_hits_and_the_document_leave_the_screen_and_are_asked_for_again() -> None:
    async with guarding(start="search") as door:
        await type_text(door.pilot, "boil")
        await answered(door.app, "boil")
        await until(lambda: door.shows("The first sentence about"), "the document")
        free = threading.Event()
        await until(door.workspace.pool.submit(free.wait).running, "the worker")
        await door.lock()
        assert not door.shows("The first sentence about")
        assert not door.shows("kettle.Kettle")
        free.set()
        await answered(door.app, "boil")
        await until(lambda: door.shows("The first sentence about"), "the document again")


async def test_the_dialog_stays_until_what_was_typed_is_right() -> None:
    async with guarding((80, 24)) as door:
        keys = door.workspace.agentfs.keys.keys
        add_passphrase(KeySlots(keys.slots.folder, work_factor=CHEAP), keys.identity, Secret(PASSPHRASE))
        key_file = door.hide_key_files()
        await door.lock()
        await door.press("ctrl+l")
        await door.dialog(UnlockScreen)
        field = door.app.screen.query_one("#unlock-typed", Input)
        field.value = "correct horse battering"
        await door.press("enter")
        await until(lambda: "opens no key slot of this workspace" in _text(door.app, "#unlock-answer"), "the refusal")
        assert isinstance(door.app.screen, UnlockScreen)
        assert door.hides("correct")
        await door.press("ctrl+l")
        assert sum(isinstance(screen, UnlockScreen) for screen in door.app.screen_stack) == 1
        field.value = PASSPHRASE
        await door.press("enter")
        await until(lambda: not door.is_locked and len(door.app.screen_stack) == 1, "the keys")
        await until(lambda: door.shows(HELD_BACK), "the line")
        assert door.hides(SECRET)
        await door.press("enter")
        await until(lambda: door.shows(SECRET), "the message")
        await door.press("escape")
        await door.lock()
        await door.press("ctrl+l")
        await door.dialog(UnlockScreen)
        door.app.screen.query_one("#unlock-file", Input).focus().value = str(key_file)
        await door.press("enter")
        await until(lambda: not door.is_locked and len(door.app.screen_stack) == 1, "the keys")


async def test_a_locked_workspace_starts_and_says_how_to_unlock(tmp_path: Path) -> None:
    first = AgentFS(tmp_path / "w", privacy=private_to(tmp_path / "home", "ada"))
    protect(first)
    first.close()
    async with guarding((80, 24), AgentFS(tmp_path / "w", privacy=private_to(tmp_path / "elsewhere", "ada"))) as door:
        assert door.is_locked
        assert door.shows("sealed; ^l unlocks")
        await door.state("planner", "plan/today")
        await door.press("enter")
        assert door.shows('"measure"')
        await door.press("8", "ctrl+l")
        await door.dialog(UnlockScreen)
        assert "Nothing on this machine opens this workspace" in _text(door.app, "#unlock-problem")
        assert not door.app.screen.query("#unlock-typed")


@pytest.mark.parametrize("last", [True, False])
def test_of_several_lockings_the_last_one_counts(last: bool) -> None:
    events: list[object] = []
    for locked in (last, not last, last):
        coalesce(events, KeysChanged(locked))  # type: ignore[arg-type]
    assert events == [KeysChanged(last)]


def _text(app: BailiwickApp, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)
