"""The conflicts pane over real conflicts: what it shows, what each key does, and what stands afterwards."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conflict_data import HARBOUR, OLD, PLAN, TIDES, fill_conflicts, hunks, name_pier, put_conflict
from driving import running, type_text, until
from fake_workspace import FakeWorkspace
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static, TextArea

from core.agentfs.items import ItemWrite
from core.conflicts.merging.decisions import Choice
from core.conflicts.records import ConflictStatus
from core.events import ConflictsChanged
from core.model import Kind, Sensitivity
from tui.app import BailiwickApp
from tui.panes.conflicts import ConflictsPane
from tui.panes.conflicts_reading import Section
from tui.screens.confirm import ConfirmScreen
from tui.screens.edit_place import EditTextScreen, EditValueScreen
from tui.screens.rule_many import RuleManyScreen
from tui.widgets.arbitration_view import Layout
from tui.widgets.cards import Card
from tui.widgets.conflict_list import Sort
from tui.widgets.conflict_words import Column, glyph

NARROW, MEDIUM, WIDE = (70, 24), (80, 24), (160, 48)


class Ruling:
    """A running dashboard at the conflicts pane."""

    def __init__(self, workspace: FakeWorkspace, ids: dict[str, str], app: BailiwickApp, pilot: Pilot[None]) -> None:
        self.workspace, self.ids, self.app, self.pilot = workspace, ids, app, pilot
        self.pane = app.query_one(ConflictsPane)

    @property
    def marks(self) -> str:
        """What is chosen at each place, a mark each."""
        arbitration = self.pane.desk.arbitration
        assert arbitration is not None
        return "".join(glyph(arbitration.decisions[number]).mark for number in self.pane.view.sides.places)

    @property
    def place(self) -> int:
        """At which place one stands, counted from one."""
        place = self.pane.desk.place
        assert place is not None
        return self.pane.view.sides.places.index(place) + 1

    @property
    def listed(self) -> list[str]:
        return [row.path for row in self.pane.rows.rows]

    @property
    def seen(self) -> str:
        """The pane's own lines on the screen."""
        return "\n".join(
            "".join(segment.text for segment in line).rstrip() for line in self.app.screen._compositor.render_strips()
        )

    def text(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Static).content)

    def content(self, path: str) -> str | None:
        item = self.workspace.agentfs.items.at_path(path)
        return self.workspace.agentfs.items.content(item).decode() if item is not None else None

    def status(self, path: str) -> ConflictStatus:
        return self.workspace.conflicts.record(self.ids[path]).status

    def said(self, words: str) -> bool:
        return any(words in each.message for each in self.app._notifications)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def open(self, path: str) -> None:
        self.pane.rows.go_to(self.ids[path])
        await self.press("enter")
        desk = self.pane.desk
        await until(lambda: desk.arbitration is not None and desk.arbitration.path == path, f"the conflict of {path}")
        await self.pilot.pause()

    async def left(self) -> None:
        await until(lambda: not self.pane.is_ruling, "the list")
        await self.pilot.pause()

    async def dialog(self, kind: type[Screen[object]]) -> None:
        await until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, kind.__name__)
        await self.pilot.pause()

    async def closed(self) -> None:
        await until(lambda: len(self.app.screen_stack) == 1, "the dialog to close")
        await self.pilot.pause()


@asynccontextmanager
async def ruling(
    size: tuple[int, int] = MEDIUM, *, many: int = 0, workspace: FakeWorkspace | None = None
) -> AsyncIterator[Ruling]:
    """With a conflict of each kind, or with ``many`` of ten hunks."""
    workspace = workspace or FakeWorkspace()
    at = datetime.now(UTC)
    if many:
        name_pier(workspace.agentfs)
        paths = [f"notes/{number:03}.md" for number in range(many)]
        ids = {path: put_conflict(workspace.agentfs, path, *hunks(10), at=at) for path in paths}
    else:
        ids = fill_conflicts(workspace.agentfs, at)
    async with running(workspace, size=size) as (app, pilot):
        await pilot.press("escape", "escape", "5")
        found = Ruling(workspace, ids, app, pilot)
        await until(lambda: found.pane.listing is not None and bool(found.pane.rows.rows), "the list")
        await pilot.pause()
        yield found


