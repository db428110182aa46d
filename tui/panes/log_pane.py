"""What the panes of one long log share: the log, the detail beside it, filters that peel off."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic

from textual import on
from textual.containers import Horizontal, Vertical
from textual.content import Content

from tui.panes.fetching import FetchingPane
from tui.people import People
from tui.widgets.log_head import LogHead, position_text
from tui.widgets.log_sources import DenseRows, PickedRows
from tui.widgets.paged_log import PagedLog
from tui.widgets.row_pages import Row

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer
    from textual.widget import Widget

    from tui.bridge import WorkspaceLike

NARROW_CELLS = 96
PICK_SECONDS = 0.5
PICK_REST = 4


class LogPane(FetchingPane, Generic[Row]):
    """A log with its detail: side by side where there is room, else one at a time.

    A filter picks the numbers of its rows on a thread; the rows themselves are read page by page while they are drawn.
    ``chosen`` are the names of the filters in force, in the order in which they were chosen.
    """

    LIVE = True

    def __init__(self, log: PagedLog[Row]) -> None:
        super().__init__()
        self.log_view = log
        self.head = LogHead()
        self.chosen: list[str] = []
        self.people = People()
        self.source: DenseRows[Row] | PickedRows[Row] | None = None
        self._stale = False
        self._due: Timer | None = None

    # What a pane of this kind says of itself

    def compose_above(self) -> ComposeResult:
        """What stands between the head and the log."""
        yield from ()

    def compose_detail(self) -> ComposeResult:
        """The parts of the detail."""
        yield from ()

    def whole(self) -> DenseRows[Row]:
        """The source of all rows; called once the workspace is open."""
        raise NotImplementedError

    def picker(self) -> Callable[[], array[int]] | None:
        """What finds the numbers of the filtered rows, to be called on a thread; ``None`` without a filter."""
        raise NotImplementedError

    def picked(self, numbers: array[int]) -> PickedRows[Row]:
        """The source of the rows with these numbers."""
        raise NotImplementedError

    def empty_text(self) -> Content:
        """What is shown while there are no rows at all."""
        return Content("")

    def describe(self) -> Content:
        """What is chosen of the log, for the left side of the head."""
        raise NotImplementedError

    def open_row(self, row: Row) -> None:
        """Show a row in the detail."""

    def detail_focus(self) -> Widget:
        """What gets the focus when the detail is entered."""
        raise NotImplementedError

    def peel(self) -> None:
        """Take the last filter away; ``chosen`` has one at least."""

    # How it stands on the screen

    def compose(self) -> ComposeResult:
        """Head, log and detail."""
        yield self.head
        yield from self.compose_above()
        with Horizontal(classes="log-body"):
            yield self.log_view
            with Vertical(classes="log-detail"):
                yield from self.compose_detail()

    def on_mount(self) -> None:
        """Follow where the log is."""
        self.log_view.empty = Content("Opening the workspace …")
        for name in ("following", "pending", "frozen"):
            self.watch(self.log_view, name, self._log_moved, init=False)
        self.show_head()

    def on_resize(self, event: events.Resize) -> None:
        """Side by side where there is room, else one at a time."""
        self.set_class(event.size.width < NARROW_CELLS, "-stacked")

    def default_focus(self) -> Widget | None:
        """The log, or the detail where that covers it."""
        return self.detail_focus() if self.has_class("-stacked") and self.is_reading else self.log_view

    @property
    def is_reading(self) -> bool:
        """Whether the person went into the detail."""
        return self.has_class("-reading")

    def read_detail(self, reading: bool) -> None:
        """Go into the detail, or back to the log."""
        self.set_class(reading, "-reading")
        (self.detail_focus() if reading else self.log_view).focus()
        self.refresh_bindings()

    def show_head(self) -> None:
        """Bring the head up to date."""
        log = self.log_view
        place = position_text(log.cursor, log.count, log.pending, following=log.following, frozen=self.frozen)
        self.head.show(self.describe(), place)

    def _log_moved(self) -> None:
        if self.frozen:
            self.newer = self.log_view.pending
        self.show_head()

    @on(LogHead.Chosen)
    def _head_chosen(self, event: LogHead.Chosen) -> None:
        event.stop()
        self.log_view.action_newest()

    @on(PagedLog.Highlighted)
    def _highlighted(self, event: PagedLog.Highlighted[Row]) -> None:
        event.stop()
        self.open_row(event.row)
        self.show_head()
        self.refresh_bindings()

    @on(PagedLog.Selected)
    def _selected(self, event: PagedLog.Selected[Row]) -> None:
        event.stop()
        self.action_open()

    @on(PagedLog.Failed)
    def _failed(self, event: PagedLog.Failed) -> None:
        event.stop()
        self.notify(str(event.error), severity="error", markup=False)

    def action_open(self) -> None:
        """Go into the detail of the row at the cursor."""
        if self.log_view.row_at_cursor is not None:
            self.read_detail(reading=True)

    def action_back(self) -> None:
        """One step back: out of the detail, then one filter less."""
        if self.is_reading:
            self.read_detail(reading=False)
        elif self.chosen:
            self.peel()
            self.filters_changed()

    # Which rows it shows

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """The rows can be read now."""
        super().on_workspace(workspace)
        self.learn_people()
        self.filters_changed()

    def filters_changed(self) -> None:
        """Show what the filters let through, near the row where the person is."""
        if self.workspace is None:
            return
        pick = self.picker()
        if pick is None:
            self._void("pick")
            self._show_source(self.whole())
        else:
            self.head.show(Content("filtering …"), Content(""))
            self.fetch("pick", pick, lambda numbers: self._show_source(self.picked(numbers)))

    def _show_source(self, source: DenseRows[Row] | PickedRows[Row]) -> None:
        self.source = source
        filtered = isinstance(source, PickedRows)
        nothing = Content("Nothing matches. Esc takes the last filter away.")
        self.log_view.empty = nothing if filtered else self.empty_text()
        self.log_view.show(source, keep=True)
        self.rows_shown()
        self.show_head()
        self.refresh_bindings()

    def rows_shown(self) -> None:
        """Other rows are shown now."""

    def rows_changed(self, *, reread: bool) -> None:
        """Rows came; with ``reread`` those that were there may read differently too. A hidden pane only takes note."""
        if not self.is_shown:
            self._stale = True
            return
        if not isinstance(self.source, PickedRows):
            self._catch_up(reread=reread)
        if self.is_picking and self._due is None:
            # To pick may mean to look at every row: not for each one that comes, and never most of the time.
            self._due = self.set_timer(max(PICK_SECONDS, PICK_REST * self._slowest), self._pick_later)

    @property
    def is_picking(self) -> bool:
        """Whether rows that come have to be looked at before they are shown."""
        return bool(self.chosen)

    def _pick_later(self) -> None:
        self._due = None
        self.pick_again()

    def pick_again(self) -> None:
        """Filter again, now that there are more rows."""
        pick = self.picker()
        if pick is not None:
            self.fetch("pick", pick, self._take_more)

    def _take_more(self, numbers: array[int]) -> None:
        if isinstance(self.source, PickedRows):
            self.source.numbers = numbers
            self._catch_up(reread=True)

    def _catch_up(self, *, reread: bool) -> None:
        if reread and not self.frozen:
            self.log_view.changed()
        else:
            self.log_view.grown()
        self.show_head()

    def shown(self) -> None:
        """Catch up with what came while hidden."""
        if self._stale:
            self._stale = False
            self.rows_changed(reread=True)

    def freeze(self, frozen: bool) -> None:
        """Hold the rows as they are, or let them go and catch up."""
        super().freeze(frozen)
        self.log_view.freeze(frozen)
        if not frozen:
            self.rows_changed(reread=True)
        self._log_moved()

    def learn_people(self) -> None:
        """Read the names again."""
        if self.workspace is None:
            return
        agents, person = self.workspace.agentfs.agents, self.workspace.person

        def take(people: People) -> None:
            if people != self.people:
                self.people = people
                self.log_view.changed()
                self.people_changed()

        self.fetch("people", lambda: People.of(agents.all(retired=True), person, agents.person_id(person.id)), take)

    def people_changed(self) -> None:
        """Names may read differently now."""
