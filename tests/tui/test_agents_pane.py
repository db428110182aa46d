"""The agents pane over a real AgentFS: the table, the detail, the dialogs, and when it looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_data import NOW, PERSON, Clock, acting, fill
from driving import running, type_text, until
from fake_workspace import FakeWorkspace
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, RadioButton, Static, TextArea

from core.agent_model import Admission, StateOperation
from core.agentfs.agentfs import AgentFS
from core.events import AgentsChanged
from tui.app import BailiwickApp
from tui.panes import agents
from tui.panes.agent_reading import Reading, Wanted, read
from tui.panes.agents import AgentsPane
from tui.screens.confirm import ConfirmScreen
from tui.screens.register_agent import RegisterScreen
from tui.screens.restore_snapshot import RestoreScreen
from tui.screens.retire_agent import RetireScreen
from tui.screens.state_history import HistoryScreen
from tui.screens.take_snapshot import SnapshotScreen
from tui.screens.write import WriteScreen
from tui.widgets.agent_detail import AgentDetail
from tui.widgets.agent_rows import columns_for
from tui.widgets.cards import Card
from tui.widgets.json_view import JsonView
from tui.widgets.keyed_list import KeyedList
from tui.widgets.state_list import StateList

WIDE = (160, 48)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    held = Clock()
    held.hold(monkeypatch)
    return held


@pytest.fixture
def agentfs(tmp_path: Path, clock: Clock) -> Iterator[AgentFS]:
    opened = AgentFS(tmp_path / "workspace")
    yield opened
    opened.close()


@pytest.fixture
def ids(agentfs: AgentFS, clock: Clock) -> dict[str, str]:
    return fill(agentfs, clock)


class Driver:
    """The app on the agents pane."""

    def __init__(self, app: BailiwickApp, pilot: Pilot[None], workspace: FakeWorkspace) -> None:
        self.app, self.pilot, self.workspace = app, pilot, workspace
        self.pane = app.query_one(AgentsPane)
        self.table = app.query_one("#agents-table", KeyedList)
        self.detail = app.query_one(AgentDetail)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def agent(self, agent_id: str) -> None:
        """Put the cursor on an agent and wait for its detail."""
        self.table.go_to(agent_id)
        await until(lambda: self.detail.agent_id == agent_id and self.detail.is_complete, "the detail")

    async def state(self, key: str) -> None:
        self.app.query_one(StateList).go_to(f"state:{key}")
        await until(lambda: self.detail.state is not None and self.detail.state.key == key, "the state")

    async def dialog(self, kind: type[Screen[None]]) -> None:
        await until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, f"{kind.__name__}")
        await self.pilot.pause()

    async def closed(self) -> None:
        await until(lambda: len(self.app.screen_stack) == 1, "the dialog to close")

    def rows(self) -> list[str]:
        return [str(option.prompt) for option in self.table.options]

    def names(self) -> list[str]:
        return [row[10:].split()[0] if not row.startswith("No agent") else row for row in self.rows()]

    def text(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Static).content)

    def toasts(self) -> list[str]:
        return [each.message for each in self.app._notifications]

    def changed(self) -> None:
        self.workspace.bus.publish(AgentsChanged())


@asynccontextmanager
async def pane_on(agentfs: AgentFS, size: tuple[int, int] = WIDE) -> AsyncIterator[Driver]:
    workspace = FakeWorkspace()
    workspace._agentfs = agentfs
    async with running(workspace, size=size, start="agents") as (app, pilot):
        driver = Driver(app, pilot, workspace)
        await until(lambda: driver.pane._listed, "the first look")
        await pilot.pause()
        yield driver


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """What the pane reads from now on."""
    looks: list[Wanted] = []

    def looked(agentfs: AgentFS, wanted: Wanted) -> Reading:
        looks.append(wanted)
        return read(agentfs, wanted)

    monkeypatch.setattr(agents, "read", looked)
    return looks


def shown_json(view: JsonView) -> str:
    return "\n".join(strip.text.rstrip() for strip in view._strips or [])


# Empty, and registering


async def test_an_empty_workspace_names_the_key_and_the_command(agentfs: AgentFS) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        text = driver.text("#agents-begin")
        assert "bailiwick agents register NAME --type research" in text
        assert "n  here" in text
        assert not driver.app.query_one("#agents-body").display
        await driver.press("slash", "m", "d", "h")
        assert len(driver.app.screen_stack) == 1


async def test_registering_says_where_the_key_is_and_lists_the_agent(agentfs: AgentFS) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("n")
        await driver.dialog(RegisterScreen)
        await driver.press("enter")
        assert "Give it a name" in driver.text("#working-answer")
        await type_text(driver.pilot, "everyone")
        await driver.press("enter")
        await until(lambda: "cannot be an agent's name" in driver.text("#working-answer"), "the refusal")
        driver.app.screen.query_one("#register-name", Input).value = "surveyor"
        await driver.press("tab")
        await type_text(driver.pilot, "val")
        await until(lambda: driver.app.screen.query_one("#register-type", Input)._suggestion != "", "the suggestion")
        await driver.press("right", "tab")
        await type_text(driver.pilot, "docs, src")
        await driver.press("tab")
        await type_text(driver.pilot, "pytest")
        await driver.press("enter")
        await until(lambda: "is registered" in driver.text("#registered"), "the answer")
        agent = agentfs.agents.get("surveyor")
        assert (agent.type, agent.responsibilities, agent.tools) == ("validation", ("docs", "src"), ("pytest",))
        path = str(agentfs.agents.key_path(agent.id))
        assert path in driver.text("#registered")
        assert agentfs.agents.read_key(agent.id) not in driver.text("#registered")
        await driver.press("c")
        assert driver.app.clipboard == path
        await driver.press("enter")
        await driver.closed()
        await until(lambda: driver.names() == ["surveyor"], "the agent")
        assert driver.pane.badge() == "1"


async def test_registering_a_known_agent_without_a_type_leaves_its_type(agentfs: AgentFS) -> None:
    agentfs.agents.register("critic", "validation", owner="ada", by=PERSON)
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("n")
        await driver.dialog(RegisterScreen)
        await type_text(driver.pilot, "critic")
        await driver.press("enter")
        await until(lambda: "known again" in driver.text("#registered"), "the answer")
        assert agentfs.agents.get("critic").type == "validation"


# The table


@pytest.mark.usefixtures("ids")
async def test_the_table_says_how_each_agent_stands(agentfs: AgentFS) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        assert driver.names() == ["surveyor", "mason", "assayer", "glazier", "scribe"]
        marks = [row[:10].strip() for row in driver.rows()]
        assert marks == ["◆ busy", "● active", "▲ error", "● active", "◌ waits 1"]
        assert "grep_docs" in driver.rows()[0]
        assert "2 of 41 tests" in driver.rows()[2]
        assert "4 s" in driver.rows()[0]
        assert driver.pane.badge() == "4"


def test_columns_fill_the_width_and_grow_with_it() -> None:
    for width in range(40, 200):
        columns = columns_for(width)
        assert sum(column.width for column in columns) + len(columns) - 1 <= width
    assert [column.name for column in columns_for(40)] == ["status", "name", "last", "tool"]
    assert [column.name for column in columns_for(120)][-3:] == ["unread", "leases", "states"]


async def test_the_cursor_stays_on_its_agent(agentfs: AgentFS, ids: dict[str, str], clock: Clock) -> None:
    async with pane_on(agentfs) as driver:
        await driver.agent(ids["assayer"])
        agentfs.agents.retire("surveyor", by=PERSON, reason="done")
        clock.move(1)
        agentfs.agents.register("warden", "poc", owner="ada", by=PERSON)
        driver.changed()
        await until(lambda: "warden" in driver.names() and "surveyor" not in driver.names(), "the changes")
        assert driver.table.key == ids["assayer"]
        assert driver.detail.agent_id == ids["assayer"]
        agentfs.agents.retire("assayer", by=PERSON)
        driver.changed()
        await until(lambda: driver.table.key == ids["glazier"], "the next one")


@pytest.mark.usefixtures("ids")
async def test_the_filter_narrows_and_escape_peels_it(agentfs: AgentFS) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("slash")
        await type_text(driver.pilot, "poc active")
        assert driver.names() == ["mason", "glazier"]
        assert "2 of 5 match" in driver.text("#agents-facts")
        await driver.press("enter")
        assert driver.app.focused is driver.table
        assert driver.pane._table.is_filtered
        await driver.press("escape")
        assert len(driver.names()) == 5
        assert not driver.pane._table.is_filtered
        await driver.press("slash", "w", "a", "i", "t", "s")
        assert driver.names() == ["scribe"]
        await driver.press("x")
        assert driver.rows() == ["No agent matches."]
        await driver.press("escape")
        assert len(driver.names()) == 5


@pytest.mark.usefixtures("ids")
async def test_a_narrow_screen_shows_one_at_a_time_and_a_wide_one_both(agentfs: AgentFS) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        assert not driver.detail.display
        await driver.press("enter")
        assert driver.detail.display
        assert not driver.table.is_on_screen
        await driver.press("enter")
        assert driver.app.focused is driver.app.query_one("#state-value")
        await driver.press("escape")
        assert driver.app.focused is driver.app.query_one(StateList)
        await driver.press("escape")
        assert not driver.detail.display
        assert driver.app.focused is driver.table
        await driver.pilot.resize_terminal(*WIDE)
        await until(lambda: driver.detail.display and driver.table.is_on_screen, "both")


# The detail


async def test_states_are_a_tree_with_the_chosen_value(agentfs: AgentFS, ids: dict[str, str]) -> None:
    async with pane_on(agentfs) as driver:
        await driver.agent(ids["surveyor"])
        states = driver.app.query_one(StateList)
        labels = [str(option.prompt).split()[:2] for option in states.options]
        assert labels[:2] == [["▾", "decisions/"], ["index", "critical"]]
        await driver.state("plan/today")
        await until(lambda: '"half way"' in shown_json(driver.app.query_one("#state-value", JsonView)), "the value")
        assert "version 2 · 17 min ago · 87 bytes" in driver.text("#state-title")
        await driver.press("enter", "c")
        await until(lambda: '"note": "half way"' in driver.app.clipboard, "the copy")
        agentfs.states.put(ids["surveyor"], "plan/today", ["new"], by=acting(ids["surveyor"]))
        driver.changed()
        await until(lambda: '"new"' in shown_json(driver.app.query_one("#state-value", JsonView)), "the new value")
        assert states.state_key == "plan/today"
        await driver.press("left", "left")
        assert "▸ plan/" in "".join(str(option.prompt) for option in states.options)
        await driver.press("right")
        assert "▾ plan/" in "".join(str(option.prompt) for option in states.options)
        await driver.press("escape", "c")
        await until(lambda: driver.app.clipboard.startswith("surveyor · research · busy · grep_docs"), "the line")


async def test_many_states_show_their_branches_only(agentfs: AgentFS) -> None:
    agent_id = agentfs.agents.register("hoarder", "poc", owner="ada", by=PERSON).agent.id
    for number in range(90):
        agentfs.states.put(agent_id, f"shelf{number % 3}/box/{number}", number, by=acting(agent_id))
    async with pane_on(agentfs) as driver:
        await driver.agent(agent_id)
        states = driver.app.query_one(StateList)
        assert [str(option.prompt).split()[-1] for option in states.options] == ["30", "30", "30"]
        await driver.press("enter", "right", "down", "enter", "down")
        await until(lambda: driver.detail.state is not None, "a value")
        assert driver.detail.state is not None
        assert driver.detail.state.key == "shelf0/box/0"
        assert len(states.options) == 34


async def test_time_alone_ends_leases_and_makes_agents_inactive(
    agentfs: AgentFS, ids: dict[str, str], clock: Clock
) -> None:
    async with pane_on(agentfs) as driver:
        await driver.agent(ids["surveyor"])
        await driver.press("right_square_bracket")
        await until(lambda: "8 min 30 s left of 10 min" in driver.text("#leases"), "the lease")
        assert "rewriting the search pages" in driver.text("#leases")
        clock.move(8 * 60 + 20)
        await until(lambda: "10 s left" in driver.text("#leases"), "the time to run")
        await until(lambda: "○ inactive" in driver.rows()[0], "the silence")
        clock.move(11)
        await until(lambda: "It holds nothing" in driver.text("#leases"), "the end")
        await until(lambda: driver.pane.badge() == "", "the badge")


async def test_sessions_calls_and_what_is_known(agentfs: AgentFS, ids: dict[str, str]) -> None:
    async with pane_on(agentfs) as driver:
        await driver.agent(ids["surveyor"])
        await driver.press("right_square_bracket", "right_square_bracket")
        await until(lambda: "Where search is slow" in driver.text("#sessions"), "the session")
        text = driver.text("#sessions")
        assert "2 calls · 6 states · 0 messages" in text
        assert "◆ runs   grep_docs  for 4 s" in text
        assert "✓ done   fetch  420 ms" in text
        await driver.press("right_square_bracket")
        await until(lambda: "Key file" in driver.text("#about"), "the facts")
        text = driver.text("#about")
        assert str(agentfs.agents.key_path(ids["surveyor"])) in text
        assert agentfs.agents.read_key(ids["surveyor"]) not in text
        assert "docs/**, topic:search" in text
        assert "editor 1.4" in text
        await driver.agent(ids["scribe"])
        await until(lambda: "1 in line" in driver.text("#about"), "the line")
        assert "this machine allows 4 agents at once." in driver.text("#about")
        assert "waits 1 · this machine allows" in driver.text("#agent-head")
        await driver.agent(ids["assayer"])
        await until(lambda: "Last note        2 of 41 tests failed" in driver.text("#about"), "the note")
        await driver.press("left_square_bracket", "left_square_bracket")
        assert driver.detail.section == "leases"


async def test_what_agents_say_cannot_steer_the_screen(agentfs: AgentFS) -> None:
    agent_id = agentfs.agents.register("mole", "poc", {"tools": ["\x1b[2Jrm"]}, owner="ada", by=PERSON).agent.id
    call = agentfs.sessions.begin_call(agent_id, "[bold]dig", by=acting(agent_id))
    agentfs.sessions.finish_call(call, by=acting(agent_id), error="\x1b]0;owned\x07 [red]no")
    async with pane_on(agentfs) as driver:
        await driver.agent(agent_id)
        for _ in range(3):
            await driver.press("right_square_bracket")
        await until(lambda: "Tools" in driver.text("#about"), "the facts")
        await driver.press("left_square_bracket")
        await until(lambda: "[bold]dig" in driver.text("#sessions"), "the call")
        for text in (driver.text("#about"), driver.text("#sessions"), driver.rows()[0], str(driver.pane.card())):
            assert "\x1b" not in text
        assert "[red]no" in driver.text("#sessions")


# History of a state


async def test_the_history_compares_versions_and_brings_one_back(agentfs: AgentFS, ids: dict[str, str]) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("enter")
        await driver.state("plan/today")
        await driver.press("h")
        await driver.dialog(HistoryScreen)
        versions = driver.app.screen.query_one("#versions", KeyedList)
        await until(lambda: len(versions.options) == 2, "the versions")
        await until(lambda: "/steps/0/done" in driver.text("#changes"), "the differences")
        assert driver.text("#compared") == "What version 2 changed"
        lines = driver.text("#changes").splitlines()
        assert [line for line in lines if not line.startswith(" ")] == ["− /by", "~ /steps/0/done", "+ /note"]
        assert "    before false" in lines
        assert '    after  "half way"' in lines
        assert "put" in str(versions.options[0].prompt)
        assert "surveyor" in str(versions.options[0].prompt)
        await driver.press("m", "down")
        await until(lambda: driver.text("#compared") == "From version 1 to version 2", "the marked one")
        await driver.press("m", "m")
        await until(lambda: "+ the whole value" in driver.text("#changes"), "the first version")
        await driver.press("r")
        await driver.dialog(ConfirmScreen)
        await driver.press("y")
        await until(lambda: len(driver.app.screen.query("#versions")) > 0, "the history")
        await until(lambda: "as version 3" in driver.text("#working-answer"), "the answer")
        assert agentfs.states.history(ids["surveyor"], "plan/today")[0].operation is StateOperation.RESTORE
        await until(lambda: len(versions.options) == 3, "the new version")
        assert "restore from version 1" in str(versions.options[0].prompt)
        assert "ada" in str(versions.options[0].prompt)
        await driver.press("escape")
        await driver.closed()
        await until(lambda: driver.detail.state is not None and driver.detail.state.version == 3, "the value")


async def test_a_restore_that_lost_the_race_says_so_in_the_dialog(agentfs: AgentFS, ids: dict[str, str]) -> None:
    async with pane_on(agentfs) as driver:
        await driver.agent(ids["surveyor"])
        await driver.state("plan/today")
        await driver.press("h")
        await driver.dialog(HistoryScreen)
        versions = driver.app.screen.query_one("#versions", KeyedList)
        await until(lambda: len(versions.options) == 2, "the versions")
        agentfs.states.put(ids["surveyor"], "plan/today", "quicker", by=acting(ids["surveyor"]))
        await driver.press("down", "r")
        await driver.dialog(ConfirmScreen)
        await driver.press("y")
        await until(lambda: len(driver.app.screen.query("#versions")) > 0, "the history")
        await until(lambda: "version 3 is current" in driver.text("#working-answer"), "the refusal")
        assert agentfs.states.get(ids["surveyor"], "plan/today").value == "quicker"


# Messages, retiring, snapshots


async def test_a_message_goes_to_the_agent(agentfs: AgentFS, ids: dict[str, str]) -> None:
    async with pane_on(agentfs) as driver:
        await driver.agent(ids["mason"])
        await driver.press("m")
        await driver.dialog(WriteScreen)
        assert driver.app.screen.query_one("#write-to", Input).value == "mason"
        driver.app.screen.query_one("#write-high", RadioButton).value = True
        driver.app.screen.query_one(TextArea).text = "The port is free."
        await driver.press("ctrl+s")
        await driver.closed()
        sent = agentfs.messages.page(1, 100)[-1]
        assert (sent.recipient, sent.content, sent.importance) == ("mason", "The port is free.", "high")
        assert sent.sender == "ada"
        await until(lambda: any("Sent to mason" in each for each in driver.toasts()), "the toast")


async def test_retiring_asks_gives_a_reason_and_can_be_seen_later(agentfs: AgentFS, ids: dict[str, str]) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("d")
        await driver.dialog(RetireScreen)
        await driver.press("escape")
        await driver.closed()
        assert agentfs.agents.get(ids["surveyor"]).admission is Admission.ADMITTED
        await driver.press("d")
        await driver.dialog(RetireScreen)
        await type_text(driver.pilot, "work done")
        await driver.press("enter")
        assert agentfs.agents.get(ids["surveyor"]).admission is Admission.ADMITTED
        await driver.press("enter")
        await driver.closed()
        assert agentfs.agents.get(ids["surveyor"]).note == "work done"
        await until(lambda: "surveyor" not in driver.names(), "it to leave the table")
        await driver.press("v")
        await until(lambda: driver.names()[-1] == "surveyor", "the retired one, last")
        await driver.agent(ids["surveyor"])
        assert "× retired" in driver.rows()[-1]
        assert not driver.pane.check_action("message", ())
        await driver.press("v")
        await until(lambda: "surveyor" not in driver.names(), "it to be hidden")


async def test_a_snapshot_is_taken_compared_and_restored(agentfs: AgentFS, ids: dict[str, str], clock: Clock) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("s")
        await driver.dialog(SnapshotScreen)
        await type_text(driver.pilot, "before it")
        await driver.press("enter")
        await driver.closed()
        assert agentfs.snapshots.all()[0].name == "before it"
        await until(lambda: any("“before it” taken" in each for each in driver.toasts()), "the toast")
        clock.move(5)
        agentfs.states.put(ids["surveyor"], "status", "done", by=PERSON)
        agentfs.states.put(ids["surveyor"], "extra", 1, by=PERSON)
        agentfs.states.delete(ids["mason"], "logs/build", by=PERSON)
        await driver.press("r")
        await driver.dialog(RestoreScreen)
        await until(lambda: "extra" in driver.text("#restore-changes"), "the plan")
        plan = driver.text("#restore-changes")
        assert "− extra  goes" in plan
        assert "~ status  version 2 becomes what version 1 was" in plan
        assert "logs/build" not in plan
        driver.app.screen.query_one("#scope-all", RadioButton).value = True
        await until(lambda: "+ logs/build" in driver.text("#restore-changes"), "the plan for all")
        await driver.press("enter")
        await driver.dialog(ConfirmScreen)
        await driver.press("y")
        await driver.closed()
        assert agentfs.states.get(ids["surveyor"], "status").value == "measuring"
        assert agentfs.states.get(ids["mason"], "logs/build").version == 3
        toast = next(each for each in driver.toasts() if "3 states restored" in each)
        assert "To undo it, restore “before restoring before it”" in toast


async def test_restoring_from_nothing_says_so(agentfs: AgentFS) -> None:
    async with pane_on(agentfs) as driver:
        await driver.press("r")
        await driver.dialog(RestoreScreen)
        await until(lambda: "no snapshot yet" in driver.text("#working-answer"), "the answer")
        await driver.press("escape")
        await driver.closed()


async def test_a_changed_snapshot_file_is_refused_in_the_dialog(agentfs: AgentFS, ids: dict[str, str]) -> None:
    taken = agentfs.snapshots.take("torn", by=PERSON)
    with open(taken.path, "ab") as file:
        file.write(b"x")
    async with pane_on(agentfs) as driver:
        await driver.press("r")
        await driver.dialog(RestoreScreen)
        await until(lambda: "was changed since" in driver.text("#working-answer"), "the refusal")


# When it looks


@pytest.mark.usefixtures("ids")
async def test_frozen_it_counts_what_is_newer(agentfs: AgentFS, ids: dict[str, str], clock: Clock) -> None:
    async with pane_on(agentfs) as driver:
        await driver.press("space")
        before = driver.rows()
        clock.move(7)
        agentfs.agents.heartbeat(ids["mason"], by=acting(ids["mason"]), tool="cargo")
        driver.changed()
        await until(lambda: driver.pane.newer == 1, "the count")
        assert driver.rows() == before
        assert "frozen, 1 newer" in str(driver.pane.border_title)
        await driver.agent(ids["mason"])
        await driver.state("logs/build")
        await driver.press("right_square_bracket")
        await until(lambda: "resource:port-8080" in driver.text("#leases"), "what was asked for")
        assert driver.rows() == before
        await driver.press("space")
        await until(lambda: "cargo" in driver.rows()[1], "the news")
        assert "11 s" in driver.rows()[0]


@pytest.mark.usefixtures("ids")
async def test_a_hidden_pane_rests(agentfs: AgentFS, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        await driver.press("6")
        await driver.pilot.pause(0.2)
        looks = counted(monkeypatch)
        await asyncio.sleep(2.2)
        assert looks == []
        for _ in range(20):
            driver.changed()
            await asyncio.sleep(0.05)
        await until(lambda: len(looks) > 0, "the badge to be looked after")
        assert len(looks) <= 2
        assert all(not wanted.agent_id for wanted in looks)


@pytest.mark.usefixtures("ids")
async def test_many_changes_are_few_looks(agentfs: AgentFS, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        looks = counted(monkeypatch)
        for _ in range(40):
            driver.changed()
            await asyncio.sleep(0.025)
        assert 1 <= len(looks) <= 8


@pytest.mark.usefixtures("ids")
async def test_the_card_says_who_does_what(agentfs: AgentFS) -> None:
    async with pane_on(agentfs) as driver:
        await driver.press("6")
        card = driver.app.query_one("#card-agents", Card)
        await until(lambda: "surveyor grep_docs" in str(card.content), "the card")
        assert str(card.content).splitlines()[-1] == "4 active · 1 waiting"
        assert len(str(card.content).splitlines()) == 4


async def test_a_workspace_that_cannot_be_read_says_so(agentfs: AgentFS) -> None:
    async with pane_on(agentfs, (80, 24)) as driver:
        agentfs.close()
        driver.changed()
        await until(lambda: "! The workspace database refused" in driver.text("#agents-notice"), "the notice")
        assert driver.app.query_one("#agents-notice").display


def test_the_moment_stands_still(clock: Clock) -> None:
    assert clock() == NOW