async def test_the_list_says_what_waits_for_whom_and_what_is_settled_by_whom_and_why() -> None:
    async with ruling() as rule:
        assert rule.listed == [PLAN, HARBOUR, OLD]
        assert rule.pane.badge() == "3"
        assert "● notes/plan.json" in rule.seen
        assert "3/7 open" in rule.seen
        assert "scout / mara" in rule.seen
        assert "kept for you: critical data" in rule.text("#conflicts-foot")
        await rule.press("1")
        card = rule.app.query_one("#card-conflicts", Card) if rule.app.query("#card-conflicts") else None
        assert card is None
        assert "3 conflicts open" in str(rule.pane.card())
        assert PLAN in str(rule.pane.card())
        await rule.press("5", "o")
        assert rule.pane.sort is Sort.OLDEST
        assert rule.listed == [HARBOUR, PLAN, OLD]
        await rule.press("slash")
        await type_text(rule.pilot, "critical")
        await rule.pilot.pause()
        assert rule.listed == [PLAN]
        await rule.press("escape", "v")
        assert rule.listed == [TIDES]
        foot = rule.text("#conflicts-foot")
        assert "by responsibilities (mara)" in foot
        assert "took remote\nnotes/** is mara's" in foot
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the settled conflict")
        await rule.pilot.pause()
        assert "what holds by the ruling" in rule.text("#arbitration-result-head")
        assert not rule.pane.check_action("choose", ("local",))
        await rule.press("backspace")
        await until(lambda: TIDES in rule.listed, "the conflict to be open again")
        assert rule.status(TIDES) is ConflictStatus.OPEN
        assert rule.pane.section is Section.OPEN


async def test_ten_hunks_take_twelve_keys_and_one_takes_the_ruling_back() -> None:
    async with ruling(many=1) as rule:
        (path,) = rule.ids
        before = rule.content(path)
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the conflict")
        await rule.press(*("<" if number % 3 else ">" for number in range(10)))
        assert rule.marks == "RLLRLLRLLR"
        assert "6 local, 4 remote  ✓ all decided, ^s applies" in rule.text("#arbitration-result-head")
        await rule.press("ctrl+s")
        await rule.left()
        assert rule.said("6 local, 4 remote. u takes it back.")
        after = rule.content(path)
        assert after is not None
        assert after.count("taken by a trawler") == 6
        assert after.count("closed") == 4
        assert rule.status(path) is ConflictStatus.RESOLVED
        await until(lambda: rule.pane.listing is not None and not rule.pane.listing.open, "the list to follow")
        await rule.press("u")
        await until(lambda: rule.listed == [path], "the conflict to be open again")
        assert rule.content(path) == before
        await rule.open(path)
        assert rule.marks == "RLLRLLRLLR"


async def test_every_choice_can_be_made_taken_back_and_done_again() -> None:
    async with ruling() as rule:
        await rule.open(HARBOUR)
        assert rule.marks == "●●●~●"
        await rule.press("plus")
        assert (rule.marks, rule.place) == ("±●●~●", 1)
        assert rule.pane.desk.decision is not None
        assert rule.pane.desk.decision.choice is Choice.BOTH_LOCAL_FIRST
        await rule.press("plus")
        assert rule.pane.desk.decision.choice is Choice.BOTH_REMOTE_FIRST
        await rule.press("n", "equals_sign")
        assert (rule.marks, rule.place) == ("±B●~●", 3)
        await rule.press("P", "P", "backspace")
        assert (rule.marks, rule.place) == ("●B●~●", 1)
        await rule.press("u", "u", "u")
        assert rule.marks == "±●●~●"
        await rule.press("u", "ctrl+r", "ctrl+r", "ctrl+r", "p")
        assert (rule.marks, rule.place) == ("±B●~●", 5)
        await rule.press("N")
        assert rule.place == 1
        await rule.press("A", "right")
        assert (rule.marks, rule.place) == ("RB●~●", 1)
        await rule.press("ctrl+s")
        assert rule.said("Not yet: 2 places are open still.")
        assert rule.place in (3, 5)
        await rule.press("L")
        await rule.dialog(ConfirmScreen)
        await rule.press("escape")
        await rule.closed()
        assert rule.marks == "RB●~●"
        await rule.press("L")
        await rule.dialog(ConfirmScreen)
        await rule.press("y")
        await rule.closed()
        assert rule.marks == "RBL~L"
        await rule.press("u")
        assert rule.marks == "RB●~●"


