"""Lines of rows, drawn only where they are in sight, with a cursor on one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar, Generic

from rich.segment import Segment
from rich.text import Text
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from tui.printable import printable
from tui.widgets.row_pages import Row, RowPages

MARK = "▌"
LINES_KEPT = 512


class RowView(ScrollView, Generic[Row], can_focus=True):
    """The drawing half of ``PagedLog``: rows, cursor and view, without a will of its own.

    ``draw`` makes the line of a row for so many cells; what is longer is cut, what is unprintable is shown. The cursor
    has a bar at its left, and a background too while the view has the focus.
    """

    DEFAULT_CSS = """
    RowView {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable;
        text-wrap: nowrap; text-overflow: ellipsis;
        & > .row-view--mark { color: $text-muted; }
        & > .row-view--match { text-style: bold underline; }
        & > .row-view--empty { color: $text-muted; }
        &:focus > .row-view--cursor { background: $panel; }
        &:ansi:focus > .row-view--cursor { text-style: bold; }
        &:focus > .row-view--mark { color: $accent; background: $panel; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-view--cursor", "row-view--mark", "row-view--match", "row-view--empty"}
    ALLOW_SELECT = False

    empty: var[str | Content] = var("")
    """What is shown, centred, instead of no rows; a ``str`` without markup."""

    def __init__(
        self,
        draw: Callable[[Row, int], Text | Content | str],
        *,
        empty: str | Content = "",
        id: str | None = None,  # noqa: A002 - the parameter's name in every Textual widget
    ) -> None:
        self._strips: LRUCache[tuple[int, int, bool], Strip] = LRUCache(LINES_KEPT)
        super().__init__(id=id)
        self._draw = draw
        self._pages: RowPages[Row] | None = None
        self._count = 0
        self._cursor: int | None = None
        self._settled_height = 0
        self._searched: re.Pattern[str] | None = None
        self.auto_links = False
        self.set_reactive(RowView.empty, empty)

    @property
    def count(self) -> int:
        """How many rows can be reached now."""
        return self._count

    @property
    def cursor(self) -> int | None:
        """The index of the row that has the cursor; None without rows."""
        return self._cursor

    @property
    def row_at_cursor(self) -> Row | None:
        """The row that has the cursor; None without rows, or when it cannot be read."""
        return None if self._cursor is None else self._row(self._cursor)

    @property
    def row_width(self) -> int:
        """Cells that a line may have."""
        return max(1, self.scrollable_content_region.width - len(MARK))

    def highlight(self, text: str) -> None:
        """Underline ``text`` wherever lines have it, in capitals or not; an empty text underlines nothing."""
        self._searched = re.compile(re.escape(printable(text)), re.IGNORECASE) if text else None
        self._redraw()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw the line ``y`` of the widget."""
        width = self.scrollable_content_region.width
        if y == 0 and self._is_unsettled():
            # Textual tells neither Show nor Resize when the layout was asked for a place before it was made anew.
            self.call_next(self._settle)
        if not self._count:
            return self._empty_line(y, width)
        index = y + self._top
        if index >= self._count:
            return Strip.blank(width, self.visual_style.rich_style)
        key = (index, width, index == self._cursor)
        strip = self._strips.get(key)
        if strip is None:
            row = self._row(index)
            strip = self._line("" if row is None else self._draw(row, self.row_width), at_cursor=key[2])
            if row is not None:
                self._strips[key] = strip
        return strip

    def on_show(self) -> None:
        """Catch up with what came while hidden."""
        self._settle()

    def on_resize(self) -> None:
        """Keep in sight what was in sight."""
        self._settle()

    def notify_style_update(self) -> None:
        """Draw the lines anew in the new theme or with the new focus."""
        self._strips.clear()
        super().notify_style_update()

    def watch_empty(self) -> None:
        """Show the new text."""
        self.refresh()

    def _redraw(self) -> None:
        self._strips.clear()
        self.refresh()

    def _line(self, drawn: Text | Content | str, *, at_cursor: bool) -> Strip:
        line = _as_content(drawn)
        if self._searched is not None:
            style = self.get_visual_style("row-view--match", partial=True)
            for match in self._searched.finditer(line.plain):
                line = line.stylize(style, match.start(), match.end())
        style = self.get_visual_style("row-view--cursor") if at_cursor else self.visual_style
        strips = Visual.to_strips(self, line, self.row_width, 1, style, apply_selection=False, pad=True)
        strip = strips[0] if strips else Strip.blank(self.row_width, style.rich_style)
        mark = self.get_visual_style("row-view--mark") if at_cursor else style
        return Strip([Segment(MARK if at_cursor else " ", mark.rich_style), *strip], strip.cell_length + len(MARK))

    def _empty_line(self, y: int, width: int) -> Strip:
        style = self.get_visual_style("row-view--empty")
        text = self.empty if isinstance(self.empty, Content) else Content(self.empty)
        lines = text.wrap(max(1, width - 2)) if text else []
        number = y - max(0, (self._view_height - len(lines)) // 2)
        if not 0 <= number < len(lines):
            return Strip.blank(width, style.rich_style)
        line = _as_content(lines[number].rstrip())
        centred = line.pad_left(max(0, (width - line.cell_length) // 2))
        return Visual.to_strips(self, centred, width, 1, style, apply_selection=False, pad=True)[0]

    # Rows and cursor

    def _row(self, index: int) -> Row | None:
        return None if self._pages is None else self._pages.row(index, self._count)

    def _set_count(self, count: int) -> None:
        before, self._count = self._count, count
        if self._pages is not None:
            if count < before:
                self._pages.clear()
            self._pages.grow()
        if count == before:
            return
        if count < before:
            self._strips.clear()
        if self._top + self._view_height > min(before, count):
            self.refresh()
        size = Size(0, count)
        if min(before, count) > self._view_height > 0:
            # The bar stays, so nothing around it moves: no layout of the whole screen for every row that comes.
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = count
        else:
            self.virtual_size = size
        if count < before:
            self._scroll(self._top)

    def _move_cursor(self, index: int | None) -> bool:
        """Put the cursor on another row; whether it was not there already."""
        before, self._cursor = self._cursor, index
        if index == before:
            return False
        for changed in (before, index):
            if changed is not None and self._is_in_sight(changed):
                self.refresh_line(changed)
        return True

    def _clamped(self, index: int) -> int:
        return max(0, min(index, self._count - 1))

    # The view

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    @property
    def _view_height(self) -> int:
        """Lines in sight; while hidden, those that there were."""
        return self.scrollable_content_region.height or self._settled_height

    def _is_unsettled(self) -> bool:
        """Whether ``_settle`` has something to do."""
        return self._settled_height != self.scrollable_content_region.height

    def _settle(self) -> None:
        """Fit the view to its height: a cursor in sight stays in sight, and one never seen comes to the middle."""
        height = self.scrollable_content_region.height
        before, self._settled_height = self._settled_height, height or self._settled_height
        if height and self._cursor is not None:
            if not before:
                self._centre()
            elif self._top <= self._cursor < self._top + before:
                self._bring_into_sight()

    def _is_in_sight(self, index: int) -> bool:
        return self._top <= index < self._top + self._view_height

    def _cursor_in_view(self) -> int:
        return max(self._top, min(self._cursor or 0, self._top + max(1, self._view_height) - 1, self._count - 1))

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=max(0, min(top, self.max_scroll_y)), animate=False, force=True, immediate=True)
        # Textual moves only a bar that is shown already.
        self.vertical_scrollbar.position = self.scroll_y

    def _scroll_to_end(self) -> None:
        self._scroll(self.max_scroll_y)

    def _centre(self) -> None:
        self._scroll((self._cursor or 0) - self._view_height // 2)

    def _bring_into_sight(self) -> None:
        cursor = self._cursor or 0
        if cursor < self._top:
            self._scroll(cursor)
        elif cursor >= self._top + self._view_height:
            self._scroll(cursor - self._view_height + 1)


def _as_content(line: Text | Content | str) -> Content:
    """The line as content that can neither break into more lines nor reach the terminal as anything but text."""
    content = Content(printable(line)) if isinstance(line, str) else line
    if isinstance(content, Text):
        content = Content.from_rich_text(content)
    safe = printable(content.plain)
    return content if safe == content.plain else Content(safe, list(content.spans))
