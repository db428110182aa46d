"""One agent in sections: its states, leases, sessions, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui.panes.agent_reading import AgentFacts, Section, Wanted
from tui.printable import printable
from tui.widgets import agent_texts
from tui.widgets.json_view import JsonView
from tui.widgets.keyed_list import KeyedList
from tui.widgets.levels import sealed_note
from tui.widgets.section_tabs import SectionTabs
from tui.widgets.state_list import StateList

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.agent_model import AgentOverview, State

_TITLES: Mapping[StrEnum, str] = {
    Section.STATES: "State",
    Section.LEASES: "Leases",
    Section.SESSIONS: "Sessions",
    Section.ABOUT: "About",
}
NO_STATES = "It keeps no state yet."


class AgentDetail(Vertical):
    """Shows what it is given; ``StateChosen`` asks for another state's value."""

    class StateChosen(Message):
        """The cursor came to another state; ``key`` is empty on a branch."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__(id="agent-detail")
        self.section = Section.STATES
        self.state: State | None = None
        self._overview: AgentOverview | None = None
        self._facts: AgentFacts | None = None
        self._capabilities: object = None
        self._shown = ("", 0)

    def compose(self) -> ComposeResult:
        """The head, the tabs, and the sections, of which one is in view."""
        yield Static("", id="agent-head")
        yield SectionTabs(_TITLES, id="agent-sections")
        with Vertical(id="section-states"):
            yield StateList(id="states")
            yield Static("", id="state-title")
            yield JsonView(id="state-value")
        with VerticalScroll(id="section-leases") as leases:
            leases.display = False
            yield Static("", id="leases")
        with VerticalScroll(id="section-sessions") as sessions:
            sessions.display = False
            yield Static("", id="sessions")
        with VerticalScroll(id="section-about") as about:
            about.display = False
            yield Static("", id="about")
            yield Static("\nCapabilities", classes="heading")
            yield JsonView(id="capabilities")

    @property
    def agent_id(self) -> str:
        """Whose detail is shown; empty when there is none."""
        return self._overview.agent.id if self._overview is not None else ""

    @property
    def is_complete(self) -> bool:
        """Whether the section in view shows the facts of the agent named in the head."""
        return self._facts is not None and (self._facts.agent_id, self._facts.section) == (self.agent_id, self.section)

    @property
    def is_waiting(self) -> bool:
        """Whether something that a person chose is still to come: an agent, a section, or a state."""
        return not self.is_complete or (self.section is Section.STATES and self.state_key not in ("", self._shown[0]))

    @property
    def state_key(self) -> str:
        """The key of the state at the cursor, while the states are in view."""
        return self.query_one(StateList).state_key if self.section is Section.STATES else ""

    def wanted(self, retired: bool, agent_id: str) -> Wanted:
        """What is to be read to show ``agent_id`` here; a value that is shown is not read again."""
        shown, version = self._shown
        if agent_id != self.agent_id or shown != self.state_key:
            version = 0
        key = self.state_key if agent_id == self.agent_id else ""
        return Wanted(retired, agent_id, self.section, key, version)

    def keys_moved(self, *, locked: bool) -> None:
        """What is sealed goes from the screen, or is to be read again."""
        state = self.state
        if state is None or state.sealed:
            self._shown = ("", 0)
        if state is not None and state.sealed and locked:
            self.state = None
            self.query_one("#state-value", JsonView).say(sealed_note(self.app))

    def default_focus(self) -> Widget:
        """What gets the focus in the section in view."""
        if self.section is Section.STATES:
            return self.query_one(StateList)
        return self.query_one(f"#section-{self.section}", VerticalScroll)

    def show_section(self, section: Section) -> None:
        """Bring a section into view; its facts are still to come."""
        focused = self.screen.focused
        had_focus = focused is not None and self in focused.ancestors
        self.section = section
        for each in Section:
            self.query_one(f"#section-{each}").display = each is section
        if had_focus:
            self.default_focus().focus()
        self._draw_tabs()

    def neighbour(self, step: int) -> Section:
        """The section ``step`` places further, around the end."""
        sections = list(Section)
        return sections[(sections.index(self.section) + step) % len(sections)]

    def show_agent(self, overview: AgentOverview | None, facts: AgentFacts | None, at: datetime) -> None:
        """Show an agent; facts of another agent or section are passed over."""
        if overview is None or overview.agent.id != self.agent_id:
            self._clear()
        self._overview = overview
        if (
            overview is not None
            and facts is not None
            and (facts.agent_id, facts.section) == (overview.agent.id, self.section)
        ):
            self._facts = facts
        self._draw_tabs()
        self._draw_facts(at)
        self.tick(at)

    def tick(self, at: datetime) -> None:
        """Bring what depends on the moment up to date."""
        overview, facts = self._overview, self._facts
        if overview is None:
            self.query_one("#agent-head", Static).update("")
            return
        self._write("#agent-head", agent_texts.head(overview, at))
        if not self.is_complete or facts is None:
            return
        if self.section is Section.LEASES:
            self._write("#leases", agent_texts.leases_text(facts.leases, at))
        elif self.section is Section.SESSIONS:
            self._write("#sessions", agent_texts.sessions_text(facts.sessions, facts.calls, at))
        elif self.section is Section.ABOUT:
            self._write("#about", agent_texts.about_text(overview, facts.key_path, at))
        elif self.state is not None:
            self._write("#state-title", agent_texts.state_title(self.state, at))

    def _clear(self) -> None:
        """What was shown is another agent's."""
        self._facts, self.state, self._capabilities, self._shown = None, None, None, ("", 0)
        self.query_one(StateList).show_states("", (), 0)
        for view in self.query(JsonView):
            view.clear()
        for name in ("state-title", "leases", "sessions", "about"):
            self._write(f"#{name}", Content())

    def _draw_facts(self, at: datetime) -> None:
        overview, facts = self._overview, self._facts
        if overview is None or facts is None or not self.is_complete:
            return
        if self.section is Section.STATES:
            states = self.query_one(StateList)
            states.show_states(overview.agent.id, facts.states, overview.states)
            self._draw_state(facts, states.state_key)
        elif self.section is Section.ABOUT and self._capabilities != overview.agent.capabilities:
            self._capabilities = overview.agent.capabilities
            self.query_one("#capabilities", JsonView).show("", overview.agent.capabilities)

    def _draw_state(self, facts: AgentFacts, key: str) -> None:
        value = self.query_one("#state-value", JsonView)
        state = facts.state
        if state is not None and state.key == key:
            self.state, self._shown = state, (key, state.version)
            if state.locked:
                value.say(state.problem or sealed_note(self.app))
            else:
                value.show("", state.value)
        elif facts.refused and key:
            self.state = None
            self._shown = (key, next((each.version for each in facts.states if each.key == key), 0))
            value.say(facts.refused)
            self._write("#state-title", Content.styled(printable(key), "bold $primary"))
        elif not key or not facts.states:
            self.state, self._shown = None, ("", 0)
            value.clear()
            self._write("#state-title", Content.styled("" if facts.states else NO_STATES, "$muted"))

    def _draw_tabs(self) -> None:
        overview = self._overview
        counts: dict[StrEnum, int] = {}
        if overview is not None:
            counts = {Section.STATES: overview.states, Section.LEASES: overview.leases}
        self.query_one(SectionTabs).update_tabs(self.section, counts)

    def on_keyed_list_moved(self, event: KeyedList.Moved) -> None:
        """Ask for the value of the state at the cursor."""
        event.stop()
        self.post_message(self.StateChosen(self.query_one(StateList).state_key))

    def on_keyed_list_chosen(self, event: KeyedList.Chosen) -> None:
        """Open or close a branch; from a state go to its value."""
        event.stop()
        if not self.query_one(StateList).toggle():
            self.query_one("#state-value", JsonView).focus()

    def _write(self, selector: str, content: Content) -> None:
        static = self.query_one(selector, Static)
        if not (isinstance(static.content, Content) and static.content.is_same(content)):
            static.update(content)
