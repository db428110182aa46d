"""The agents pane: who works here, how they stand, and the detail of one of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.agent_model import Admission, AgentOverview
from core.errors import BailiwickError
from core.events import AgentsChanged, Event, ItemsChanged, MessagesChanged
from tui import moments
from tui.panes.agent_dialogs import AgentDialogs
from tui.panes.agent_reading import Reading, Section, Wanted, read
from tui.panes.base import Pane
from tui.pooled import submit_newest
from tui.widgets import agent_rows, agent_texts
from tui.widgets.agent_detail import AgentDetail
from tui.widgets.agent_table import AgentTable
from tui.widgets.json_view import JsonView
from tui.widgets.levels import LEGEND
from tui.widgets.section_tabs import SectionTabs

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer
    from textual.widget import Widget

    from tui.bridge import WorkspaceLike
    from tui.panes.agent_reading import AgentWorkspace

NARROW_CELLS = 96
SHOWN_GAP_SECONDS = 0.3
HIDDEN_GAP_SECONDS = 2.0
CLOCK_SECONDS = 1.0
CARD_TICKS = 5


class AgentsPane(Pane):
    """The table beside the detail of the agent at its cursor, or one at a time where it is narrow."""

    PANE_ID = "agents"
    NUMBER = 1
    TITLE = "Agents"
    LIVE = True
    FILTER = True
    LABELS: ClassVar[Mapping[str, str]] = {"view.filter": "Filter"}
    HELP: ClassVar[str] = (
        "Who works in this workspace. An agent is ● active, ◆ busy with a tool, ▲ in error, ○ inactive (no sign of "
        "life for a while), ◌ waiting for one of the places that this machine allows, or × retired.\n\n"
        "**Enter** goes to the agent's detail, **]** and **[** to its next and previous section, **Esc** back one "
        "step. In the state section **→** and **←** open and close a branch, and **h** shows every version of a state: "
        f"what it changed, and how to bring it back; {LEGEND}.\n\n"
        "**n** registers an agent, **m** sends a message, **d** retires one. **s** takes a snapshot of everything; "
        "**r** compares states with a snapshot and restores them; every restore can be undone."
    )

    class Looked(Message):
        """A reading came, or why there is none."""

        def __init__(self, epoch: int, outcome: Reading | BailiwickError) -> None:
            super().__init__()
            self.epoch = epoch
            self.outcome = outcome

    def __init__(self) -> None:
        super().__init__()
        self._workspace: AgentWorkspace | None = None
        self._dialogs: AgentDialogs | None = None
        self._overviews: tuple[AgentOverview, ...] = ()
        self._listed = False
        self._seen: tuple[AgentOverview, ...] = ()
        self._shows_retired = False
        self._reading: Timer | None = None
        self._last_read = 0.0
        self._epoch = 0
        """A reading that began before the keys were locked or unlocked is void."""
        self._clock: Timer | None = None
        self._ticks = 0

    def compose(self) -> ComposeResult:
        """What an empty workspace says, or the table beside the detail."""
        notice = Static("", id="agents-notice", markup=False)
        notice.display = False
        yield notice
        with VerticalScroll(id="agents-empty") as empty:
            empty.display = False
            yield Static("", id="agents-begin")
        with Horizontal(id="agents-body") as body:
            body.display = False
            yield AgentTable()
            yield AgentDetail()

    def on_mount(self) -> None:
        """The clock rests until somebody looks."""
        self._clock = self.set_interval(CLOCK_SECONDS, self._tick, pause=True)

    # When it looks

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """The workspace can be looked at now."""
        self._workspace = cast("AgentWorkspace", workspace)
        self._dialogs = AgentDialogs(self.bailiwick, self._workspace, self._look)
        self._look()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Look again soon; a hidden pane only where its badge can change."""
        seen = self.is_shown or self.is_card_shown
        followed = AgentsChanged | MessagesChanged | ItemsChanged if seen else AgentsChanged
        if any(isinstance(event, followed) for event in events):
            self._look_soon()

    def keys_moved(self, *, locked: bool) -> None:
        """What is sealed goes from the detail, or comes back to it."""
        self._epoch += 1
        self._detail.keys_moved(locked=locked)
        self._look()

    def shown(self) -> None:
        """Follow."""
        self._follow()

    def hidden(self) -> None:
        """Rest, unless the card is in view."""
        self._follow()

    def card_shown(self) -> None:
        """The card is kept true too, at a slower pace."""
        self._follow()

    def card_hidden(self) -> None:
        """Rest, unless the pane is in view."""
        self._follow()

    def _follow(self) -> None:
        if self._clock is None:
            return
        if self.is_shown or self.is_card_shown:
            self._clock.resume()
            self._look()
        else:
            self._clock.pause()

    def _tick(self) -> None:
        """Time passes: agents fall silent and leases run out without any event."""
        self._ticks += 1
        if self.is_shown:
            if not self.frozen:
                self._draw_moment()
            self._look()
        elif self._ticks % CARD_TICKS == 0:
            self._look()

    def _look_soon(self) -> None:
        gap = SHOWN_GAP_SECONDS if self.is_shown else HIDDEN_GAP_SECONDS
        wait = self._last_read + gap - time.monotonic()
        if wait <= 0:
            self._look()
        elif self._reading is None:
            self._reading = self.set_timer(wait, self._look)

    def _look(self) -> None:
        """Read the list, and the detail while it is in view."""
        if self._reading is not None:
            self._reading.stop()
            self._reading = None
        workspace = self._workspace
        if workspace is None:
            return
        self._last_read = time.monotonic()
        epoch = self._epoch
        wanted = Wanted(self._shows_retired)
        if self.is_shown:
            wanted = self._detail.wanted(self._shows_retired, self._table.rows.key)
        submit_newest(
            workspace.pool,
            self.PANE_ID,
            lambda: read(workspace.agentfs, wanted),
            lambda outcome: self.post_message(self.Looked(epoch, outcome)),
        )

    def on_agents_pane_looked(self, message: Looked) -> None:
        """Show a reading, or count it while frozen."""
        message.stop()
        if message.epoch != self._epoch:
            return
        notice = self.query_one("#agents-notice", Static)
        notice.display = isinstance(message.outcome, BailiwickError)
        if isinstance(message.outcome, BailiwickError):
            notice.update(f"! {message.outcome}")
        elif self.frozen:
            self.newer += message.outcome.overviews != self._seen
            self._seen = message.outcome.overviews
            if self._detail.is_waiting:
                self._detail.show_agent(self._chosen, message.outcome.facts, moments.now())
        else:
            self._take(message.outcome)

    def freeze(self, frozen: bool) -> None:
        """Thawing shows how things stand now."""
        super().freeze(frozen)
        self._seen = self._overviews
        if not frozen:
            self._look()

    # What is shown

    def _take(self, reading: Reading) -> None:
        changed = reading.overviews != self._overviews or not self._listed
        self._overviews, self._listed = reading.overviews, True
        if changed:
            self._show_emptiness()
            self._table.show(reading.overviews)
            self.tell_changed()
        self._detail.show_agent(self._chosen, reading.facts, moments.now())
        self.refresh_bindings()

    @property
    def _table(self) -> AgentTable:
        return self.query_one(AgentTable)

    @property
    def _detail(self) -> AgentDetail:
        return self.query_one(AgentDetail)

    @property
    def _chosen(self) -> AgentOverview | None:
        return self._table.chosen

    def _show_emptiness(self) -> None:
        empty = self._listed and not self._overviews
        self.query_one("#agents-body").display = self._listed and not empty
        self.query_one("#agents-empty").display = empty
        if empty:
            self.query_one("#agents-begin", Static).update(
                agent_texts.beginning(self.bailiwick.key_of("agents.register"))
            )
            self.remove_class("-reading")
        focused = self.screen.focused
        if self.is_shown and (focused is None or not focused.focusable):
            self.screen.set_focus(self.default_focus())

    def _draw_moment(self) -> None:
        self._table.draw()
        self._detail.tick(moments.now())

    def on_resize(self, event: events.Resize) -> None:
        """Side by side where there is room, else one at a time."""
        self.set_class(event.size.width < NARROW_CELLS, "-stacked")

    @on(AgentTable.Moved)
    def _moved(self, event: AgentTable.Moved) -> None:
        event.stop()
        self._detail.show_agent(self._chosen, None, moments.now())
        self.refresh_bindings()
        self._look()

    @on(AgentTable.Opened)
    def _opened(self, event: AgentTable.Opened) -> None:
        event.stop()
        self.action_open()

    @on(AgentDetail.StateChosen)
    def _state_chosen(self, event: AgentDetail.StateChosen) -> None:
        event.stop()
        self.refresh_bindings()
        self._look()

    @on(SectionTabs.Chosen)
    def _section_chosen(self, event: SectionTabs.Chosen) -> None:
        event.stop()
        self._show_section(Section(event.section))

    def focus_filter(self) -> None:
        """Show the filter and go there."""
        if self._overviews:
            self.remove_class("-reading")
            self._table.focus_filter()

    # What can be done

    def default_focus(self) -> Widget | None:
        """The table, or the detail where only that is in view."""
        if not self._overviews:
            return self.query_one("#agents-empty") if self._listed else None
        return self._detail.default_focus() if self._reads else self._table.rows

    @property
    def _reads(self) -> bool:
        """Whether only the detail is in view."""
        return self.has_class("-stacked") and self.has_class("-reading")

    @property
    def _shows_detail(self) -> bool:
        return self._chosen is not None and (self._reads or not self.has_class("-stacked"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action of this pane works now."""
        chosen = self._chosen
        match action:
            case "register" | "snapshot" | "restore" | "retired":
                return self._workspace is not None
            case "message" | "retire":
                return chosen is not None and chosen.agent.admission is not Admission.RETIRED
            case "open":
                return chosen is not None and self.screen.focused is self._table.rows
            case "section":
                return self._shows_detail
            case "history":
                return self._shows_detail and self._state_key != ""
            case "back":
                return self._is_inside or self._table.is_filtered
        return True

    @property
    def _state_key(self) -> str:
        return self._detail.state_key

    @property
    def _is_inside(self) -> bool:
        """Whether the focus is in the detail."""
        focused = self.screen.focused
        return focused is not None and self._detail in focused.ancestors

    def action_open(self) -> None:
        """Go to the detail."""
        if self._chosen is not None:
            self.add_class("-reading")
            self._detail.default_focus().focus()
            self.refresh_bindings()

    def action_back(self) -> None:
        """One step back: value, section, table, no filter."""
        if self._is_inside and isinstance(self.screen.focused, JsonView):
            self._detail.default_focus().focus()
        elif self._is_inside:
            self.remove_class("-reading")
            self._table.rows.focus()
        else:
            self._table.leave_filter(keep=False)
        self.refresh_bindings()

    def action_section(self, step: int) -> None:
        """Another section of the detail."""
        self._show_section(self._detail.neighbour(step))

    def _show_section(self, section: Section) -> None:
        self._detail.show_section(section)
        self.refresh_bindings()
        self._look()

    def action_retired(self) -> None:
        """Show or hide those who have retired."""
        self._shows_retired = not self._shows_retired
        self._look()

    def action_register(self) -> None:
        """Register an agent in a dialog."""
        if self._dialogs is not None:
            self._dialogs.register()

    def action_message(self) -> None:
        """Write to the agent, to those of its type, or to everyone."""
        if self._dialogs is not None and self._chosen is not None:
            self._dialogs.message(self._chosen.agent, self._overviews)

    def action_retire(self) -> None:
        """Retire the agent, after asking."""
        if self._dialogs is not None and self._chosen is not None:
            self._dialogs.retire(self._chosen)

    def action_snapshot(self) -> None:
        """Take a snapshot, by name."""
        if self._dialogs is not None:
            self._dialogs.snapshot()

    def action_restore(self) -> None:
        """Compare with a snapshot and restore from it."""
        if self._dialogs is not None:
            self._dialogs.restore(self._chosen.agent if self._chosen is not None else None)

    def action_history(self) -> None:
        """Every version of the chosen state."""
        if self._dialogs is not None and self._chosen is not None:
            self._dialogs.history(self._chosen.agent, self._state_key)

    # What it tells

    def badge(self) -> str:
        """How many are active."""
        alive = sum(agent_rows.is_alive(each.agent) for each in self._overviews)
        return str(alive) if alive else ""

    def card(self) -> Content | str:
        """Who is alive and doing what."""
        if not self._overviews:
            return "No agent works here yet." if self._listed else ""
        return agent_rows.card(self._overviews)

    def copy_text(self) -> str:
        """The value of the state at the cursor, or the agent's line."""
        state = self._detail.state
        if self._is_inside and state is not None and state.key == self._state_key:
            return "" if state.locked else json.dumps(state.value, indent=2, ensure_ascii=False)
        return agent_rows.agent_line(self._chosen, moments.now()) if self._chosen is not None else ""