async def test_what_was_chosen_is_kept_when_one_leaves_and_over_a_restart() -> None:
    workspace = FakeWorkspace()
    close, workspace.close = workspace.close, lambda: None  # type: ignore[method-assign]
    try:
        async with ruling(workspace=workspace) as rule:
            await rule.open(HARBOUR)
            await rule.press("<", ">", "escape")
            await rule.left()
            await until(lambda: rule.pane.rows.at_cursor is not None and rule.pane.rows.at_cursor.path == HARBOUR, "it")
            await rule.open(HARBOUR)
            assert rule.marks == "LR●~●"
            await rule.press("<")
            await rule.press("ctrl+q")
        drafted = workspace.conflicts.open(rule.ids[HARBOUR])
        assert [glyph(each).mark for each in drafted.decisions].count("L") == 2
        async with running(workspace) as (app, pilot):
            await pilot.press("escape", "escape", "5")
            again = Ruling(workspace, rule.ids, app, pilot)
            await until(lambda: bool(again.pane.rows.rows), "the list")
            await again.open(HARBOUR)
            assert again.marks == "LRL~●"
            assert again.place == 5
    finally:
        close()


async def test_json_is_ruled_on_by_place_and_only_what_is_valid_is_taken() -> None:
    async with ruling() as rule:
        await rule.open(PLAN)
        assert rule.marks == "●~~●~●~"
        assert "base has a number, local a number, remote a text" in rule.seen
        await rule.press("e")
        await rule.dialog(EditValueScreen)
        field = rule.app.screen.query_one(Input)
        assert field.value == "1500"
        field.value = "{no"
        await rule.press("enter")
        assert isinstance(rule.app.screen, EditValueScreen)
        assert "column 2: this is not JSON" in rule.text("#edit-answer")
        await rule.press("ctrl+o")
        assert field.value == '"1400 after tax"'
        field.value = "1450"
        await rule.press("enter")
        await rule.closed()
        assert (rule.marks, rule.place) == ("✎~~●~●~", 4)
        await rule.press("<")
        assert rule.pane.view.sides.place == rule.pane.desk.place
        assert "local deleted this; remote changed 1 field" in rule.seen
        assert "tasks[id=43]" in rule.seen
        await rule.press("greater_than_sign", "ctrl+s")
        await rule.left()
        plan = json.loads(rule.content(PLAN) or "")
        assert plan["budget"] == 1450
        assert [each["status"] for each in plan["tasks"]] == ["done", "blocked", "done"]
        assert plan["tasks"][2]["what"] == "count the buoys again"


