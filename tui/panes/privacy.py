"""The privacy pane: what is private and why, who would get what, what is shared, and who was refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from core.events import AgentsChanged, AuditGrew, Event, KeysChanged
from tui.panes.fetching import FetchingPane
from tui.panes.privacy_dialogs import PrivacyDialogs
from tui.panes.privacy_reading import (
    Leaving,
    Overview,
    Receiver,
    Section,
    read_boundaries,
    read_leaving,
    read_overview,
    read_receivers,
    read_refusals,
    read_shared,
    take_back,
)
from tui.widgets import privacy_rows
from tui.widgets.facts import Facts
from tui.widgets.keyed_list import KeyedList
from tui.widgets.privacy_contents import Contents, Keys
from tui.widgets.section_tabs import SectionTabs

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer
    from textual.widget import Widget

    from tui.bridge import WorkspaceLike

T = TypeVar("T")
LEAST_GAP_SECONDS = 0.5
CARD_GAP_SECONDS = 2.0
REST = 4
"""So many times as long as the last reading took, it rests before the next."""
NARROW_CELLS = 72
LOW_CELLS = 16
_TITLES: Mapping[StrEnum, str] = {
    Section.RULES: "Rules",
    Section.LEAVES: "Would leave",
    Section.SHARED: "Shared",
    Section.REFUSALS: "Refusals",
}


class PrivacyPane(FetchingPane):
    """One list under its facts, whose rows follow the section in view."""

    PANE_ID = "privacy"
    NUMBER = 8
    TITLE = "Privacy"
    LIVE = True
    FILTER = True
    LABELS: ClassVar[Mapping[str, str]] = {"view.filter": "Filter"}
    HELP: ClassVar[str] = (
        "**]** and **[** go through four sections. *Rules*: the boundaries, and what each private pattern catches. "
        "*Would leave*: choose who, and see what they would get today, whole, redacted or sealed; nothing is sent. "
        "*Shared*: what was shared or kept back by hand. *Refusals*: who was refused what, by which rule.\n\n"
        "**Enter** explains the row: the paths of a pattern, or every rule that had a say about an item. **s** shares "
        "the item, **u** takes it back, **/** filters.\n\n"
        "**r** makes a recovery code, which opens what is sealed without this machine."
    )

    class Seen(Message):
        """A preview looked at so many items, of so many."""

        def __init__(self, stop_sign: threading.Event, seen: tuple[int, int]) -> None:
            super().__init__()
            self.stop_sign = stop_sign
            self.seen = seen

    def __init__(self) -> None:
        super().__init__()
        self.contents = Contents()
        self._dialogs: PrivacyDialogs | None = None
        self._overview: Overview | None = None
        self._overview_position = 0
        self._cursors: dict[Section, str] = {}
        self._stop: threading.Event | None = None
        self._due: Timer | None = None
        self._card_due: Timer | None = None

    def compose(self) -> ComposeResult:
        """Sections, filter, facts, the audiences beside the rows, and what is known of the row at the cursor."""
        yield SectionTabs(_TITLES, id="privacy-sections")
        with Horizontal(id="privacy-filter-line") as line:
            line.display = False
            yield Static("/", id="privacy-filter-mark")
            yield Input(placeholder="any words of a row", id="privacy-filter", compact=True)
        yield Facts(id="privacy-facts")
        with Horizontal(id="privacy-body"):
            receivers = KeyedList(id="privacy-receivers")
            receivers.display = False
            yield receivers
            yield KeyedList(id="privacy-rows")
        yield Static("", id="privacy-foot")

    @property
    def section(self) -> Section:
        """The section in view."""
        return self.contents.section

    @property
    def rows(self) -> KeyedList:
        """The list of the section in view."""
        return self.query_one("#privacy-rows", KeyedList)

    @property
    def receiver_list(self) -> KeyedList:
        """Who could get something."""
        return self.query_one("#privacy-receivers", KeyedList)

    # When it looks

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """There is something to look at."""
        super().on_workspace(workspace)
        if self.workspace is not None:
            self._dialogs = PrivacyDialogs(self.bailiwick, self.workspace, self._look)
        if self.is_shown:
            self._look()
        self._look_at_card()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Look again soon, while somebody does."""
        if any(isinstance(event, AuditGrew | AgentsChanged | KeysChanged) for event in events):
            if self.is_shown and self.frozen:
                self.newer += 1
            elif self.is_shown:
                self._look_soon()
            if self.is_card_shown and self._card_due is None:
                gap = max(CARD_GAP_SECONDS, REST * self._seconds.get("overview", 0.0))
                self._card_due = self.set_timer(gap, self._look_at_card)

    def keys_moved(self, *, locked: bool) -> None:
        """Pane and card tell how the keys stand."""
        if self.is_shown:
            self._look()
        self._look_at_card()

    def shown(self) -> None:
        """Follow."""
        self._look()

    def hidden(self) -> None:
        """Rest; what is being read is given up."""
        self._give_up()

    def card_shown(self) -> None:
        """The card tells how it stands now."""
        self._look_at_card()

    def freeze(self, frozen: bool) -> None:
        """Thawing shows how things stand now."""
        super().freeze(frozen)
        if not frozen:
            self._look()

    def _look_soon(self) -> None:
        if self._due is None:
            gap = max(LEAST_GAP_SECONDS, REST * self._seconds.get(self.section, 0.0))
            self._due = self.set_timer(gap, self._look_due)

    def _look_due(self) -> None:
        self._due = None
        if self.is_shown and not self.frozen:
            # A preview that runs is let run: what comes meanwhile would never let it end.
            (self._look if self._stop is None else self._look_soon)()

    def _look(self) -> None:
        """Read what the section in view shows."""
        if self.workspace is None:
            return
        agentfs = self.workspace.agentfs
        match self.section:
            case Section.RULES:
                self._fetch_into("boundaries", lambda: read_boundaries(agentfs))
            case Section.LEAVES:
                self.fetch("receivers", lambda: read_receivers(agentfs), self._take_receivers)
            case Section.SHARED:
                self._fetch_into("shared", lambda: read_shared(agentfs))
            case Section.REFUSALS:
                self._fetch_into("refusals", lambda: read_refusals(agentfs))

    def _fetch_into(self, name: str, job: Callable[[], T]) -> None:
        def take(told: T) -> None:
            setattr(self.contents, name, told)
            self._draw()

        self.fetch(self.section, job, take)

    def _take_receivers(self, told: tuple[Receiver, ...]) -> None:
        self.contents.receivers = told
        self.receiver_list.show_rows(privacy_rows.receiver_rows(told))
        self._preview()

    def _preview(self) -> None:
        """Read what the chosen audience would get; what is being read for another is given up."""
        self._give_up()
        key, workspace = self.receiver_list.key, self.workspace
        receiver = next((each for each in self.contents.receivers if each.text == key), None)
        self.contents.receiver = receiver
        if receiver is not None and workspace is not None:
            agentfs, stop = workspace.agentfs, threading.Event()
            self._stop = stop

            def tell(seen: int, total: int) -> None:
                self.post_message(self.Seen(stop, (seen, total)))

            self.fetch(Section.LEAVES, partial(read_leaving, agentfs, receiver, tell, stop.is_set), self._take_leaving)
        self._draw()

    def _take_leaving(self, told: Leaving) -> None:
        self._stop = self.contents.seen = None
        self.contents.leaving = told
        self._draw()

    def _give_up(self) -> None:
        self._void(Section.LEAVES)
        if self._stop is not None:
            self._stop.set()
        self._stop = self.contents.seen = None

    def on_privacy_pane_seen(self, event: Seen) -> None:
        """Show how far it is."""
        event.stop()
        if event.stop_sign is self._stop:
            self.contents.seen = event.seen
            self._draw_facts()

    def _look_at_card(self) -> None:
        self._card_due = None
        if self.workspace is None or not self.is_card_shown:
            return
        agentfs, before, since = self.workspace.agentfs, self._overview, self._overview_position

        def take(told: tuple[Overview, int]) -> None:
            self._overview, self._overview_position = told
            self.tell_changed()

        self.fetch("overview", lambda: read_overview(agentfs, before, since), take)

    # What is shown

    def _draw(self) -> None:
        self.query_one(SectionTabs).update_tabs(self.section, {})
        beside = self.section is Section.LEAVES
        if self.receiver_list.display is not beside:
            self.receiver_list.display = beside
            self.call_after_refresh(self._draw_rows)
        self._draw_facts()
        self._draw_rows()
        self._draw_foot()
        self.refresh_bindings()

    def _draw_facts(self) -> None:
        self.query_one(Facts).show(self.contents.facts(self._key_names))

    def _draw_rows(self) -> None:
        words = self.query_one("#privacy-filter", Input).value
        self.rows.show_rows(self.contents.rows(self.rows.row_width, words, self._key_names))

    def _draw_foot(self) -> None:
        foot = self.query_one("#privacy-foot", Static)
        foot.display = self.section is not Section.RULES
        foot.update(self.contents.foot(self.rows.key))

    @property
    def _key_names(self) -> Keys:
        key_of = self.bailiwick.key_of
        return Keys(key_of("keys.toggle"), key_of("privacy.code"), key_of("privacy.share"))

    @on(KeyedList.Moved, "#privacy-rows")
    def _moved(self, event: KeyedList.Moved) -> None:
        event.stop()
        self._draw_foot()
        self.refresh_bindings()

    @on(KeyedList.Moved, "#privacy-receivers")
    def _receiver_moved(self, event: KeyedList.Moved) -> None:
        event.stop()
        if self.section is Section.LEAVES and self.is_shown:
            self._preview()

    @on(KeyedList.Chosen, "#privacy-receivers")
    def _receiver_chosen(self, event: KeyedList.Chosen) -> None:
        event.stop()
        self.rows.focus()

    @on(KeyedList.Chosen, "#privacy-rows")
    def _chosen(self, event: KeyedList.Chosen) -> None:
        event.stop()
        self.action_open()

    @on(SectionTabs.Chosen)
    def _section_chosen(self, event: SectionTabs.Chosen) -> None:
        event.stop()
        self.show_section(Section(event.section))

    def on_resize(self, event: events.Resize) -> None:
        """Fit the rows to the new width, once they have it."""
        self.set_class(event.size.width < NARROW_CELLS, "-narrow")
        self.set_class(event.size.height < LOW_CELLS, "-low")
        self.call_after_refresh(self._draw_rows)

    # What can be done

    def default_focus(self) -> Widget | None:
        """The audiences where one is to be chosen, else the rows."""
        return self.receiver_list if self.section is Section.LEAVES else self.rows

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action of this pane works now."""
        contents, key = self.contents, self.rows.key
        match action:
            case "section":
                return self.workspace is not None
            case "open":
                pattern = contents.pattern(key)
                if self.receiver_list.has_focus:
                    return False
                return contents.target(key) is not None or (pattern is not None and not pattern.matches_nothing)
            case "share":
                return contents.target(key) is not None
            case "unshare":
                return contents.loser(key) is not None
            case "recovery_code":
                keys = contents.boundaries.keys if contents.boundaries is not None else None
                return self.section is Section.RULES and keys is not None and not keys.locked
            case "back":
                return self._is_filtered or self._is_beside_receivers
        return super().check_action(action, parameters)

    @property
    def _is_filtered(self) -> bool:
        return bool(self.query_one("#privacy-filter-line").display)

    @property
    def _is_beside_receivers(self) -> bool:
        return self.section is Section.LEAVES and self.rows.has_focus

    def action_section(self, step: int) -> None:
        """Another section."""
        sections = list(Section)
        self.show_section(sections[(sections.index(self.section) + step) % len(sections)])

    def show_section(self, section: Section) -> None:
        """Bring a section into view; what it shows is read anew."""
        if section is self.section:
            return
        self._give_up()
        self._cursors[self.section] = self.rows.key
        self._leave_filter(keep=False)
        self.contents.section = section
        self._draw()
        self.rows.go_to(self._cursors.get(section, ""))
        target = self.default_focus()
        if self.is_shown and target is not None:
            target.focus()
        self._look()

    def action_open(self) -> None:
        """Explain the row at the cursor."""
        contents, dialogs = self.contents, self._dialogs
        pattern, target = contents.pattern(self.rows.key), contents.target(self.rows.key)
        if dialogs is None:
            return
        if pattern is not None and contents.boundaries is not None:
            dialogs.caught(pattern, contents.boundaries.names)
        elif target is not None:
            receiver = contents.receiver if self.section is Section.LEAVES else None
            dialogs.explain(target[0], receiver.text if receiver is not None else "")

    def action_share(self) -> None:
        """Share the item at the cursor."""
        target = self.contents.target(self.rows.key)
        if self._dialogs is not None and target is not None:
            known = tuple(each.text for each in self.contents.receivers if each.can_lose)
            self._dialogs.share(*target, known)

    def action_unshare(self) -> None:
        """Take the item at the cursor back, after asking."""
        target, loser = self.contents.target(self.rows.key), self.contents.loser(self.rows.key)
        if self._dialogs is not None and self.workspace is not None and target is not None and loser is not None:
            job = partial(take_back, self.workspace.agentfs, self.workspace.person, target[0], loser[0])
            self._dialogs.unshare(target[1], loser[1], lambda: self.carry_out(job, self._look))

    def action_recovery_code(self) -> None:
        """Make a recovery code."""
        if self._dialogs is not None:
            self._dialogs.recovery_code()

    # Filtering

    def focus_filter(self) -> None:
        """Show the filter and go there."""
        self.query_one("#privacy-filter-line").display = True
        self.query_one("#privacy-filter", Input).focus()

    def action_back(self) -> None:
        """No filter, or from the rows to the audiences."""
        if self._is_filtered:
            self._leave_filter(keep=False)
            self.rows.focus()
        elif self._is_beside_receivers:
            self.receiver_list.focus()
        self.refresh_bindings()

    def _leave_filter(self, *, keep: bool) -> None:
        field = self.query_one("#privacy-filter", Input)
        if not keep:
            field.value = ""
        self.query_one("#privacy-filter-line").display = bool(field.value.strip())

    @on(Input.Changed, "#privacy-filter")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._draw_rows()

    @on(Input.Submitted, "#privacy-filter")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._leave_filter(keep=True)
        self.rows.focus()

    # What it tells

    def card(self) -> Content | str:
        """Locked or not, how much is sensitive, and the newest refusal."""
        return privacy_rows.overview_card(self._overview) if self._overview is not None else ""

    def copy_text(self) -> str:
        """What is known of the row at the cursor."""
        pattern = self.contents.pattern(self.rows.key)
        return pattern.pattern.text if pattern is not None else self.contents.foot(self.rows.key).plain
