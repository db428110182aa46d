"""The result of what is chosen so far, always computed; beside each line stands where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip

from core.conflicts.merging.decisions import Form
from core.conflicts.merging.outline import ResultLine, result_lines
from tui.widgets.conflict_rows import CONTEXT, FEW_LINES, Cell, shown_text, wrapped
from tui.widgets.conflict_words import EDITED, NOTHING, Glyph, glyph
from tui.widgets.line_view import LineView
from tui.widgets.three_sides import BAR

if TYPE_CHECKING:
    from textual import events

    from core.conflicts.merging.decisions import Decisions

GUTTER = 3


class _Row(NamedTuple):
    """A line on the screen: of a decision or of none, or how many lines are folded in run ``folded``."""

    cell: Cell
    number: int | None = None
    folded: int | None = None


class ConflictResult(LineView):
    """Follows the place where the sides stand."""

    class Pointed(Message):
        """A line of a place was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self.folded = True
        self.place: int | None = None
        self._unfolded: frozenset[int] = frozenset()
        self._decisions: Decisions | None = None
        self._rows: tuple[_Row, ...] = ()
        self._places: dict[int, tuple[int, int]] = {}

    def show(self, decisions: Decisions, *, anew: bool) -> None:
        """Show the result of these; ``anew`` when they are about other sides than before."""
        if anew:
            self._unfolded = frozenset()
        self._decisions = decisions
        self.fit_rows()

    def clear(self) -> None:
        """Show nothing, and keep nothing."""
        self._decisions, self._rows, self._places = None, (), {}
        self.set_count(0)

    def go_to(self, number: int | None) -> None:
        """Mark a place and have it in sight."""
        self.place = number
        self.redraw()
        if number in self._places:
            self.show_range(*self._places[number])

    def fit_rows(self) -> None:
        """Make the rows for the width and the folds that hold now."""
        if self._decisions is None or not self.row_width:
            return
        self._rows = tuple(self._made(result_lines(self._decisions)))
        self._places = {}
        for index, row in enumerate(self._rows):
            if row.number is not None:
                begin, _ = self._places.get(row.number, (index, index))
                self._places[row.number] = (begin, index + 1)
        self.set_count(len(self._rows))
        self.go_to(self.place)

    def on_resize(self) -> None:
        """Fit the rows to the new width."""
        self.fit_rows()

    def _made(self, lines: tuple[ResultLine, ...]) -> Iterator[_Row]:
        width = self.row_width - len(BAR) - GUTTER
        context = CONTEXT if self.view_height > FEW_LINES else 1
        is_whole = self._decisions is not None and self._decisions.written is not None
        if not lines:
            yield _Row(Cell(" ", (("note", f"{NOTHING} nothing, or nothing that can be shown"),)))
        at = 0
        for run, (changed, group) in enumerate(groupby(lines, key=lambda line: line.number is not None)):
            texts = [*group]
            at += len(texts)
            if changed or is_whole:
                for each in texts:
                    yield from self._changed(each, width)
                continue
            head = context if at > len(texts) else 0
            tail = context if at < len(lines) else 0
            if not self.folded or run in self._unfolded or len(texts) <= head + tail + 1:
                head, tail = len(texts), 0
            for line in texts[:head]:
                yield from (_Row(cell) for cell in wrapped(" ", [("equal", shown_text(line.text))], width))
            if len(texts) > head + tail:
                count = len(texts) - head - tail
                yield _Row(Cell(" ", (("fold", f"┄┄ {count:,} equal lines ┄┄"),)), folded=run)
                for line in texts[len(texts) - tail :]:
                    yield from (_Row(cell) for cell in wrapped(" ", [("equal", shown_text(line.text))], width))

    def _changed(self, line: ResultLine, width: int) -> Iterator[_Row]:
        mark = self._glyph(line.number)
        is_open = line.number is not None and mark.part == "open"
        if line.is_nothing:
            is_all = self._decisions is not None and self._decisions.form is Form.WHOLE
            words = "nothing is chosen here yet" if is_open else f"{NOTHING} {'deleted' if is_all else 'nothing'}"
            yield _Row(Cell(mark.mark, (("note", words),)), line.number)
            return
        part = "waiting" if is_open else "plain"
        for cell in wrapped(mark.mark, [(part, shown_text(line.text))], width):
            yield _Row(cell, line.number)

    def _glyph(self, number: int | None) -> Glyph:
        if number is None or self._decisions is None:
            return Glyph(EDITED, "made", "edited")
        return glyph(self._decisions.decisions[number])

    def draw(self, index: int) -> Strip:
        """One row."""
        row = self._rows[index]
        behind = "here" if row.number is not None and row.number == self.place else ""
        bar = Segment(BAR if behind else " ", self.style_of(f"{behind} bar"))
        part = self._glyph(row.number).part if row.cell.sign != " " else ""
        texts = [(part, f"{row.cell.sign}  "), *row.cell.texts]
        return Strip([bar, *self.segments(texts, self.row_width - len(BAR), behind)], self.row_width)

    def on_click(self, event: events.Click) -> None:
        """Go to the place under the pointer; unfold what is folded there."""
        event.stop()
        index = event.y + self.top
        if not 0 <= index < len(self._rows):
            return
        row = self._rows[index]
        if row.folded is not None:
            self._unfolded |= {row.folded}
            self.fit_rows()
        elif row.number is not None:
            self.post_message(self.Pointed(row.number))
