"""The shell: panes, keys, dialogs, work, sizes, themes, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import make_app, running, settled, type_text, until
from fake_workspace import FakeWorkspace
from textual.geometry import Spacing
from textual.widgets import Input

from core.errors import WorkspaceUnusable
from core.events import Notice, Progress, Stage
from tui.actions import ACTIONS, KEYMAP_FILE, read_keymap
from tui.app import BailiwickApp
from tui.panes import PANES
from tui.screens.add import AddScreen
from tui.screens.help import HelpScreen
from tui.screens.too_small import TooSmallScreen
from tui.widgets.cards import CardColumn
from tui.widgets.radio import SignedRadioButton

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("entry", PANES, ids=lambda entry: entry.id)
async def test_digits_choose_panes(entry: object) -> None:
    async with running(FakeWorkspace()) as (app, pilot):
        await pilot.press("escape", "escape", str(getattr(entry, "number")))  # noqa: B009 - parametrised
        await pilot.pause()
        assert app.host.active_id == getattr(entry, "id")  # noqa: B009
        shown = [pane.PANE_ID for pane in app.host.mounted if pane.display]
        assert shown == [app.host.active_id]


async def test_hidden_panes_do_no_work() -> None:
    workspace = FakeWorkspace()
    async with running(workspace, size=(80, 24)) as (_, pilot):
        assert workspace.hardware.sampler.callbacks == []
        await pilot.press("escape", "escape", "6")
        await until(lambda: len(workspace.hardware.sampler.callbacks) == 1, "the sampler")
        await pilot.press("1")
        await until(lambda: workspace.hardware.sampler.callbacks == [], "the sampler to be left alone")


async def test_cards_stand_beside_the_pane_on_a_wide_screen_only() -> None:
    async with running(FakeWorkspace(), size=(160, 48)) as (app, pilot):
        cards = app.query_one(CardColumn)
        assert cards.display
        assert [card.border_title for card in cards.children if card.display] == [
            f"{entry.number} {entry.title}" for entry in PANES if entry.id != "search"
        ]
        await pilot.press("escape", "escape", "z")
        await pilot.pause()
        assert not cards.display
        await pilot.press("z")
        await pilot.pause()
        assert cards.display
        await pilot.resize_terminal(80, 24)
        await until(lambda: not cards.display, "the cards to make room")


async def test_every_tab_can_be_read_and_clicked_down_to_the_smallest_screen() -> None:
    async with running(FakeWorkspace(), size=(60, 16)) as (app, pilot):
        for entry in PANES:
            line = str(app.tabs.render())
            assert len(line) <= 60
            assert all(f"{each.number} {each.title[0]}" in line for each in PANES)
            await pilot.click(app.tabs, offset=(line.index(f"{entry.number} {entry.title[0]}"), 0))
            await until(lambda entry=entry: app.host.active_id == entry.id, entry.id)  # type: ignore[misc]
            assert f"{entry.number} {entry.title}" in str(app.tabs.render())


async def test_a_toast_does_not_lie_over_the_end_of_a_log() -> None:
    app = make_app(FakeWorkspace(), start="audit")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(app, pilot)
        for size in ((80, 24), (160, 48)):
            await pilot.resize_terminal(*size)
            app.notify("said", timeout=60)
            await until(lambda: any(each.region.area for each in app.screen.query("Toast")), "the toast")
            await pilot.pause()
            toast, log = app.screen.query("Toast").last().region, app.query_one("#audit-log").region
            assert not toast.overlaps(log.shrink(Spacing(top=log.height - 5)))
    app.close_workspace()


async def test_a_terminal_too_small_says_so_and_still_quits() -> None:
    async with running(FakeWorkspace()) as (app, pilot):
        await pilot.resize_terminal(50, 10)
        await until(lambda: isinstance(app.screen, TooSmallScreen), "the warning")
        await pilot.resize_terminal(80, 24)
        await until(lambda: not isinstance(app.screen, TooSmallScreen), "the dashboard")
        await pilot.resize_terminal(50, 10)
        await until(lambda: isinstance(app.screen, TooSmallScreen), "the warning")
        await pilot.press("q")
        await until(lambda: app.return_code is not None, "the end")


@pytest.mark.parametrize("covering", ["help", "too small"])
async def test_keys_stay_keys_after_something_covered_the_welcome(covering: str) -> None:
    async with running(FakeWorkspace(empty=True)) as (app, pilot):
        assert app.screen.focused is None
        if covering == "help":
            await pilot.press("question_mark")
            await until(lambda: isinstance(app.screen, HelpScreen), "the help")
            await pilot.press("escape")
        else:
            await pilot.resize_terminal(50, 10)
            await until(lambda: isinstance(app.screen, TooSmallScreen), "the warning")
            await pilot.resize_terminal(80, 24)
        await until(lambda: len(app.screen_stack) == 1, "the dashboard")
        await pilot.pause()
        assert app.screen.focused is None
        await pilot.press("1")
        await until(lambda: app.host.active_id == "agents", "the agents")


async def test_help_lists_what_works_now_and_runs_it() -> None:
    async with running(FakeWorkspace()) as (app, pilot):
        await pilot.press("escape", "escape", "question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen), "the help")
        await type_text(pilot, "hardware")
        await pilot.press("enter")
        await until(lambda: app.host.active_id == "hardware", "the chosen pane")


async def test_the_add_dialog_adds_reports_and_completes() -> None:
    workspace = FakeWorkspace(empty=True)
    async with running(workspace) as (app, pilot):
        await pilot.press("a")
        await until(lambda: isinstance(app.screen, AddScreen), "the dialog")
        await type_text(pilot, "/missing")
        await pilot.press("enter")
        await until(lambda: "nothing at" in _text(app, "#add-answer"), "the refusal")
        assert workspace.added == []
        chosen, other = app.screen.query(SignedRadioButton)
        assert ("●" in str(chosen.render()), "○" in str(other.render())) == (chosen.value, not other.value)
        app.screen.query_one("#add-target", Input).value = "package textual"
        await pilot.press("enter")
        await until(lambda: [each.name for each in workspace.added] == ["textual"], "the source")


async def test_running_work_is_shown_with_its_key_and_can_be_cancelled_and_continued() -> None:
    workspace = FakeWorkspace()
    async with running(workspace) as (app, pilot):
        workspace.bus.publish(Progress(Stage.EMBEDDING, "passages", 1203, 5410, 51.0))
        await until(lambda: app.work_strip.is_running, "the strip")
        line = str(app.work_strip.render())
        assert "1,203/5,410 passages" in line
        assert "51/s" in line
        assert "1 min 22 s left" in line
        await pilot.press("escape", "escape", "x")
        await until(lambda: "cancel" in workspace.calls, "the cancel")
        workspace.bus.publish(Progress(Stage.EMBEDDING, "passages", 1300, 5410, 0.0, finished=True, cancelled=True))
        await until(lambda: "stopped" in str(app.work_strip.render()), "the stop")
        await pilot.press("x")
        await until(lambda: "resume" in workspace.calls, "the resume")
        workspace.bus.publish(Progress(Stage.EMBEDDING, "passages", 5410, 5410, 0.0, finished=True))
        await until(lambda: "is read and embedded" in str(app.work_strip.render()), "the rest")


async def test_a_notice_of_the_core_becomes_a_toast() -> None:
    workspace = FakeWorkspace()
    async with running(workspace) as (app, _):
        workspace.bus.publish(Notice("The [index] is being rebuilt.", "warning"))
        await until(
            lambda: any("[index]" in each.message for each in app._notifications),
            "the toast",
        )


async def test_a_dialog_is_not_covered_by_what_was_said_before() -> None:
    async with running(FakeWorkspace()) as (app, pilot):
        app.notify("said before", timeout=60)
        await pilot.press("escape", "escape", "question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen), "the help")
        await until(lambda: not app._notifications, "the toast to go")


async def test_t_switches_between_light_and_dark_and_is_remembered() -> None:
    workspace = FakeWorkspace()
    async with running(workspace) as (app, pilot):
        assert app.current_theme.dark
        await pilot.press("escape", "escape", "t")
        await until(lambda: not app.current_theme.dark, "the light theme")
        await until(lambda: "bailiwick-light" in str(workspace.settings.values), "the memory")


async def test_a_workspace_that_cannot_be_opened_ends_with_its_sentence() -> None:
    def refuse() -> FakeWorkspace:
        raise WorkspaceUnusable("The workspace /x cannot be written.", "Make it writable.")

    app = BailiwickApp(refuse, config_folder=Path("/nonexistent"))
    async with app.run_test():
        await until(lambda: app.return_code is not None, "the end")
    assert app.return_code == 2


async def test_closing_closes_the_workspace() -> None:
    workspace = FakeWorkspace()
    async with running(workspace):
        pass
    assert workspace.closed


async def test_bad_keymap_entries_become_one_toast(tmp_path: Path) -> None:
    (tmp_path / KEYMAP_FILE).write_text('view.zoom: "y"\nno.such: "k"\nwork.add: "q"\n')
    workspace = FakeWorkspace()
    app = BailiwickApp(lambda: workspace, config_folder=tmp_path)
    async with app.run_test(size=(160, 48)) as pilot:
        await settled(app, pilot)
        complaints = [each.message for each in app._notifications if KEYMAP_FILE in each.message]
        assert len(complaints) == 1
        assert "no.such" in complaints[0]
        await pilot.press("escape", "escape", "y")
        await pilot.pause()
        assert not app.query_one(CardColumn).display
    app.close_workspace()


async def test_a_bad_theme_file_becomes_a_toast_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "themes").mkdir()
    (tmp_path / "themes" / "broken.yml").write_text("name: broken\ncolors:\n  primary: notacolor\n")
    workspace = FakeWorkspace()
    app = BailiwickApp(lambda: workspace, config_folder=tmp_path)
    async with app.run_test() as pilot:
        await settled(app, pilot)
        assert any("broken.yml" in each.message for each in app._notifications)
    app.close_workspace()


def test_the_keymap_defaults_name_every_action() -> None:
    text = (REPOSITORY / "config" / "keymap.yml").read_text()
    for spec in ACTIONS:
        assert f"{spec.id}:" in text, spec.id
    assert read_keymap(REPOSITORY / "config" / "keymap.yml").problems == ()


def test_no_two_actions_that_work_together_share_a_key() -> None:
    taken: dict[tuple[str | None, str], str] = {}
    for spec in ACTIONS:
        for key in spec.keys.split(","):
            for scope in {None, spec.pane}:
                assert (scope, key) not in taken or scope is None, (spec.id, key)
            taken[spec.pane, key] = spec.id


def _text(app: BailiwickApp, selector: str) -> str:
    return str(getattr(app.screen.query_one(selector), "content", ""))


def test_make_app_needs_no_configuration() -> None:
    assert make_app(FakeWorkspace()).current_theme is not None
