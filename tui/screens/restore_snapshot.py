"""The dialog that compares states with a snapshot and brings them back to how they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import RadioButton, RadioSet, Static

from core.agent_model import Snapshot
from core.agentfs.snapshots import Restored
from core.errors import BailiwickError
from tui import moments
from tui.pooled import submit_newest
from tui.printable import printable
from tui.screens.confirm import ConfirmScreen
from tui.screens.working import WorkingScreen
from tui.widgets.change_lines import state_changes_text
from tui.widgets.keyed_list import KeyedList, KeyedRow
from tui.widgets.radio import SignedRadioButton

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.agent_model import Agent
    from tui.panes.agent_reading import AgentWorkspace

NAME_CELLS = 40


class RestoreScreen(WorkingScreen[None]):
    """Shows beforehand what a restore would change; Enter does it, after asking."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    class Planned(Message):
        """What restoring a snapshot would do."""

        def __init__(self, wanted: tuple[str, str], outcome: Restored | BailiwickError) -> None:
            super().__init__()
            self.wanted = wanted
            self.outcome = outcome

    def __init__(self, workspace: AgentWorkspace, agent: Agent | None) -> None:
        super().__init__(workspace)
        self._agent = agent
        self._snapshots: dict[str, Snapshot] = {}
        self._plan: Restored | None = None

    def compose(self) -> ComposeResult:
        """The snapshots, for whom, and what would change."""
        with Vertical(classes="dialog restore") as dialog:
            dialog.border_title = "Restore from a snapshot"
            dialog.border_subtitle = "Enter restores · Tab moves · Esc leaves"
            yield KeyedList(id="snapshots")
            with RadioSet(id="restore-scope", compact=True):
                if self._agent is not None:
                    mine = Content(f"Only {printable(self._agent.name)}")
                    yield SignedRadioButton(mine, value=True, id="scope-agent")
                yield SignedRadioButton("All agents", value=self._agent is None, id="scope-all")
            yield Static("What would change", classes="heading")
            with VerticalScroll(id="restore-plan"):
                yield Static("", id="restore-changes")
            yield self.answer_line()

    def on_mount(self) -> None:
        """Find out which snapshots there are."""
        self._list()

    @work
    async def _list(self) -> None:
        found = await self.done(self._workspace.agentfs.snapshots.all)
        if found is None:
            return
        self._snapshots = {snapshot.id: snapshot for snapshot in found}
        rows = self.query_one(KeyedList)
        rows.show_rows([KeyedRow(snapshot.id, _row(snapshot)) for snapshot in found])
        rows.focus()
        if not found:
            self.answer("There is no snapshot yet; s takes one.")

    @on(KeyedList.Moved)
    @on(RadioSet.Changed)
    def _look(self) -> None:
        """Ask what would change."""
        wanted = self._wanted()
        self._plan = None
        if not wanted[0]:
            return
        self._write(Content.styled("Comparing …", "$muted"))
        snapshots, person = self._workspace.agentfs.snapshots, self._workspace.person
        submit_newest(
            self._workspace.pool,
            "agents.restore",
            lambda: snapshots.restore(wanted[0], by=person, agent=wanted[1], dry_run=True),
            lambda outcome: self.post_message(self.Planned(wanted, outcome)),
        )

    @on(Planned)
    def _planned(self, event: Planned) -> None:
        event.stop()
        if event.wanted != self._wanted():
            return
        if isinstance(event.outcome, BailiwickError):
            self._write(Content())
            self.answer(str(event.outcome), failed=True)
            return
        self._plan = event.outcome
        self.answer("")
        nothing = Content.styled("Nothing: the states are as they were then.", "$muted")
        self._write(state_changes_text(event.outcome.changes) if event.outcome.changes else nothing)

    @on(KeyedList.Chosen)
    def _chosen(self) -> None:
        plan = self._plan
        if plan is not None and plan.changes:
            self._restore(*self._wanted(), len(plan.changes))

    @work
    async def _restore(self, snapshot_id: str, agent_id: str, count: int) -> None:
        snapshot = self._snapshots[snapshot_id]
        whose = f"of {printable(self._agent.name)}" if agent_id and self._agent is not None else "of all agents"
        question = (
            f"Bring {_states(count)} {whose} back to how things were in {_name(snapshot)}?"
            " Each becomes a new version, and a snapshot of now is taken first."
        )
        if not await self.app.push_screen_wait(ConfirmScreen(question, "Restore")):
            return
        self.answer("Restoring …")
        snapshots, person = self._workspace.agentfs.snapshots, self._workspace.person
        restored = await self.done(lambda: snapshots.restore(snapshot_id, by=person, agent=agent_id))
        if restored is None:
            return
        undo = f" To undo it, restore {_name(restored.undo)}." if restored.undo is not None else ""
        self.app.notify(f"{_states(len(restored.changes))} restored.{undo}", markup=False, timeout=15)
        self.dismiss(None)

    def _wanted(self) -> tuple[str, str]:
        """The chosen snapshot, and the agent whose states are meant, or nothing for all."""
        whole = self.query_one("#scope-all", RadioButton).value
        return self.query_one(KeyedList).key, "" if whole or self._agent is None else self._agent.id

    def _write(self, content: Content) -> None:
        self.query_one("#restore-changes", Static).update(content)


def _row(snapshot: Snapshot) -> Content:
    name = Content(printable(snapshot.name) or "without a name").truncate(NAME_CELLS, ellipsis=True)
    return Content.assemble(
        name.stylize("bold").pad_right(max(0, NAME_CELLS - name.cell_length)),
        (f"  {moments.since(snapshot.created_at, moments.now()):>10}  {moments.clock(snapshot.created_at)}", "$muted"),
    )


def _name(snapshot: Snapshot) -> str:
    return f"“{printable(snapshot.name)}”" if snapshot.name else f"the snapshot of {moments.clock(snapshot.created_at)}"


def _states(count: int) -> str:
    return "1 state" if count == 1 else f"{count:,} states"
