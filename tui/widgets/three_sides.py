"""What each side changed of base, beside each other and in one scroll: a click takes what is under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from core.conflicts.merging.decisions import Choice, Form
from core.conflicts.merging.outline import Part, Place, outline
from tui.printable import printable
from tui.widgets.conflict_rows import (
    CONTEXT,
    FEW_LINES,
    Cell,
    Manner,
    RowKind,
    SideRow,
    SideRows,
    column_widths,
    side_rows,
)
from tui.widgets.conflict_words import Column, glyph
from tui.widgets.line_view import LineView, Texts

if TYPE_CHECKING:
    from textual import events

    from core.conflicts.merging.decisions import Decision, Decisions

BAR = "▌"
RULE = "─"
_TAKEN = {
    Column.LOCAL: {Choice.LOCAL: "┃", Choice.BOTH_LOCAL_FIRST: "1", Choice.BOTH_REMOTE_FIRST: "2"},
    Column.BASE: {Choice.BASE: "┃"},
    Column.REMOTE: {Choice.REMOTE: "┃", Choice.BOTH_LOCAL_FIRST: "2", Choice.BOTH_REMOTE_FIRST: "1"},
}
_MADE = (Choice.UNRESOLVED, Choice.CUSTOM)


class ThreeSides(LineView):
    """Shows the sides in ``columns``. What is drawn of a place changes with its choice, where it stands does not."""

    class Pointed(Message):
        """A place was clicked, on one of its sides, or on ``None`` of them."""

        def __init__(self, number: int, column: Column | None) -> None:
            super().__init__()
            self.number = number
            self.column = column

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self.columns: tuple[Column, ...] = (Column.LOCAL, Column.BASE, Column.REMOTE)
        self.by_word = True
        self.folded = True
        self.place: int | None = None
        self._unfolded: frozenset[int] = frozenset()
        self._decisions: Decisions | None = None
        self._parts: tuple[Part, ...] = ()
        self._order: dict[int, int] = {}
        self._made: SideRows = SideRows()
        self._manner: Manner | None = None

    @property
    def places(self) -> tuple[int, ...]:
        """The numbers of the decisions about changes, as they are read."""
        return tuple(self._order)

    def show(self, decisions: Decisions, *, anew: bool) -> None:
        """Show these; ``anew`` when they are about other sides than before."""
        if anew or self._decisions is None:
            self._parts = outline(decisions)
            self._order = {
                number: place
                for place, number in enumerate((each.number for each in self._parts if isinstance(each, Place)), 1)
            }
            self._unfolded, self._manner = frozenset(), None
        self._decisions = decisions
        self.fit_rows()

    def clear(self) -> None:
        """Show nothing, and keep nothing."""
        self._decisions, self._parts, self._order, self._manner = None, (), {}, None
        self._made = SideRows()
        self.set_count(0)

    def go_to(self, number: int | None) -> None:
        """Stand at a place and have it in sight."""
        self.place = number
        self.redraw()
        if number in self._made.places:
            self.show_range(*self._made.places[number])

    def fit_rows(self) -> None:
        """Make the rows for the width, the columns and the folds that hold now, unless they are those."""
        if self._decisions is None or not self.row_width:
            return
        widths = column_widths(self.row_width - len(BAR), len(self.columns))
        context = CONTEXT if self.view_height > FEW_LINES else 1
        manner = Manner(self.columns, widths, self.by_word, self.folded, self._unfolded, self.app.no_color, context)
        if manner != self._manner:
            self._manner = manner
            by_line = self._decisions.form is Form.TEXT
            self._made = side_rows(self._parts, self._decisions.decisions, manner, by_line=by_line)
            self.set_count(len(self._made.rows))
            self.go_to(self.place)
        else:
            self.redraw()

    def on_resize(self) -> None:
        """Fit the rows to the new width."""
        self.fit_rows()

    # Drawing

    def draw(self, index: int) -> Strip:
        """One row."""
        row = self._made.rows[index]
        is_place = row.kind in (RowKind.HEAD, RowKind.SAID, RowKind.LINE)
        behind = "here" if is_place and row.number == self.place else ""
        bar = Segment(BAR if behind else " ", self.style_of(f"{behind} bar"))
        room = self.row_width - len(BAR)
        if row.cells:
            segments = self._columns(row, behind)
        elif row.kind is RowKind.HEAD:
            segments = self._head(row.number, room, behind)
        elif row.kind is RowKind.FOLD:
            segments = self.segments([("fold", f"   ┄┄ {row.text} ┄┄")], room)
        else:
            part = "said" if row.kind is RowKind.SAID else "equal"
            segments = self.segments([(part, f"   {row.text}")], room, behind)
        return Strip([bar, *segments], self.row_width)

    def _decision(self, number: int) -> Decision:
        assert self._decisions is not None
        return self._decisions.decisions[number]

    def _head(self, number: int, room: int, behind: str) -> list[Segment]:
        """Which place it is, and what is chosen there."""
        decision = self._decision(number)
        mark = glyph(decision)
        chosen = f" {mark.mark} {mark.words.removeprefix('auto: ')} "
        count = f"{self._order[number]}/{len(self._order)} "
        path = printable(decision.path) or "all of it"
        space = room - cell_len(chosen) - cell_len(count) - 4
        if cell_len(path) > space:
            path = f"…{path[-max(1, space - 1) :]}" if space > 1 else ""
        fill = max(0, space - cell_len(path))
        texts: Texts = [
            ("frame", f"{RULE} "), ("muted", count), ("strong", path), ("frame", f" {RULE * fill}"),
            (mark.part, chosen), ("frame", RULE),
        ]  # fmt: skip
        return self.segments(texts, room, behind)

    def _columns(self, row: SideRow, behind: str) -> list[Segment]:
        segments: list[Segment] = []
        assert self._manner is not None
        choice = self._decision(row.number).choice if row.kind is RowKind.LINE else Choice.UNRESOLVED
        for place, (column, width) in enumerate(zip(self.columns, self._manner.widths, strict=True)):
            if place:
                segments.append(Segment("│", self.style_of(f"{behind} frame")))
            cell = row.cells[place]
            taken = _TAKEN[column].get(choice, "")
            passed = "" if taken or choice in _MADE or row.kind is RowKind.EQUAL else "passed"
            segments += self.segments(_texts(cell, column, taken, passed), width, behind)
        return segments

    # The pointer

    def on_click(self, event: events.Click) -> None:
        """Take the side under the pointer; unfold what is folded there."""
        event.stop()
        index = event.y + self.top
        if not 0 <= index < len(self._made.rows) or self._manner is None:
            return
        row = self._made.rows[index]
        if row.kind is RowKind.FOLD:
            self._unfolded |= {row.number}
            self.fit_rows()
        elif row.kind is not RowKind.EQUAL:
            self.post_message(self.Pointed(row.number, self._column_at(event.x) if row.cells else None))

    def _column_at(self, x: int) -> Column | None:
        position = len(BAR)
        for column, width in zip(self.columns, self._manner.widths if self._manner else (), strict=False):
            if position <= x < position + width:
                return column
            position += width + 1
        return None


def _texts(cell: Cell | None, column: Column, taken: str, passed: str) -> Texts:
    """A column's part of a row: whether it is taken, the sign, and the text."""
    bar = (column.value, taken or " ")
    if cell is None:
        return [bar]
    sign = passed or {"+": "made", "−": "alarm", "~": "marked"}.get(cell.sign, "")
    texts: Sequence[tuple[str, str]] = [(f"{part} {passed}", text) for part, text in cell.texts]
    return [bar, (sign, cell.sign), ("", " "), *texts]
