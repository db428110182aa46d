"""The table of agents under its filter; the cursor stays on its agent whatever changes around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui import moments
from tui.widgets import agent_rows
from tui.widgets.keyed_list import KeyedList, KeyedRow

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.agent_model import AgentOverview


class AgentTable(Vertical):
    """Shows the agents it is given, as many columns as fit; ``Moved`` tells that the cursor is on another."""

    class Moved(Message):
        """The cursor is on another agent, or on none."""

        def __init__(self, agent_id: str) -> None:
            super().__init__()
            self.agent_id = agent_id

    class Opened(Message):
        """An agent was chosen: Enter, or a click."""

    def __init__(self) -> None:
        super().__init__(id="agents-list")
        self._overviews: tuple[AgentOverview, ...] = ()

    def compose(self) -> ComposeResult:
        """The filter while there is one, the titles, the rows, and how many there are."""
        with Horizontal(id="agents-filter-line") as line:
            line.display = False
            yield Static("/", id="agents-filter-mark")
            yield Input(placeholder="name, type or status", id="agents-filter", compact=True)
        yield Static("", id="agents-columns")
        yield KeyedList(id="agents-table")
        yield Static("", id="agents-facts")

    @property
    def rows(self) -> KeyedList:
        """The rows themselves, which take the focus."""
        return self.query_one(KeyedList)

    @property
    def chosen(self) -> AgentOverview | None:
        """The agent at the cursor."""
        return next((each for each in self._overviews if each.agent.id == self.rows.key), None)

    @property
    def is_filtered(self) -> bool:
        """Whether the filter is in view."""
        return bool(self.query_one("#agents-filter-line").display)

    def show(self, overviews: Sequence[AgentOverview]) -> None:
        """Show these agents, as they stand at the present moment."""
        self._overviews = tuple(overviews)
        self.draw()

    def draw(self) -> None:
        """Bring the rows up to date with the moment, the width and the filter."""
        rows, text, at = self.rows, self.query_one(Input).value.strip(), moments.now()
        columns = agent_rows.columns_for(rows.row_width)
        found = agent_rows.matching(agent_rows.in_order(self._overviews), text)
        shown = [KeyedRow(each.agent.id, agent_rows.row(each, columns, at)) for each in found]
        if not shown:
            shown = [KeyedRow("none", Content.styled("No agent matches.", "$muted"), enabled=False)]
        rows.show_rows(shown)
        self.query_one("#agents-columns", Static).update(agent_rows.header(columns), layout=False)
        matched = f"{len(found)} of {len(self._overviews)} match · " if text else ""
        facts = Content.styled(f"{matched}{agent_rows.summary(self._overviews)}", "$muted")
        self.query_one("#agents-facts", Static).update(facts, layout=False)

    def on_resize(self) -> None:
        """Fit the columns to the new width, once the rows have it."""
        self.call_after_refresh(self.draw)

    def focus_filter(self) -> None:
        """Show the filter and go there."""
        self.query_one("#agents-filter-line").display = True
        self.query_one(Input).focus()

    def leave_filter(self, *, keep: bool) -> None:
        """Back to the rows, with the filter or without."""
        field = self.query_one(Input)
        if not keep:
            field.value = ""
        self.query_one("#agents-filter-line").display = bool(field.value.strip())
        self.rows.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.draw()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.leave_filter(keep=True)

    @on(KeyedList.Moved)
    def _moved(self, event: KeyedList.Moved) -> None:
        event.stop()
        self.post_message(self.Moved(event.key))

    @on(KeyedList.Chosen)
    def _chosen(self, event: KeyedList.Chosen) -> None:
        event.stop()
        self.post_message(self.Opened())
