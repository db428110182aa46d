"""One conflict to rule on: what each side changed, as many sides at once as fit, and the result under them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.conflicts.arbitration import DraftState
from core.conflicts.records import ConflictStatus
from core.conflicts.settled import gives_outcome
from tui import moments
from tui.amounts import counted
from tui.moments import clock, since
from tui.people import short_id
from tui.printable import printable
from tui.widgets.conflict_result import ConflictResult
from tui.widgets.conflict_rows import column_widths
from tui.widgets.conflict_words import (
    EDITED,
    OPEN,
    Column,
    change_text,
    outcome_glyph,
    outcome_text,
    side_parts,
    taken_text,
)
from tui.widgets.section_tabs import SectionTabs
from tui.widgets.three_sides import BAR, ThreeSides

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult

    from core.conflicts.arbitration import Arbitration, SideLabel

BESIDE_CELLS = 132
"""From so many cells on there is room for the list beside the sides."""
WIDE_CELLS = 110
MEDIUM_CELLS = 74
TALL_CELLS = 26
_TITLES: Mapping[StrEnum, str] = {column: column.value.upper() for column in Column}
_COLOURS = {Column.LOCAL: "bold $primary", Column.BASE: "bold $foreground", Column.REMOTE: "bold $secondary"}


class Layout(StrEnum):
    """How many sides are seen at once."""

    WIDE = "wide"
    MEDIUM = "medium"
    NARROW = "narrow"


def layout_of(width: int) -> Layout:
    """What fits into a pane of so many cells."""
    if width >= WIDE_CELLS:
        return Layout.WIDE
    return Layout.MEDIUM if width >= MEDIUM_CELLS else Layout.NARROW


class SideHeads(Widget):
    """Above each column whose side it is."""

    DEFAULT_CSS = "SideHeads { height: auto; background: $surface; text-wrap: nowrap; }"

    def __init__(self) -> None:
        super().__init__(id="arbitration-sides-head")
        self._columns: tuple[Column, ...] = ()
        self._labels: dict[Column, SideLabel | None] = {}
        self._width = 0
        self._lines = 1

    def show(
        self, columns: tuple[Column, ...], labels: dict[Column, SideLabel | None], width: int, *, lines: int
    ) -> None:
        """Show the labels of ``columns`` over ``width`` cells, in one line or two."""
        self._columns, self._labels, self._width = columns, labels, width
        changed, self._lines = lines != self._lines, lines
        self.styles.height = lines
        self.refresh(layout=changed)

    def render(self) -> Content:
        """Each label over its column."""
        at = moments.now()
        widths = column_widths(max(1, self._width - len(BAR)), max(1, len(self._columns)))
        lines = [Content(" ") for _ in range(self._lines)]
        for place, (column, width) in enumerate(zip(self._columns, widths, strict=False)):
            for number, told in enumerate(self._told(column, width, at)):
                fitted = told.truncate(width, ellipsis=True).pad_right(max(0, width - told.cell_length))
                between = Content.styled("│", "$frame") if place else Content("")
                lines[number] = Content.assemble(lines[number], between, fitted)
        return Content("\n").join(lines)

    def _told(self, column: Column, width: int, at: datetime) -> list[Content]:
        title = Content.styled(column.value.upper(), _COLOURS[column])
        label = self._labels.get(column)
        if label is None:
            words = Content.styled("  nothing before" if column is Column.BASE else "", "$muted")
            return [Content.assemble(title, words), *[Content("")] * (self._lines - 1)]
        parts = side_parts(label, at)
        changes, stands = change_text(label), "stands now" if label.stands else ""
        if column is Column.BASE:
            parts, changes, stands = parts[1:], "", ""
        if self._lines == 2:
            changed = f"{changes} from base" if changes and not label.is_deleted else changes
            second = " · ".join(each for each in (changed, stands) if each)
            whose = _fitting([*_shorter(parts)], width - len(column.value) - 1)
            return [Content.assemble(title, " ", whose), Content.styled(second or _BASE_NOTE[column], "$muted")]
        told = [[*each, *tail] for each in _shorter(parts) for tail in ([changes] if changes else [], [])]
        return [Content.assemble(title, " ", _fitting(told, width - len(column.value) - 1))]


_BASE_NOTE = {Column.LOCAL: "as base", Column.BASE: "what both began with", Column.REMOTE: "as base"}


def _shorter(parts: list[str]) -> list[list[str]]:
    """Device, who and when; then without the device, then who alone."""
    return [parts, parts[1:] or parts, parts[1:2] or parts]


def _fitting(told: list[list[str]], room: int) -> str:
    texts = [" · ".join(each) for each in told]
    return next((text for text in texts if cell_len(text) <= room), texts[-1] if texts else "")


class ArbitrationView(Vertical):
    """Draws an arbitration and where somebody stands in it; what is done about it is decided elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "next_tab(1)", "Next side", show=False),
        Binding("shift+tab", "next_tab(-1)", "Previous side", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="arbitration")
        self.arbitration: Arbitration | None = None
        self.base_over: Column | None = None
        """Over which side base is shown in the medium layout."""
        self.tab = Column.LOCAL
        """What is in view in the narrow layout."""
        self.room = Layout.MEDIUM
        self._apply_key = ""

    def compose(self) -> ComposeResult:
        """Why it is here, whose the sides are, the sides, and the result."""
        yield Static("", id="arbitration-note")
        yield SectionTabs(_TITLES, id="arbitration-tabs")
        yield SideHeads()
        yield ThreeSides(id="arbitration-sides")
        yield Static("", id="arbitration-result-head")
        yield ConflictResult(id="arbitration-result")

    @property
    def sides(self) -> ThreeSides:
        """The sides."""
        return self.query_one(ThreeSides)

    @property
    def result(self) -> ConflictResult:
        """The result."""
        return self.query_one(ConflictResult)

    @property
    def focus_target(self) -> Widget:
        """What has the focus in this layout."""
        return self.result if self.room is Layout.NARROW and self.tab is Column.RESULT else self.sides

    def show(self, arbitration: Arbitration, place: int | None, *, anew: bool, apply_key: str) -> None:
        """Show a conflict at a place; ``anew`` when it is another one, or about other sides than before."""
        self.arbitration, self._apply_key = arbitration, apply_key
        decisions = arbitration.choosing.decisions
        self.sides.place = self.result.place = place
        self._show_columns()
        self.sides.show(decisions, anew=anew)
        if arbitration.status is ConflictStatus.OPEN or gives_outcome(arbitration):
            self.result.show(decisions, anew=anew)
        else:
            self.result.clear()
        self.go_to(place)
        self._draw_words()

    def clear(self) -> None:
        """Show nothing, and keep nothing."""
        self.arbitration, self.base_over = None, None
        self.sides.clear()
        self.result.clear()

    def go_to(self, place: int | None) -> None:
        """Stand at a place, in the sides and in the result."""
        self.sides.go_to(place)
        self.result.go_to(place)

    def show_tab(self, tab: Column) -> None:
        """Bring a side or the result into view in the narrow layout; the place stays."""
        focused = self.sides.has_focus or self.result.has_focus
        self.tab = tab
        self._show_columns()
        self.sides.fit_rows()
        self.call_after_refresh(self.go_to, self.sides.place)
        if focused:
            self.call_after_refresh(self.focus_target.focus)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In the other layouts the key moves the focus, as everywhere."""
        return self.room is Layout.NARROW if action == "next_tab" else super().check_action(action, parameters)

    def action_next_tab(self, step: int) -> None:
        """The next tab of the narrow layout."""
        tabs = list(Column)
        self.show_tab(tabs[(tabs.index(self.tab) + step) % len(tabs)])

    def show_base(self) -> None:
        """In the medium layout: base over local, over remote, over neither."""
        following = {None: Column.LOCAL, Column.LOCAL: Column.REMOTE, Column.REMOTE: None}
        self.base_over = following[self.base_over]
        self._show_columns()
        self.sides.fit_rows()

    def toggle_words(self) -> None:
        """Word by word, or line by line."""
        self.sides.by_word = not self.sides.by_word
        self.sides.fit_rows()

    def toggle_fold(self) -> None:
        """Fold what is equal, or show all of it."""
        self.sides.folded = self.result.folded = not self.sides.folded
        self.sides.fit_rows()
        self.result.fit_rows()

    def fit(self, room: Layout) -> None:
        """Show as many sides as there is room for."""
        self.room = room
        self._show_columns()
        self.sides.fit_rows()

    def on_resize(self) -> None:
        """Fit the words to the new width, once everything has its size."""
        self.call_after_refresh(self._draw_words)

    def _columns(self) -> tuple[Column, ...]:
        match self.room:
            case Layout.WIDE:
                return (Column.LOCAL, Column.BASE, Column.REMOTE)
            case Layout.MEDIUM:
                sides = (Column.LOCAL, Column.REMOTE)
                return tuple(Column.BASE if each is self.base_over else each for each in sides)
        return (self.tab,) if self.tab is not Column.RESULT else (Column.LOCAL,)

    def _show_columns(self) -> None:
        narrow = self.room is Layout.NARROW
        on_result = self.tab is Column.RESULT
        self.query_one("#arbitration-tabs").display = narrow
        self.sides.display = not (narrow and on_result)
        self.query_one(SideHeads).display = self.sides.display
        self.result.display = not narrow or on_result
        self.sides.columns = self._columns()
        self._draw_words()

    # Words

    def _draw_words(self) -> None:
        arbitration = self.arbitration
        if arbitration is None:
            return
        self.query_one(SectionTabs).update_tabs(self.tab, {Column.RESULT: len(arbitration.open)})
        labels = {Column.LOCAL: arbitration.local, Column.BASE: arbitration.base, Column.REMOTE: arbitration.remote}
        lines = 2 if self.size.height >= TALL_CELLS else 1
        self.query_one(SideHeads).show(self.sides.columns, labels, self.sides.row_width, lines=lines)
        note = self.query_one("#arbitration-note", Static)
        told = _note(arbitration)
        note.display = bool(told)
        note.update(told)
        self.query_one("#arbitration-result-head", Static).update(self._result_head(arbitration))

    def _result_head(self, arbitration: Arbitration) -> Content:
        if arbitration.status is not ConflictStatus.OPEN:
            words = "what holds by the ruling" if gives_outcome(arbitration) else "chosen elsewhere; not known here"
            return Content.assemble(("RESULT ", "bold"), (f" {words}", "$muted"))
        problem = arbitration.problem()
        if arbitration.open:
            state = Content.styled(f"{OPEN.mark} {counted(len(arbitration.open), 'place')} open", "bold $error")
        elif problem:
            state = Content.styled(f"! {problem}", "bold $error")
        else:
            state = Content.assemble(("✓ all decided, ", "bold $success"), (self._apply_key, "bold $accent"),
                                     (" applies", "$success"))  # fmt: skip
        mark = f"{EDITED} " if arbitration.is_written else ""
        return Content.assemble(
            ("RESULT ", "bold"), (f" {mark}{taken_text(arbitration)}", "$foreground"), ("  ", ""), state
        )


def _note(arbitration: Arbitration) -> Content:
    """Why it waits for the person, what moved, or how it was settled."""
    at = moments.now()
    told: list[Content] = []
    outcome = arbitration.outcome
    if arbitration.status is not ConflictStatus.OPEN and outcome is not None:
        mark = outcome_glyph(outcome)
        how = f"Settled {outcome_text(outcome)} {since(outcome.at, at)}, took {mark.words}: {printable(outcome.why)}"
        told.append(Content.assemble((f"{mark.mark} ", "bold $success"), how))
    if arbitration.reserved:
        told.append(Content.assemble(("! ", "bold $error"), f"Kept for you: {printable(arbitration.reserved)}."))
    if arbitration.draft is DraftState.STALE or arbitration.reopened:
        count = counted(len(arbitration.reopened), "place is", "places are")
        told.append(Content.assemble(("● ", "bold $error"), f"A side moved since you chose: {count} open again."))
    if arbitration.asked is not None:
        until = clock(arbitration.asked.until)[11:16]
        told.append(Content(f"{printable(short_id(arbitration.asked.agent))} is asked until {until}; you may rule."))
    if arbitration.others:
        told.append(Content.styled(f"{counted(arbitration.others, 'further version')} kept.", "$muted"))
    return Content("  ").join(told)