async def test_a_hunk_is_written_in_place_and_the_whole_in_the_persons_editor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "editor"
    script.write_text('#!/bin/sh\nfile="$2"\nsed -i "s/Fires are not allowed/Fires are allowed/; /^Nets/d" "$file"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VISUAL", str(script))
    async with ruling() as rule:
        await rule.open(HARBOUR)
        await rule.press("e")
        await rule.dialog(EditTextScreen)
        rule.app.screen.query_one(TextArea).load_text("The harbour opens at dawn.")
        await rule.press("ctrl+s")
        await rule.closed()
        assert rule.marks == "✎●●~●"
        await rule.press("E")
        assert rule.said("This terminal cannot be given to an editor.")

        @contextlib.contextmanager
        def given_up() -> Iterator[None]:
            yield

        monkeypatch.setattr(rule.app, "suspend", given_up)
        await rule.press("E")
        arbitration = rule.pane.desk.arbitration
        assert arbitration is not None
        text = "\n".join(arbitration.pieces)
        assert "The harbour opens at dawn." in text
        assert "Fires are allowed" in text
        assert "Nets" not in text
        assert len(arbitration.open) == 3
        await rule.press("u")
        assert rule.pane.desk.arbitration is not None
        assert "Nets" in "\n".join(rule.pane.desk.arbitration.pieces)


async def test_a_side_that_moves_meanwhile_opens_only_its_own_place_again() -> None:
    async with ruling(many=1) as rule:
        (path,) = rule.ids
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the conflict")
        await rule.press(*[">"] * 10)
        changed = (rule.content(path) or "").replace("Berth 3 is closed", "Berth 3 is full")
        agentfs = rule.workspace.agentfs
        with agentfs.database.transaction() as connection:
            write = ItemWrite(path, Kind.RESEARCH_FINDING, "ada", changed.encode())
            agentfs.items.put(connection, write, by=rule.workspace.person, action="item.put")
        await rule.press("ctrl+s")
        await until(lambda: rule.said("Changed under you: 1 place is open now."), "the notice")
        await rule.pilot.pause()
        assert rule.marks == "RRR●RRRRRR"
        assert rule.place == 4
        assert "A side moved since you chose" in rule.text("#arbitration-note")
        assert rule.content(path) == changed
        await rule.press(">", "ctrl+s")
        await rule.left()
        assert rule.content(path) == changed


async def test_a_conflict_that_is_settled_elsewhere_leaves_the_desk() -> None:
    async with ruling(many=1) as rule:
        (path,) = rule.ids
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the conflict")
        conflicts, person = rule.workspace.conflicts, rule.workspace.person
        conflicts.apply(conflicts.open(rule.ids[path]).choose_open(Choice.LOCAL), by=person)
        rule.workspace.bus.publish(ConflictsChanged())
        await rule.left()
        assert rule.said("was settled meanwhile")


async def test_each_width_shows_what_fits_and_the_place_stays() -> None:
    async with ruling(NARROW) as rule:
        await rule.open(HARBOUR)
        view = rule.pane.view
        await rule.press("n", "<")
        assert (view.room, view.tab) == (Layout.NARROW, Column.LOCAL)
        assert rule.place == 3
        for tab in (Column.BASE, Column.REMOTE, Column.RESULT, Column.LOCAL):
            await rule.press("tab")
            await rule.pilot.pause()
            assert view.tab is tab
            assert view.result.display is (tab is Column.RESULT)
            assert view.sides.place == view.result.place == rule.pane.desk.place
            assert "Crane" in rule.seen
        await rule.press("shift+tab", "tab", ">")
        assert rule.marks == "●LR~●"
        await rule.pilot.resize_terminal(*MEDIUM)
        await until(lambda: view.sides.columns == (Column.LOCAL, Column.REMOTE), "two sides")
        for columns in ((Column.BASE, Column.REMOTE), (Column.LOCAL, Column.BASE), (Column.LOCAL, Column.REMOTE)):
            await rule.press("b")
            assert view.sides.columns == columns
        await rule.pilot.resize_terminal(*WIDE)
        await until(lambda: len(view.sides.columns) == 3, "three sides")
        await rule.pilot.pause()
        assert rule.pane.rows.is_on_screen
        assert not rule.app.query_one("#cards").display
        assert "this device · scout" in rule.seen
        assert "pier · mara" in rule.seen
        await rule.press("escape")
        await rule.left()
        assert rule.app.query_one("#cards").display
        assert "3 conflicts open" not in str(rule.pane.note())


async def test_a_click_takes_the_side_under_the_pointer_and_unfolds_what_is_equal() -> None:
    async with ruling(WIDE) as rule:
        await rule.open(HARBOUR)
        sides = rule.pane.view.sides
        begin, _ = sides._made.places[sides.places[1]]
        width = sides.row_width // 3
        await rule.pilot.click(sides, offset=(2 * width + 5, begin + 1 - sides.top))
        assert rule.marks == "●R●~●"
        begin, _ = sides._made.places[sides.places[0]]
        await rule.pilot.click(sides, offset=(5, begin + 1 - sides.top))
        assert rule.marks == "LR●~●"
        fold = next(index for index, row in enumerate(sides._made.rows) if "equal lines" in row.text)
        count = sides.count
        await rule.pilot.click(sides, offset=(5, fold - sides.top))
        assert sides.count > count
        await rule.press("f")
        assert "┄┄" not in rule.seen


async def test_several_are_ruled_on_after_seeing_what_each_becomes() -> None:
    async with ruling(many=3) as rule:
        paths = [*rule.ids]
        await rule.press("m", "m")
        assert "2 marked" in rule.text("#conflicts-head")
        await rule.press("r")
        await rule.dialog(RuleManyScreen)
        await until(lambda: "2 conflicts settled" in rule.text("#rule-sum"), "the preview")
        assert "20 changes of remote not taken" in rule.text("#rule-sum")
        each = rule.text("#rule-each")
        assert "Berth 0 is" in each
        assert paths[1] in each
        assert paths[2] not in each
        await rule.press("greater_than_sign")
        await until(lambda: "of local not taken" in rule.text("#rule-sum"), "the other preview")
        assert "stays as it is now" in rule.text("#rule-each")
        await rule.press("less_than_sign")
        await until(lambda: "of remote not taken" in rule.text("#rule-sum"), "the first preview")
        assert (rule.content(paths[0]) or "").count("closed") == 10
        await rule.press("enter")
        await rule.closed()
        await until(lambda: rule.listed == [paths[2]], "the list to follow")
        assert [(rule.content(path) or "").count("trawler") for path in paths] == [10, 10, 0]
        assert rule.said("2 conflicts ruled on.")
        await rule.press("u")
        await until(lambda: len(rule.listed) == 2, "the last ruling to be taken back")


async def test_what_is_sealed_leaves_the_screen_with_the_keys() -> None:
    workspace = FakeWorkspace()
    put_conflict(workspace.agentfs, "notes/code", *hunks(2), at=datetime.now(UTC), found=Sensitivity.SECRET)
    async with running(workspace) as (app, pilot):
        await pilot.press("escape", "escape", "5")
        rule = Ruling(workspace, {}, app, pilot)
        await until(lambda: bool(rule.pane.rows.rows), "the list")
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the conflict")
        await rule.press("<")
        await until(lambda: "Berth" in rule.seen, "its text")
        saved = workspace.conflicts
        await until(lambda: saved.all()[0].has_draft, "the draft")
        await rule.press("ctrl+l")
        await rule.left()
        assert "Berth" not in rule.seen
        assert rule.pane.view.sides.count == rule.pane.view.result.count == 0
        await rule.press("enter")
        await until(lambda: rule.said("^l"), "the way to unlock")
        assert not rule.pane.is_ruling
        await rule.press("ctrl+l")
        await until(lambda: not workspace.agentfs.keys.keys.is_locked, "the keys")
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the conflict")
        await rule.pilot.pause()
        assert rule.marks == "L●"


async def test_only_what_is_in_sight_is_drawn_of_much() -> None:
    workspace = FakeWorkspace()
    name_pier(workspace.agentfs)
    put_conflict(workspace.agentfs, "notes/long.md", *hunks(50, gap=24), at=datetime.now(UTC))
    async with running(workspace, size=WIDE) as (app, pilot):
        await pilot.press("escape", "escape", "5")
        rule = Ruling(workspace, {}, app, pilot)
        await until(lambda: bool(rule.pane.rows.rows), "the list")
        await rule.press("enter")
        await until(lambda: rule.pane.is_ruling, "the conflict")
        await rule.press("f")
        sides, result = rule.pane.view.sides, rule.pane.view.result
        assert sides.count > 1200
        assert result.count == 1250
        drawn: list[int] = []
        draw = sides.draw
        sides.draw = lambda index: drawn.append(index) or draw(index)  # type: ignore[method-assign, func-returns-value]
        await rule.press("<", ">", "<")
        assert rule.marks.startswith("LRL●")
        assert len(drawn) <= 4 * sides.view_height


async def test_without_any_conflict_it_says_what_would_come_here() -> None:
    async with running(FakeWorkspace()) as (app, pilot):
        await pilot.press("escape", "escape", "5")
        pane = app.query_one(ConflictsPane)
        await until(lambda: pane.listing is not None, "the list")
        await pilot.pause()
        assert "Nothing was changed in two ways" in str(app.query_one("#conflicts-empty", Static).content)
        assert pane.badge() == ""
