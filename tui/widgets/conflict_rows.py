"""The rows of the three sides of a conflict: places aligned by the lines of base, and what is equal between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len

from core.conflicts.merging.decisions import Absent, Content, Decision, DecisionKind
from core.conflicts.merging.line_changes import LineChange, LineMark, line_changes
from core.conflicts.merging.outline import Equal, Part, Place, shown_lines, written_json
from core.conflicts.merging.text_merge import Mark, Words
from tui.printable import printable
from tui.widgets.conflict_words import Column, note_of, sentence
from tui.widgets.json_view import TAB_CELLS, cut_text

GUTTER = 3
"""Cells before the text of a column: whether it is taken, what became of the line, and a blank."""
CONTEXT = 2
"""Equal lines that are shown beside a place when the rest is folded; one where there are few lines in all."""
FEW_LINES = 14
BRACKETS = {Mark.KEPT: ("", ""), Mark.REMOVED: ("[-", "-]"), Mark.ADDED: ("{+", "+}")}
_WHOLE = {LineMark.KEPT: "kept", LineMark.REMOVED: "whole-removed", LineMark.ADDED: "whole-added"}
_SIGNS = {LineMark.KEPT: " ", LineMark.CHANGED: "~", LineMark.REMOVED: "−", LineMark.ADDED: "+"}


class RowKind(Enum):
    """What a row is."""

    HEAD = "head"
    SAID = "said"
    LINE = "line"
    EQUAL = "equal"
    FOLD = "fold"


class Cell(NamedTuple):
    """A piece of one column's line: its sign, and texts with the component that draws each."""

    sign: str
    texts: tuple[tuple[str, str], ...]


class SideRow(NamedTuple):
    """One line on the screen; ``number`` is a decision, or of equal parts the part. ``text`` spans all columns."""

    kind: RowKind
    number: int
    cells: tuple[Cell | None, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """How sides are shown: which columns, in how many cells each, word by word, and what is unfolded.

    ``bracketed`` puts brackets around words that were removed or added, where no colour can tell it.
    """

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    by_word: bool = True
    folded: bool = True
    unfolded: frozenset[int] = frozenset()
    bracketed: bool = False
    context: int = CONTEXT


@dataclass(frozen=True, slots=True)
class SideRows:
    """All rows, and where each place begins and ends."""

    rows: tuple[SideRow, ...] = ()
    places: dict[int, tuple[int, int]] = field(default_factory=dict)


def side_rows(parts: Sequence[Part], decisions: Sequence[Decision], manner: Manner, *, by_line: bool) -> SideRows:
    """Every row, each wrapped to its column. ``by_line``: equal parts are lines of a text and have some context."""
    rows: list[SideRow] = []
    places: dict[int, tuple[int, int]] = {}
    for index, part in enumerate(parts):
        if isinstance(part, Place):
            begin = len(rows)
            rows += _place_rows(part.number, decisions[part.number], manner)
            places[part.number] = (begin, len(rows))
        else:
            rows += _equal_rows(index, part, len(parts), manner, by_line=by_line)
    return SideRows(tuple(rows), places)


def column_widths(width: int, count: int) -> tuple[int, ...]:
    """The cells of each of ``count`` columns in ``width``, with one between two of them."""
    room = max(count, width - (count - 1))
    return tuple(room // count + (place < room % count) for place in range(count))


def wrapped(sign: str, texts: Sequence[tuple[str, str]], width: int) -> list[Cell]:
    """A line of ``texts`` (component, text) in as many cells as it takes; at least one."""
    whole = "".join(text for _, text in texts)
    if cell_len(whole) <= width:
        return [Cell(sign, tuple(texts))]
    cells: list[Cell] = []
    rest = [each for each in texts if each[1]]
    for piece in cut_text(whole, width, width):
        taken: list[tuple[str, str]] = []
        length = len(piece)
        while length and rest:
            part, text = rest[0]
            taken.append((part, text[:length]))
            if len(text) > length:
                rest[0] = (part, text[length:])
                length = 0
            else:
                length -= len(text)
                rest.pop(0)
        cells.append(Cell(sign if not cells else " ", tuple(taken)))
    return cells


def shown_text(text: str) -> str:
    """Text that cannot steer the terminal, its tabs as wide as usual."""
    return printable(text.replace("\t", " " * TAB_CELLS))


def readable(decision: Decision) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str]]:
    """Base, local and remote, each as text or else a note in place of it."""
    sides = (decision.base, decision.local, decision.remote)
    had_base = not isinstance(decision.base, Absent)
    notes = [note_of(side, is_base=not place, had_base=had_base) for place, side in enumerate(sides)]
    as_text = _as_text(decision, sides)
    base, local, remote = (
        ("", note) if note else (_text(side, decision.kind, as_text=as_text), "")
        for side, note in zip(sides, notes, strict=True)
    )
    return base, local, remote


