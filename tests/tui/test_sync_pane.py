"""The sync pane on hand-made values: what it says, what its keys do, and what it keeps to itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from driving import running, type_text, until
from fake_workspace import FakeWorkspace
from sync_data import CODE, URL, FakeSync, busy, planned, queued, synced
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from core.errors import RemoteUnreachable
from core.sync_model import SyncActivity, SyncStatus, SyncStrategy
from tui.app import BailiwickApp
from tui.panes.sync import SyncPane
from tui.panes.sync_reading import Section
from tui.screens import set_remote
from tui.screens.brake import BrakeScreen
from tui.screens.choose_strategy import StrategyScreen
from tui.screens.confirm import ConfirmScreen
from tui.screens.recovery_code import ShownCodeScreen
from tui.screens.set_remote import JoinScreen, SetRemoteScreen
from tui.widgets.cards import Card
from tui.widgets.facts import Facts
from tui.widgets.section_tabs import SectionTabs

WIDE = (160, 48)


class Watch:
    """A running dashboard at the sync pane."""

    def __init__(self, workspace: FakeWorkspace, app: BailiwickApp, pilot: Pilot[None]) -> None:
        self.workspace, self.app, self.pilot = workspace, app, pilot
        self.pane = app.query_one(SyncPane)

    @property
    def sync(self) -> FakeSync:
        return self.workspace.sync

    @property
    def headline(self) -> str:
        return self.text("#sync-headline")

    @property
    def facts(self) -> str:
        return self.pane.query_one(Facts).text

    @property
    def rows(self) -> list[str]:
        return [str(option.prompt) for option in self.pane.rows.options]

    def text(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Static).content)

    def row(self, *words: str) -> str:
        """The row that has all ``words``, and only that one."""
        (found,) = [row for row in self.rows if all(word in row for word in words)]
        return found

    def said(self, words: str) -> bool:
        return any(words in each.message for each in self.app._notifications)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def dialog(self, kind: type[Screen[object]]) -> None:
        await until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, kind.__name__)
        await self.pilot.pause()

    async def closed(self) -> None:
        await until(lambda: len(self.app.screen_stack) == 1, "the dialog to close")
        await self.pilot.pause()

    async def become(self, status: SyncStatus, headline: str) -> None:
        self.sync.become(status)
        await until(lambda: headline in self.headline, headline)


@asynccontextmanager
async def watching(status: SyncStatus | None = None, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Watch]:
    workspace = FakeWorkspace()
    workspace.sync.waits = queued()
    if status is not None:
        workspace.sync.now = status
    async with running(workspace, size=size) as (app, pilot):
        await pilot.press("escape", "escape", "4")
        watch = Watch(workspace, app, pilot)
        await until(lambda: watch.pane.contents.status is not None, "the status")
        await pilot.pause()
        yield watch


def at_present(make: Callable[[datetime], SyncStatus] = synced) -> SyncStatus:
    """A status of this very moment."""
    return make(datetime.now(UTC))


async def test_one_glance_says_whether_everything_is_synced_and_if_not_why() -> None:
    whole = at_present()
    async with watching(whole) as watch:
        assert "✓ Everything is synced." in watch.headline
        assert "Next in" in watch.headline
        waits = replace(whole, areas=(replace(whole.areas[0], waiting=12, waiting_bytes=3_560_000), *whole.areas[1:]))
        await watch.become(waits, "▲ 12 changes wait (3.4 MiB).")
        assert whole.choice is not None
        lazily = replace(waits, choice=replace(whole.choice, strategy=SyncStrategy.ON_DEMAND))
        await watch.become(lazily, "On demand moves nothing by itself: s syncs now")
        await watch.become(
            replace(waits, activity=SyncActivity.OFFLINE), "✗ The remote does not answer: 12 changes wait"
        )
        await watch.become(replace(waits, activity=SyncActivity.PAUSED), "‖ Paused by you")
        stopped = replace(waits, activity=SyncActivity.STOPPED, problem="The budget is used up.", cure="Raise it.")
        await watch.become(stopped, "! The budget is used up.")
        assert "→ Raise it." in watch.headline
        await watch.become(replace(whole, open_conflicts=2), "2 conflicts wait for your ruling: 5")
        cut = replace(whole.devices[2], problem="its audit was truncated")
        await watch.become(replace(whole, devices=(*whole.devices[:2], cut)), "! pier: its audit was truncated")
        assert "Everything is synced" not in watch.headline


async def test_what_moves_is_told_with_amount_rate_and_time_left() -> None:
    async with watching(at_present(busy)) as watch:
        moving = watch.row("↑", "kettle.json")
        assert "━" in moving
        assert all(word in moving for word in ("45%", "1.2 of 2.8 MiB", "303 KiB/s", "5 s left", "u-ada"))
        assert "…" in watch.row("↓", "teapot.json")
        assert "12 wait, 3.4 MiB" in watch.row("u-ada", "commits")
        assert "31 not fetched" in watch.row("shared", "commits")
        assert "mara's card is not known here" in watch.row("team-harbour")
        facts = watch.facts
        assert "chosen by itself" in facts
        assert "Pro on a good network" in facts
        assert "$0.02 of $5.00" in facts
        assert "E excellent" in facts
        assert "GPPPGGG" in facts.replace("✗", "X") or "PPGGG" in facts


async def test_the_line_at_the_bottom_the_tab_and_the_card_tell_it_everywhere() -> None:
    async with watching(at_present(), WIDE) as watch:
        await watch.press("1")
        note = watch.app.pane_note
        await until(lambda: "✓ synced" in str(note.content), "the note")
        card = watch.app.query_one("#card-sync", Card)
        assert "synced" in str(card.content)
        assert "adaptive · network good" in str(card.content)
        watch.sync.become(at_present(busy))
        await until(lambda: "⇅ syncing 45%" in str(note.content), "the note to follow")
        assert "pier: its audit was truncated" in str(card.content)
        await watch.pilot.click(note)
        await until(lambda: watch.app.host.active_id == "sync", "the click to go to the pane")


async def test_sections_by_key_and_mouse_and_two_columns_where_there_is_room() -> None:
    async with watching(at_present(busy)) as watch:
        assert not watch.pane.beside.display
        titles = str(watch.pane.query_one(SectionTabs).render())
        assert "Queue 13" in titles
        await watch.pilot.click("#sync-sections", offset=(titles.index("Queue") + 1, 0))
        await until(lambda: watch.pane.section is Section.QUEUE and bool(watch.pane.contents.queue), "the queue")
        await watch.pilot.pause()
        assert "waits for the keys" in watch.row("notes/harbour.md")
        assert "delete" in watch.row("notes/old.md")
        await watch.press("right_square_bracket")
        assert "its audit was truncated" in watch.row("pier")
        await watch.press("right_square_bracket")
        assert "Give the token the right to list" in watch.row("403 AccessDenied")
        await watch.press("escape")
        assert watch.pane.section is Section.OVERVIEW
        await watch.pilot.resize_terminal(*WIDE)
        await until(lambda: watch.pane.beside.display, "the second column")
        await until(lambda: bool(watch.pane.beside.options), "its rows")
        beside = "\n".join(str(option.prompt) for option in watch.pane.beside.options)
        assert "workshop (here)" in beside
        assert "Last runs" in beside


async def test_pausing_syncing_and_choosing_the_strategy() -> None:
    async with watching(at_present()) as watch:
        await watch.press("p")
        await until(lambda: "Paused" in watch.headline, "the pause")
        assert not watch.pane.check_action("ask", ("sync_now",))
        await watch.press("p")
        await until(lambda: "Everything is synced" in watch.headline, "the end of the pause")
        await watch.press("s")
        await until(lambda: watch.said("3 sent, 1 received."), "what moved")
        await watch.press("m")
        await watch.dialog(StrategyScreen)
        await watch.press("down", "down", "down", "enter")
        await watch.closed()
        await until(lambda: f"choose {SyncStrategy.ON_DEMAND}" in watch.sync.calls, "the choice")
        await watch.press("m")
        await watch.dialog(StrategyScreen)
        await watch.press("escape")
        await watch.closed()
        assert [call for call in watch.sync.calls if call.startswith("choose")] == [f"choose {SyncStrategy.ON_DEMAND}"]


async def test_a_plan_is_read_with_its_price_before_anything_moves() -> None:
    async with watching(at_present()) as watch:
        await watch.press("l")
        await until(lambda: watch.pane.contents.plan is not None and not watch.pane.contents.working, "the plan")
        await watch.pilot.pause()
        assert "2 to send, 1 to fetch, 1 to delete, 1 in conflict" in watch.facts
        assert "5 class A and 4 class B operations, about <$0.0001" in watch.facts
        assert len([row for row in watch.rows if row]) == len(planned().changes)
        assert "changed here and on laptop" in watch.row("conflict")
        assert not any(call.startswith("sync") for call in watch.sync.calls)


async def test_a_brake_asks_and_only_an_answer_moves_on() -> None:
    question = "A sync would delete 812 of 900 items of u-ada. Is that wanted?"
    async with watching(replace(at_present(), activity=SyncActivity.STOPPED, asks=question)) as watch:
        assert question in watch.headline
        for keys, call in ((("escape",), None), (("n",), "answer False"), (("y",), "answer True")):
            watch.sync.now = replace(watch.sync.now, asks=question)
            await watch.become(watch.sync.now, question)
            await watch.press("b")
            await watch.dialog(BrakeScreen)
            await watch.press(*keys)
            await watch.closed()
            if call is None:
                assert not any(each.startswith("answer") for each in watch.sync.calls)
            else:
                await until(lambda call=call: call in watch.sync.calls, call)  # type: ignore[misc]
                await until(lambda: question not in watch.headline, "the question to go")


async def test_verify_shows_how_far_it_is_can_be_stopped_and_names_each_cure() -> None:
    async with watching(at_present()) as watch:
        watch.sync.gate.clear()
        await watch.press("v")
        await until(lambda: "of 100" in watch.facts, "the progress")
        assert "Esc stops" in watch.facts
        assert not watch.pane.check_action("ask", ("repair",))
        await watch.press("escape")
        await until(lambda: watch.said("Stopped"), "the end")
        assert watch.pane.contents.verification is None
        watch.sync.gate.set()
        await watch.press("v")
        await until(lambda: "2 objects are not right" in watch.facts, "the findings")
        assert "`bailiwick repair` sends it again" in watch.row("missing", "3f9c2a")
        await watch.press("r")
        await watch.dialog(ConfirmScreen)
        await watch.press("escape")
        await watch.closed()
        assert "repair" not in watch.sync.calls
        await watch.press("r")
        await watch.dialog(ConfirmScreen)
        await watch.press("y")
        await until(lambda: "1 mended, 1 left." in watch.facts, "the repair")
        assert "Mended" in "\n".join(watch.rows)


async def test_history_and_cost_tell_what_lies_there_and_why_the_strategy_changed() -> None:
    whole = at_present()
    assert whole.choice is not None
    assert whole.spending is not None
    away = replace(whole.choice, strategy=SyncStrategy.ON_DEMAND, reason="Nothing answers.")
    stored = replace(whole.spending, stored_bytes=3 * 2**30, storage_cost=0.048)
    async with watching(replace(whole, choices=(whole.choice, away), spending=stored)) as watch:
        watch.pane.show_section(Section.COST)
        await watch.pilot.pause()
        assert "3.0 GiB stored · $0.05 a month besides" in watch.facts
        assert "on demand" in watch.row("Nothing answers.").lower()


async def test_what_is_known_but_not_here_is_fetched_by_its_row() -> None:
    async with watching(at_present(busy)) as watch:
        watch.pane.show_section(Section.QUEUE)
        await until(lambda: bool(watch.pane.contents.queue), "the queue")
        await watch.pilot.pause()
        assert not watch.pane.check_action("ask", ("fetch",))
        watch.pane.rows.highlighted = watch.rows.index(watch.row("fetch", "teapot"))
        await watch.press("f")
        path = "libraries/python/teapot/v0.9/teapot.json"
        await until(lambda: f"fetch {path}" in watch.sync.calls, "the fetch")
        await watch.press("slash")
        await type_text(watch.pilot, "notes")
        await watch.pilot.pause()
        assert len(watch.rows) == 2
        await watch.press("escape", "escape")


async def test_a_remote_is_set_and_its_code_is_shown_once_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    async with watching() as watch:
        told = watch.text("#sync-empty")
        assert "e sets one" in told
        assert "bailiwick remote set" in told
        assert not watch.app.pane_note.display
        await watch.press("e")
        await watch.dialog(SetRemoteScreen)
        await watch.press("enter")
        assert "Name the folder" in watch.text("#remote-answer")
        watch.sync.refusal = RemoteUnreachable("The bucket does not answer.", "Look at the network.")
        await type_text(watch.pilot, "tmp")
        await watch.press("enter")
        await until(lambda: "The bucket does not answer." in watch.text("#remote-answer"), "the refusal")
        watch.sync.refusal = None
        watch.app.screen.query_one("#remote-url", Input).value = URL
        await watch.press("enter")
        await watch.dialog(ShownCodeScreen)
        assert CODE in watch.text("#recovery-code")
        await watch.press("enter", "y", "q")
        assert CODE in watch.text("#recovery-code")
        await watch.press("escape")
        await watch.closed()
        await until(lambda: "Everything is synced" in watch.headline, "the remote")
        assert CODE not in watch.app.export_screenshot() + caplog.text + watch.app.clipboard
        assert not watch.said(CODE)


async def test_a_remote_is_joined_by_its_code_or_by_the_approval_of_another_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(set_remote, "ASK_SECONDS", 0.05)
    async with watching() as watch:
        await watch.press("j")
        await watch.dialog(JoinScreen)
        fields = {each.id: each for each in watch.app.screen.query(Input)}
        fields["remote-url"].value = URL
        fields["remote-code"].value = fields["remote-passphrase"].value = CODE
        await watch.press("enter")
        assert "not both" in watch.text("#remote-answer")
        fields["remote-passphrase"].value = ""
        assert CODE not in watch.app.export_screenshot()
        await watch.press("enter")
        await watch.closed()
        assert f"join {URL} recovery_code {CODE}" in watch.sync.calls
        await until(lambda: "Everything is synced" in watch.headline, "the remote")
    async with watching() as watch:
        await watch.press("j")
        await watch.dialog(JoinScreen)
        watch.app.screen.query_one("#remote-url", Input).value = URL
        await watch.press("enter")
        await until(lambda: "remote approve 0123-4567-89AB" in watch.text("#remote-code-shown"), "the code")
        await until(lambda: any("approval" in call for call in watch.sync.calls), "the first look")
        watch.sync.approved.set()
        await watch.closed()
        await until(lambda: "Everything is synced" in watch.headline, "the remote")


async def test_a_frozen_pane_counts_what_came_and_what_was_refused_is_said() -> None:
    async with watching(at_present()) as watch:
        await watch.press("space")
        watch.sync.become(at_present(busy))
        await until(lambda: watch.pane.newer > 0, "the count")
        assert "Everything is synced" in watch.headline
        await watch.press("space")
        await until(lambda: "Syncing." in watch.headline, "what came meanwhile")
        watch.sync.refusal = RemoteUnreachable("The remote does not answer.", "Look at the network.")
        await watch.press("l")
        await until(lambda: watch.said("The remote does not answer. Look at the network."), "the refusal")
        assert watch.pane.check_action("ask", ("plan",))
