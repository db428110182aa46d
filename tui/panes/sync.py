"""The sync pane: whether everything is synced, and if not, why; what moves, who has what, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from core.events import Event, SyncChanged
from tui import moments
from tui.panes.fetching import FetchingPane
from tui.panes.sync_reading import MOST_QUEUED, Section, SyncLike, sync_of
from tui.panes.sync_work import SyncWork
from tui.widgets.facts import Facts
from tui.widgets.gauges import History
from tui.widgets.keyed_list import KeyedList
from tui.widgets.section_tabs import SectionTabs
from tui.widgets.sync_contents import Contents
from tui.widgets.sync_words import Keys, empty_text, glance, headline, waiting

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.content import Content
    from textual.timer import Timer
    from textual.widget import Widget

    from core.sync_model import SyncStatus
    from tui.bridge import WorkspaceLike

SHOWN_GAP_SECONDS = 0.2
HIDDEN_GAP_SECONDS = 2.0
TICK_SECONDS = 1.0
REST = 4
"""So many times as long as the last reading took, it rests before the next."""
WIDE_CELLS = 100
TALL_CELLS = 26
LOW_CELLS = 24
_TITLES: Mapping[StrEnum, str] = {
    Section.OVERVIEW: "Overview",
    Section.QUEUE: "Queue",
    Section.DEVICES: "Devices",
    Section.COST: "History & cost",
    Section.PLAN: "Plan",
    Section.VERIFY: "Verify",
}


class SyncPane(FetchingPane):
    """How it stands on top, then the section in view: its facts, and one list or two of rows."""

    PANE_ID = "sync"
    NUMBER = 4
    TITLE = "Sync"
    LIVE = True
    FILTER = True
    LABELS: ClassVar[Mapping[str, str]] = {"view.filter": "Filter"}
    HELP: ClassVar[str] = (
        "The first line says whether everything is synced, and if not, why. **]** and **[** go through the sections: "
        "*Overview*, the *Queue* of what waits, *Devices* by their last commits, *History & cost*, the *Plan* of what "
        "a sync would do with its price, and *Verify*.\n\n"
        "**s** syncs now, **p** pauses or goes on, **l** plans without doing anything, **m** chooses the strategy, "
        "**v** checks the whole remote, **r** mends it from what this device has.\n\n"
        "Marks: ✓ synced, ▲ waits, ⇅ moves, ‖ paused, ✗ offline, ? asks you, ! wrong. The network's letters are "
        "E excellent, G good, P poor, ✗ offline, the newest at the right."
    )

    class Seen(Message):
        """Something long came so far: what is looked at, how many are done, and of how many."""

        def __init__(self, so_far: tuple[str, int, int]) -> None:
            super().__init__()
            self.so_far = so_far

    def __init__(self) -> None:
        super().__init__()
        self.contents = Contents()
        self.work_asked: SyncWork | None = None
        self._cursors: dict[Section, str] = {}
        self._due: Timer | None = None
        self._tick: Timer | None = None

    def compose(self) -> ComposeResult:
        """Sections, how it stands, facts with the network's graphs, rows in one column or two, what is at the row."""
        yield Static("", id="sync-empty")
        with Vertical(id="sync-main"):
            yield SectionTabs(_TITLES, id="sync-sections")
            yield Static("", id="sync-headline")
            with Horizontal(id="sync-filter-line") as line:
                line.display = False
                yield Static("/", id="sync-filter-mark")
                yield Input(placeholder="any words of a row", id="sync-filter", compact=True)
            with Horizontal(id="sync-facts-line"):
                yield Facts(id="sync-facts")
                with Vertical(id="sync-graphs"):
                    yield History("Round trip", label_width=10, describe=_milliseconds, id="sync-round-trip")
                    yield History("Failed", label_width=10, maximum=1, describe=_share, id="sync-failures")
            with Horizontal(id="sync-body"):
                yield KeyedList(id="sync-rows")
                yield KeyedList(id="sync-beside")
            yield Static("", id="sync-foot")

    @property
    def section(self) -> Section:
        """The section in view."""
        return self.contents.section

    @property
    def rows(self) -> KeyedList:
        """The rows of the section in view."""
        return self.query_one("#sync-rows", KeyedList)

    @property
    def beside(self) -> KeyedList:
        """The second column of a wide overview."""
        return self.query_one("#sync-beside", KeyedList)

    @property
    def sync(self) -> SyncLike | None:
        """The synchronising half of the workspace, once it is open."""
        return sync_of(self.workspace) if self.workspace is not None else None

    # When it looks

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """There is something to look at."""
        super().on_workspace(workspace)
        if self.workspace is not None:
            self.work_asked = SyncWork(self, sync_of(self.workspace))
        self.look()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Look again soon: the line at the bottom tells how it stands while the pane is hidden, too."""
        if any(isinstance(event, SyncChanged) for event in events):
            if self.is_shown and self.frozen:
                self.newer += 1
            elif self._due is None:
                least = SHOWN_GAP_SECONDS if self.is_shown else HIDDEN_GAP_SECONDS
                self._due = self.set_timer(max(least, REST * self._slowest), self._look_due)

    def _look_due(self) -> None:
        self._due = None
        if not (self.is_shown and self.frozen):
            self.look()

    def keys_moved(self, *, locked: bool) -> None:
        """What waits for the keys goes on, or waits."""
        self.look()

    def shown(self) -> None:
        """Follow, and let the times run."""
        if self._tick is None:
            self._tick = self.set_interval(TICK_SECONDS, self._draw_times)
        self._tick.resume()
        self.look()

    def hidden(self) -> None:
        """Rest."""
        if self._tick is not None:
            self._tick.pause()

    def freeze(self, frozen: bool) -> None:
        """Thawing shows how things stand now."""
        super().freeze(frozen)
        if not frozen:
            self.look()

    def look(self) -> None:
        """Read how it stands, and what waits where that is in view."""
        sync = self.sync
        if sync is None:
            return
        self.fetch("status", sync.status, self._take_status)
        if self.is_shown and self.section is Section.QUEUE:
            self.fetch("queue", lambda: sync.queue(MOST_QUEUED), lambda told: self._take("queue", told))

    def _take_status(self, status: SyncStatus) -> None:
        self.contents.status = status
        self.draw()
        self.tell_changed()

    def on_sync_pane_seen(self, event: Seen) -> None:
        """Show how far it is."""
        event.stop()
        self.contents.seen = event.so_far
        self._draw_times()

    def _take(self, name: str, told: object) -> None:
        setattr(self.contents, name, told)
        self.draw()

    # What is shown

    def draw(self) -> None:
        """Show what was read."""
        contents = self.contents
        self.query_one("#sync-empty").display = not contents.has_remote
        self.query_one("#sync-main").display = contents.has_remote
        if contents.status is None or not contents.has_remote:
            self.query_one("#sync-empty", Static).update(empty_text(contents.status, self.key_names))
            self.refresh_bindings()
            return
        self.query_one(SectionTabs).update_tabs(self.section, self._counts())
        overview = self.section is Section.OVERVIEW
        two = overview and self.size.width >= WIDE_CELLS
        graphs = self.section is Section.COST or (overview and self.size.height >= TALL_CELLS)
        self.query_one("#sync-graphs").display = graphs
        for name, values in (("#sync-round-trip", "round_trip_ms"), ("#sync-failures", "failures")):
            self.query_one(name, History).replace(getattr(each, values) for each in contents.status.network)
        if self.beside.display is not two:
            self.beside.display = two
            self.call_after_refresh(self._draw_rows)
        self._draw_times()
        self.refresh_bindings()

    def _draw_times(self) -> None:
        status = self.contents.status
        if status is None or not self.contents.has_remote or self.frozen:
            return
        at = moments.now()
        self.query_one("#sync-headline", Static).update(headline(status, self.key_names, at))
        facts = self.query_one(Facts)
        low = self.size.height < LOW_CELLS
        facts.show(self.contents.facts(max(20, facts.content_size.width - 10), at, low=low))
        self._draw_rows()

    def _draw_rows(self) -> None:
        if not self.contents.has_remote:
            return
        at, words, two = moments.now(), self.query_one("#sync-filter", Input).value, self.beside.display
        rows = self.contents.rows(self.rows.row_width, words, at, self.key_names, alone=not two)
        self.rows.show_rows(rows)
        if two:
            self.beside.show_rows(self.contents.beside(self.beside.row_width, at))
        self._draw_foot()

    def _draw_foot(self) -> None:
        foot = self.query_one("#sync-foot", Static)
        foot.display = self.section is not Section.OVERVIEW or self.size.height >= LOW_CELLS
        key = self.beside.key if self.beside.display and self.beside.has_focus else self.rows.key
        foot.update(self.contents.foot(key, moments.now()))

    def _counts(self) -> dict[StrEnum, int]:
        status = self.contents.status
        return {Section.QUEUE: waiting(status)[0]} if status is not None else {}

    @property
    def key_names(self) -> Keys:
        """How the keys read that the texts name."""
        key = self.bailiwick.key_of
        own = {name: key(f"sync.{name}") for name in Keys.__dataclass_fields__ if name not in ("sync", "conflicts")}
        return Keys(sync=key("sync.now"), conflicts=key("pane.conflicts"), **own)

    @on(KeyedList.Moved)
    def _moved(self, event: KeyedList.Moved) -> None:
        event.stop()
        self._draw_foot()
        self.refresh_bindings()

    @on(KeyedList.Chosen)
    def _chosen(self, event: KeyedList.Chosen) -> None:
        event.stop()
        self.action_ask("fetch")

    @on(SectionTabs.Chosen)
    def _section_chosen(self, event: SectionTabs.Chosen) -> None:
        event.stop()
        self.show_section(Section(event.section))

    def on_resize(self, event: events.Resize) -> None:
        """Fit everything to the new size, once it has it."""
        self.set_class(event.size.height < LOW_CELLS, "-low")
        self.set_class(event.size.width >= WIDE_CELLS, "-broad")
        self.call_after_refresh(self.draw)

    # What can be done

    def default_focus(self) -> Widget | None:
        """The rows."""
        return self.rows

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action of this pane works now."""
        match action:
            case "ask":
                return self.work_asked is not None and self.work_asked.can(str(parameters[0]))
            case "back":
                busy = self.work_asked is not None and self.work_asked.is_busy
                return busy or self._is_filtered or (self.contents.has_remote and self.section is not Section.OVERVIEW)
            case "section":
                return self.contents.has_remote
        return super().check_action(action, parameters)

    @property
    def _is_filtered(self) -> bool:
        return bool(self.query_one("#sync-filter-line").display)

    def action_section(self, step: int) -> None:
        """Another section."""
        sections = list(Section)
        self.show_section(sections[(sections.index(self.section) + step) % len(sections)])

    def show_section(self, section: Section) -> None:
        """Bring a section into view."""
        if section is not self.section:
            self._cursors[self.section] = self.rows.key
            self._leave_filter(keep=False)
            self.contents.section = section
            self.draw()
            self.rows.action_first()
            self.rows.go_to(self._cursors.get(section, ""))
            self.call_after_refresh(self.draw)
            if self.is_shown:
                self.rows.focus()
            self.look()

    def action_ask(self, what: str) -> None:
        """Have it done; see ``SyncWork``."""
        if self.work_asked is not None and self.work_asked.can(what):
            getattr(self.work_asked, what)()

    # Filtering

    def focus_filter(self) -> None:
        """Show the filter and go there."""
        if self.contents.has_remote:
            self.query_one("#sync-filter-line").display = True
            self.query_one("#sync-filter", Input).focus()

    def action_back(self) -> None:
        """Stop what was begun here; else no filter; else to the overview."""
        if self.work_asked is not None and self.work_asked.is_busy:
            self.work_asked.stop()
        elif self._is_filtered:
            self._leave_filter(keep=False)
            self.rows.focus()
        else:
            self.show_section(Section.OVERVIEW)
        self.refresh_bindings()

    def _leave_filter(self, *, keep: bool) -> None:
        field = self.query_one("#sync-filter", Input)
        if not keep:
            field.value = ""
        self.query_one("#sync-filter-line").display = bool(field.value.strip())

    @on(Input.Changed, "#sync-filter")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._draw_rows()

    @on(Input.Submitted, "#sync-filter")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._leave_filter(keep=True)
        self.rows.focus()

    # What it tells

    def card(self) -> Content | str:
        """How it stands, by which strategy, and what the month costs."""
        return self.contents.card(moments.now())

    def badge(self) -> str:
        """The mark, unless all is well."""
        status = self.contents.status
        shown = glance(status) if status is not None else None
        return shown.mark if shown is not None and shown.mark in "?!✗‖▲" else ""

    def note(self) -> Content | str:
        """How it stands in the line at the bottom; nothing without a remote."""
        status = self.contents.status
        return glance(status).content if status is not None and self.contents.has_remote else ""

    def copy_text(self) -> str:
        """What is known of the row at the cursor, else how it stands."""
        status = self.contents.status
        told = self.contents.foot(self.rows.key, moments.now()).plain
        return told or (headline(status, self.key_names, moments.now()).plain if status is not None else "")


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


def _share(value: float) -> str:
    return f"{100 * value:.0f}%"
