"""The list of conflicts: a line each, drawn only where it is in sight, with a cursor and marks for several at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from core.conflicts.records import ConflictStatus
from tui import moments
from tui.widgets.conflict_words import EDITED, OPEN, about, against, age, outcome_glyph, outcome_text
from tui.widgets.levels import SEALED
from tui.widgets.line_view import LineView
from tui.widgets.three_sides import BAR

if TYPE_CHECKING:
    from datetime import datetime

    from textual import events

    from core.conflicts.summaries import ConflictSummary

WIDE_CELLS = 62
BROAD_CELLS = 96
AGE_CELLS = 6
COUNT_CELLS = 10
WHO_CELLS = (18, 30)
REASON_CELLS = 14
MARKED = "✓"


class Sort(StrEnum):
    """By what the conflicts are ordered."""

    IMPORTANCE = "important first"
    """Those that are kept for the person, then the oldest."""
    OLDEST = "oldest first"
    NEWEST = "last changed first"
    PATH = "by path"


def ordered(summaries: Iterable[ConflictSummary], sort: Sort) -> list[ConflictSummary]:
    """The conflicts in the order of ``sort``."""
    match sort:
        case Sort.IMPORTANCE:
            return sorted(summaries, key=lambda each: (not each.reserved, each.opened_at, each.id))
        case Sort.OLDEST:
            return sorted(summaries, key=lambda each: (each.opened_at, each.id))
        case Sort.NEWEST:
            return sorted(summaries, key=lambda each: (each.updated_at, each.id), reverse=True)
    return sorted(summaries, key=lambda each: (each.path, each.opened_at, each.id))


def has_words(summary: ConflictSummary, words: Sequence[str]) -> bool:
    """Whether what is known of a conflict has every one of ``words``."""
    if not words:
        return True
    sides = (part for side in (summary.local, summary.remote) for part in (side.who, side.device_name))
    outcome = outcome_text(summary.outcome) if summary.outcome is not None else ""
    text = " ".join((summary.path, summary.about, summary.kind, summary.reserved, outcome, *sides)).casefold()
    return all(word in text for word in words)


class ConflictList(LineView):
    """Shows summaries; the cursor stays on its conflict whatever comes or goes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move_page(-1)", "Page up", show=False),
        Binding("pagedown", "move_page(1)", "Page down", show=False),
        Binding("home", "move_to(0)", "First", show=False),
        Binding("end", "move_to(-1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Moved(Message):
        """The cursor is on another conflict."""

    class Chosen(Message):
        """A conflict was chosen: Enter, or a click."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self.rows: tuple[ConflictSummary, ...] = ()
        self.marked: frozenset[str] = frozenset()
        self._cursor = 0

    @property
    def key(self) -> str:
        """The id of the conflict at the cursor; empty without any."""
        return self.rows[self._cursor].id if self._cursor < len(self.rows) else ""

    @property
    def at_cursor(self) -> ConflictSummary | None:
        """The conflict at the cursor."""
        return self.rows[self._cursor] if self._cursor < len(self.rows) else None

    def show_rows(self, rows: Sequence[ConflictSummary], marked: frozenset[str]) -> None:
        """Show these; a cursor whose conflict is gone stays at its place."""
        before = self.key
        self.rows, self.marked = tuple(rows), marked
        places: Mapping[str, int] = {row.id: place for place, row in enumerate(self.rows)}
        self._cursor = places.get(before, max(0, min(self._cursor, len(self.rows) - 1)))
        self.set_count(len(self.rows))
        self._settle(moved=self.key != before)

    def go_to(self, key: str) -> None:
        """Put the cursor on a conflict."""
        place = next((place for place, row in enumerate(self.rows) if row.id == key), None)
        if place is not None:
            self.action_move_to(place)

    def action_move(self, step: int) -> None:
        """Move the cursor by ``step`` rows."""
        self._move(self._cursor + step)

    def action_move_page(self, step: int) -> None:
        """Move the cursor by a view."""
        self._move(self._cursor + step * max(1, self.view_height - 1))

    def action_move_to(self, place: int) -> None:
        """Put the cursor on a row, from the end for a negative one."""
        self._move(place if place >= 0 else len(self.rows) + place)

    def action_choose(self) -> None:
        """Choose the conflict at the cursor."""
        if self.rows:
            self.post_message(self.Chosen())

    def _move(self, place: int) -> None:
        before = self._cursor
        self._cursor = max(0, min(place, len(self.rows) - 1))
        self._settle(moved=self._cursor != before)

    def _settle(self, *, moved: bool) -> None:
        if self.rows:
            self.show_range(self._cursor, self._cursor + 1, margin=0)
        if moved:
            self.redraw()
            self.post_message(self.Moved())

    def on_resize(self) -> None:
        """Fit the rows to the new width."""
        self.redraw()
        self._settle(moved=False)

    def on_click(self, event: events.Click) -> None:
        """Choose the conflict under the pointer."""
        event.stop()
        place = event.y + self.top
        if 0 <= place < len(self.rows):
            self._move(place)
            self.action_choose()

    # Drawing

    def draw(self, index: int) -> Strip:
        """One conflict."""
        row, width = self.rows[index], self.row_width - len(BAR)
        behind = "here" if index == self._cursor else ""
        bar = Segment(BAR if behind else " ", self.style_of(f"{behind} bar"))
        return Strip([bar, *self.segments(self._texts(row, width), width, behind)], self.row_width)

    def _texts(self, row: ConflictSummary, width: int) -> list[tuple[str, str]]:
        is_open, at = row.status is ConflictStatus.OPEN, moments.now()
        mark = OPEN if is_open else outcome_glyph(row.outcome)
        texts = [("marked", MARKED if row.id in self.marked else " "), ("", " "), (mark.part, f"{mark.mark} ")]
        tail = self._tail(row, width, at) if is_open else self._settled_tail(row, width, at)
        room = max(6, width - 4 - sum(cell_len(text) for _, text in tail))
        return [*texts, ("strong" if is_open else "plain", _fitted(about(row), room)), *tail]

    def _tail(self, row: ConflictSummary, width: int, at: datetime) -> list[tuple[str, str]]:
        count = f"{row.open}/{row.places} open" if row.places else "sealed" if row.is_sealed else "open"
        if width < WIDE_CELLS:
            return [("muted", f" {count.removesuffix(' open'):>5}"), *_flags(row)]
        who = WHO_CELLS[width >= BROAD_CELLS]
        texts = [
            ("plain", f" {count:>{COUNT_CELLS}}  "),
            ("plain", _fitted(against(row), who)),
            ("muted", f" {age(row.opened_at, at):>{AGE_CELLS}}"),
        ]
        if width >= BROAD_CELLS:
            texts.append(("alarm", f"  {_fitted(row.reserved, REASON_CELLS)}"))
        return [*texts, *_flags(row)]

    @staticmethod
    def _settled_tail(row: ConflictSummary, width: int, at: datetime) -> list[tuple[str, str]]:
        if row.outcome is None:
            return []
        how = outcome_text(row.outcome)
        when = f" {age(row.outcome.at, at):>{AGE_CELLS}}"
        if width < WIDE_CELLS:
            return [("muted", when)]
        return [("muted", f"  {_fitted(how, 26)}"), ("muted", when), *_flags(row)]


def _flags(row: ConflictSummary) -> list[tuple[str, str]]:
    """Kept for the person, a draft, sealed."""
    reserved = "!" if row.reserved and row.status is ConflictStatus.OPEN else " "
    draft = EDITED if row.has_draft else " "
    return [("", " "), ("alarm", reserved), ("made", draft), ("muted", SEALED if row.is_sealed else " ")]


def _fitted(text: str, cells: int) -> str:
    """``text`` in exactly so many cells; of one that is longer the end is kept, which tells most of a path."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    while text and cell_len(text) > cells - 1:
        text = text[1:]
    return set_cell_size(f"…{text}", cells)
