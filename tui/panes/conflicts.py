"""The conflicts pane: what two sides changed differently, what each changed, and the person's ruling on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from core.conflicts.merging.decisions import Choice
from core.conflicts.merging.outline import result_lines
from core.conflicts.records import ConflictStatus
from core.events import ConflictsChanged, Event, ItemsChanged
from tui import moments
from tui.panes.conflicts_dialogs import ConflictDialogs
from tui.panes.conflicts_reading import ConflictsWorkspace, Listing, Section, read_list
from tui.panes.conflicts_ruling import ON_DESK, RulingPane
from tui.panes.conflicts_work import ConflictWork
from tui.widgets.arbitration_view import BESIDE_CELLS, ArbitrationView, layout_of
from tui.widgets.conflict_list import ConflictList, Sort, has_words, ordered
from tui.widgets.conflict_texts import card_text, empty_text, foot_text, head_text
from tui.widgets.conflict_words import Column
from tui.widgets.section_tabs import SectionTabs

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.content import Content
    from textual.timer import Timer
    from textual.widget import Widget

    from core.conflicts.summaries import Applied, Refused
    from tui.bridge import WorkspaceLike

SHOWN_GAP_SECONDS = 0.3
HIDDEN_GAP_SECONDS = 2.0
REST = 4
"""So many times as long as the last reading took, it rests before the next."""
LOW_CELLS = 16
_TITLES: Mapping[StrEnum, str] = {Section.OPEN: "Open", Section.SETTLED: "Settled"}
_DESK = frozenset({*ON_DESK, "step", "redo", "undo", "show_base", "reopen"})
_LIST = frozenset({"open", "rule", "mark", "mark_all", "section", "sort"})


class ConflictsPane(RulingPane):
    """The list of conflicts, or one of them on the desk; on a wide screen both beside each other."""

    PANE_ID = "conflicts"
    NUMBER = 5
    TITLE = "Conflicts"
    FILTER = True
    LABELS: ClassVar[Mapping[str, str]] = {"view.filter": "Filter"}
    HELP: ClassVar[str] = (
        "Work never waits for a ruling: both versions are kept. **Enter** opens a conflict at its first open place. "
        "Each side is shown as what it changed of *base*, with `+` added, `−` removed, `~` changed.\n\n"
        "**<** takes local, **>** remote, **=** base, **+** both (again: in the other order), **e** writes what shall "
        "hold, **Backspace** leaves it open again. A choice goes on to the next open place; **A** turns that off. "
        "**n** and **p** go through what is open, **N** and **P** through every place; **L** and **R** take the rest "
        "from one side, after asking. **u** and **^R** undo and redo.\n\n"
        "**^S** applies once nothing is open; **Esc** leaves, and what was chosen is kept. In the list **u** takes the "
        "last ruling back, **m** marks several and **r** rules on them after a preview.\n\n"
        "On a narrow screen **Tab** goes through local, base, remote and result; on one of middle width **b** shows "
        "base over local, then over remote.\n\n"
        "Marks: ● open, L local, R remote, B base, ± both, ✎ edited, ~ by rule, ! kept for you."
    )

    def __init__(self) -> None:
        super().__init__()
        self.listing: Listing | None = None
        self.section = Section.OPEN
        self.sort = Sort.IMPORTANCE
        self._marked: frozenset[str] = frozenset()
        self._due: Timer | None = None
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """The list with what is known of the conflict at its cursor, and the conflict that is ruled on."""
        yield Static("", id="conflicts-empty")
        with Horizontal(id="conflicts-main"):
            with Vertical(id="conflicts-side"):
                yield SectionTabs(_TITLES, id="conflicts-sections")
                with Horizontal(id="conflicts-filter-line") as line:
                    line.display = False
                    yield Static("/", id="conflicts-filter-mark")
                    yield Input(placeholder="path, who, why", id="conflicts-filter", compact=True)
                yield Static("", id="conflicts-head")
                yield ConflictList(id="conflicts-list")
                yield Static("", id="conflicts-foot")
            yield ArbitrationView()

    @property
    def rows(self) -> ConflictList:
        """The list."""
        return self.query_one(ConflictList)

    # When it looks

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """There is something to look at."""
        super().on_workspace(workspace)
        opened = cast("ConflictsWorkspace", workspace)
        self.work_asked = ConflictWork(self, opened)
        self.dialogs = ConflictDialogs(self, opened)
        self.look()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Look again soon: the badge tells how many wait while the pane is hidden, too."""
        changed = any(isinstance(event, ConflictsChanged) for event in events)
        edited = self.is_ruling and any(isinstance(event, ItemsChanged) for event in events)
        if (changed or edited) and self._due is None:
            least = SHOWN_GAP_SECONDS if self.is_shown else HIDDEN_GAP_SECONDS
            self._due = self.set_timer(max(least, REST * self._slowest), self.look)

    def keys_moved(self, *, locked: bool) -> None:
        """What is sealed leaves the screen when the keys are locked."""
        if locked and self.is_ruling and self._is_sealed:
            self.leave_desk()
        self.look()

    @property
    def _is_sealed(self) -> bool:
        """Whether the conflict on the desk is sealed; also where that is not known."""
        known = (*self.listing.open, *self.listing.settled) if self.listing is not None else ()
        arbitration = self.desk.arbitration
        return next((each.is_sealed for each in known if arbitration is not None and each.id == arbitration.id), True)

    def shown(self) -> None:
        """See how things stand."""
        self.look()

    def hidden(self) -> None:
        """What was chosen is kept at once."""
        if self.work_asked is not None:
            self.work_asked.keep_now()

    def on_unmount(self) -> None:
        """What was chosen is kept."""
        if self.work_asked is not None:
            self.work_asked.keep_at_the_end()

    def look(self) -> None:
        """Read the list, and see whether the conflict on the desk moved."""
        self._due = None
        if self.workspace is None or self.work_asked is None:
            return
        workspace = self.work_asked.workspace
        self.fetch("list", lambda: read_list(workspace), self._take_list)
        if self.desk.arbitration is not None:
            self.work_asked.look_again(self.desk.arbitration, self.moved_under)

    def _take_list(self, listing: Listing) -> None:
        self.listing = listing
        known = {each.id for each in listing.of(self.section)}
        self._marked &= known
        self.draw()
        if self._wanted in known:
            self.rows.go_to(self._wanted)
            self._wanted = ""
        self.tell_changed()

    # What is shown

    def draw(self) -> None:
        """Show the list and the desk as they are."""
        listing = self.listing
        nothing = listing is not None and not listing.open and not listing.settled and not self.is_ruling
        self.query_one("#conflicts-empty").display = nothing
        self.query_one("#conflicts-main").display = not nothing
        width = self.content_size.width
        side = self.query_one("#conflicts-side")
        side.display = not self.is_ruling or width >= BESIDE_CELLS
        side.set_class(self.is_ruling, "-beside")
        self.view.display = self.is_ruling
        self.view.fit(layout_of(width))
        if listing is not None:
            counts: dict[StrEnum, int] = {Section.OPEN: len(listing.open), Section.SETTLED: len(listing.settled)}
            self.query_one("#conflicts-sections", SectionTabs).update_tabs(self.section, counts)
            self.query_one("#conflicts-empty", Static).update(empty_text(self.bailiwick.key_of("pane.sync")))
        self._draw_rows()
        self.refresh_bindings()

    def _draw_rows(self) -> None:
        listing = self.listing or Listing()
        words = self.query_one("#conflicts-filter", Input).value.casefold().split()
        found = [each for each in listing.of(self.section) if has_words(each, words)]
        self.rows.show_rows(ordered(found, self.sort), self._marked)
        everything = len(listing.of(self.section))
        self.query_one("#conflicts-head", Static).update(
            head_text(self.sort, len(found), everything, len(self._marked), is_open=self.section is Section.OPEN)
        )
        self._draw_foot()

    def _draw_foot(self) -> None:
        foot = self.query_one("#conflicts-foot", Static)
        foot.display = not self.is_ruling
        summary = self.rows.at_cursor
        foot.update(foot_text(summary, moments.now()) if summary is not None else "")

    def on_resize(self, event: events.Resize) -> None:
        """Fit everything to the new size, once it has it."""
        self.set_class(event.size.height < LOW_CELLS, "-low")
        self.call_after_refresh(self.draw)

    def default_focus(self) -> Widget | None:
        """The sides, or the list."""
        return self.view.focus_target if self.is_ruling else self.rows

    @on(ConflictList.Moved)
    def _list_moved(self, event: ConflictList.Moved) -> None:
        event.stop()
        self._draw_foot()
        self.refresh_bindings()

    @on(ConflictList.Chosen)
    def _list_chosen(self, event: ConflictList.Chosen) -> None:
        event.stop()
        self.action_open()

    @on(SectionTabs.Chosen)
    def _section_chosen(self, event: SectionTabs.Chosen) -> None:
        event.stop()
        if isinstance(event.section, Column):
            self.view.show_tab(event.section)
        elif event.section is not self.section:
            self.action_section()

    # What can be done

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action of this pane works now."""
        listing, on_desk = self.listing, self.is_ruling
        if action == "back":
            return on_desk or self._is_filtered or self.section is Section.SETTLED or bool(self._marked)
        if action in _LIST:
            has_rows = bool(self.rows.rows) and not on_desk
            if action == "section":
                return not on_desk and listing is not None and bool(listing.open or listing.settled)
            return has_rows and (self.section is Section.OPEN or action in ("open", "sort"))
        if on_desk:
            return self.can_on_desk(action, parameters) if action in _DESK else super().check_action(action, parameters)
        if action == "undo":
            return self._undoable != ""
        if action == "reopen":
            return self.section is Section.SETTLED and bool(self.rows.key)
        return False if action in _DESK else super().check_action(action, parameters)

    @property
    def _undoable(self) -> str:
        """The conflict whose ruling is taken back: the settled one at the cursor, else the last one ruled on here."""
        if self.section is Section.SETTLED:
            return self.rows.key
        return self.work_asked.applied[-1] if self.work_asked is not None and self.work_asked.applied else ""

    @property
    def _is_filtered(self) -> bool:
        return bool(self.query_one("#conflicts-filter-line").display)

    def action_open(self) -> None:
        """Put the conflict at the cursor on the desk."""
        if self.work_asked is not None and self.rows.key:
            self.work_asked.open(self.rows.key, self.lay)

    def action_undo(self) -> None:
        """Take the last choice back, or in the list a ruling."""
        if self.is_ruling:
            self.act(self.desk.undo)
        elif self.work_asked is not None and self._undoable:
            self.work_asked.undo_applied(self._undoable, self._opened_again(self._undoable))

    def action_reopen(self) -> None:
        """Undecided again: the place on the desk, or what was settled."""
        arbitration = self.desk.arbitration
        if arbitration is not None and arbitration.status is ConflictStatus.OPEN:
            self.act(lambda: self.desk.take(Choice.UNRESOLVED))
        elif self.work_asked is not None:
            key = arbitration.id if arbitration is not None else self.rows.key
            done = self._opened_again(key)
            self.work_asked.reopen(key, lambda _: done())

    def _opened_again(self, key: str) -> Callable[[], None]:
        def done() -> None:
            if self.is_ruling:
                self.leave_desk()
            self.section = Section.OPEN
            self._wanted = key
            self.look()

        return done

    def settled_here(self) -> None:
        """What was on the desk was applied: back to the list, where the next one is."""
        self.leave_desk()
        self.look()

    def action_mark(self) -> None:
        """Mark the conflict at the cursor, or not any more, and go on."""
        self._marked ^= {self.rows.key}
        self._draw_rows()
        self.rows.action_move(1)
        self.refresh_bindings()

    def action_mark_all(self) -> None:
        """Mark everything that is listed, or nothing."""
        listed = frozenset(each.id for each in self.rows.rows)
        self._marked = frozenset() if listed <= self._marked else self._marked | listed
        self._draw_rows()
        self.refresh_bindings()

    def action_rule(self) -> None:
        """Rule on those that are marked, or on the one at the cursor, after a preview."""
        chosen = [each.id for each in ordered(self.listing.open, self.sort) if each.id in self._marked] if (
            self.listing is not None) else []  # fmt: skip
        if self.dialogs is not None and self.work_asked is not None:
            self.dialogs.rule(chosen or [self.rows.key], self._ruled_many)

    def _ruled_many(self, outcomes: list[Applied | Refused]) -> None:
        self._marked = frozenset()
        if self.work_asked is not None:
            self.work_asked.ruled_many(outcomes)
        self.look()

    def action_section(self) -> None:
        """What is settled, or what is open."""
        self.section = Section.SETTLED if self.section is Section.OPEN else Section.OPEN
        self._marked = frozenset()
        self._leave_filter(keep=False)
        self.draw()
        self.rows.action_move_to(0)

    def action_sort(self) -> None:
        """Another order."""
        orders = list(Sort)
        self.sort = orders[(orders.index(self.sort) + 1) % len(orders)]
        self._draw_rows()

    # Filtering

    def focus_filter(self) -> None:
        """Show the filter and go there."""
        if not self.is_ruling:
            self.query_one("#conflicts-filter-line").display = True
            self.query_one("#conflicts-filter", Input).focus()

    def action_back(self) -> None:
        """Off the desk; else no filter, no marks, or back to what is open."""
        if self.is_ruling:
            self.leave_desk()
        elif self._is_filtered:
            self._leave_filter(keep=False)
            self.rows.focus()
        elif self._marked:
            self._marked = frozenset()
            self._draw_rows()
        elif self.section is Section.SETTLED:
            self.action_section()
        self.refresh_bindings()

    def _leave_filter(self, *, keep: bool) -> None:
        field = self.query_one("#conflicts-filter", Input)
        if not keep:
            field.value = ""
        self.query_one("#conflicts-filter-line").display = bool(field.value.strip())

    @on(Input.Changed, "#conflicts-filter")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._draw_rows()

    @on(Input.Submitted, "#conflicts-filter")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._leave_filter(keep=True)
        self.rows.focus()

    # What it tells

    def card(self) -> Content | str:
        """How many wait, and which first."""
        return card_text(self.listing.open, moments.now()) if self.listing is not None else ""

    def badge(self) -> str:
        """How many wait."""
        return str(len(self.listing.open)) if self.listing is not None and self.listing.open else ""

    def copy_text(self) -> str:
        """The result as far as it is decided; in the list, what is known of the conflict at the cursor."""
        arbitration = self.desk.arbitration
        if arbitration is not None:
            return "\n".join(line.text for line in result_lines(arbitration.choosing.decisions) if not line.is_nothing)
        summary = self.rows.at_cursor
        return foot_text(summary, moments.now()).plain if summary is not None else ""