def _as_text(decision: Decision, sides: Sequence[Content]) -> bool:
    """Whether strings are shown by line, without their quotes."""
    if decision.kind is DecisionKind.TEXT_HUNK or not decision.path:
        return True
    present = [side for side in sides if not isinstance(side, Absent)]
    return all(isinstance(side, str) for side in present) and any("\n" in str(side) for side in present)


def _text(side: Content, kind: DecisionKind, *, as_text: bool) -> str:
    if isinstance(side, str):
        return side if as_text else f"{written_json(side)}\n"
    if kind is DecisionKind.LIST_ORDER and isinstance(side, list):
        return "".join(f"{each}\n" for each in side)
    return "".join(f"{line}\n" for line in shown_lines(side))


@lru_cache(maxsize=4096)
def _changes(base: str, side: str) -> tuple[LineChange, ...]:
    return line_changes(base, side)


def _place_rows(number: int, decision: Decision, manner: Manner) -> Iterator[SideRow]:
    yield SideRow(RowKind.HEAD, number)
    said = sentence(decision)
    if said:
        yield SideRow(RowKind.SAID, number, text=said)
    sides = dict(zip((Column.BASE, Column.LOCAL, Column.REMOTE), readable(decision), strict=True))
    base = sides[Column.BASE]
    columns = [
        _column(base, sides[column], width - GUTTER, manner, is_base=column is Column.BASE)
        for column, width in zip(manner.columns, manner.widths, strict=True)
    ]
    for place in range(max((len(column) for column in columns), default=0)):
        for slot in (0, 1):
            at_place = [column[place][slot] if place < len(column) else [] for column in columns]
            for cells in zip_longest(*at_place):
                yield SideRow(RowKind.LINE, number, cells)


def _column(
    base: tuple[str, str], side: tuple[str, str], width: int, manner: Manner, *, is_base: bool
) -> list[tuple[list[Cell], list[Cell]]]:
    """By the lines of base: what the side added before each, and what it made of it."""
    text, note = side
    if note or (not text and not base[0]):
        said = note or "nothing here"
        cells = wrapped("−" if note == "deleted" else " ", [("note", said)], width)
        return [([], cells) if base[0] else (cells, [])]
    count = len(_changes(base[0], base[0])) if not base[1] else 0
    column: list[tuple[list[Cell], list[Cell]]] = [([], []) for _ in range(count + 1)]
    for change in _changes(base[0], base[0] if is_base else text):
        added, at = column[change.at]
        if change.mark is LineMark.ADDED:
            added += _cells(change.mark, change.words, width, manner)
        elif change.mark is LineMark.CHANGED and not manner.by_word:
            for mark, left_out in ((LineMark.REMOVED, Mark.ADDED), (LineMark.ADDED, Mark.REMOVED)):
                words = tuple(
                    Words(Mark.REMOVED if mark is LineMark.REMOVED else Mark.ADDED, each.text)
                    for each in change.words
                    if each.mark is not left_out
                )
                at += _cells(mark, words, width, manner)
        else:
            at += _cells(change.mark, change.words, width, manner)
    return column


def _cells(mark: LineMark, words: Sequence[Words], width: int, manner: Manner) -> list[Cell]:
    texts = []
    for each in words:
        left, right = BRACKETS[each.mark] if manner.bracketed and mark is LineMark.CHANGED else ("", "")
        part = each.mark.value if mark is LineMark.CHANGED else _WHOLE[mark]
        texts.append((part, f"{left}{shown_text(each.text)}{right}"))
    return wrapped(_SIGNS[mark], texts, width)


def _equal_rows(index: int, part: Equal, count: int, manner: Manner, *, by_line: bool) -> Iterator[SideRow]:
    """An equal part: all of it, or some lines beside the places and how many are left out."""
    total = len(part.lines)
    head = manner.context if by_line and index > 0 else 0
    tail = manner.context if by_line and index < count - 1 else 0
    if not manner.folded or index in manner.unfolded or total <= head + tail + 1:
        head, tail = total, 0
    draw = _equal_line if by_line else _equal_value
    for line in part.lines[:head]:
        yield from draw(index, line, manner)
    if total > head + tail:
        what = "lines" if by_line else "values"
        yield SideRow(RowKind.FOLD, index, text=f"{total - head - tail:,} equal {what}")
        for line in part.lines[total - tail :]:
            yield from draw(index, line, manner)


def _equal_line(index: int, line: str, manner: Manner) -> Iterator[SideRow]:
    for cell in wrapped(" ", [("equal", shown_text(line))], min(manner.widths) - GUTTER):
        yield SideRow(RowKind.EQUAL, index, (cell,) * len(manner.columns))


def _equal_value(index: int, line: str, _: Manner) -> Iterator[SideRow]:
    yield SideRow(RowKind.EQUAL, index, text=shown_text(line))
