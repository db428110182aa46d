"""A log of any number of rows, a line each: it follows the newest, or stays where a person reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from tui.widgets.row_pages import Row, RowPages, RowSource
from tui.widgets.row_view import RowView

if TYPE_CHECKING:
    from rich.text import Text
    from textual import events
    from textual.content import Content
    from textual.scrollbar import ScrollDown, ScrollTo, ScrollUp

    from core.errors import BailiwickError

LogRow = TypeVar("LogRow")


class PagedLog(RowView[Row], Generic[Row]):
    """A line-API view that reads only the pages in sight and keeps a cursor on one row.

    It *follows*: the cursor and the view stay at the newest row until a person moves the cursor up, scrolls up or
    clicks a row. ``End``, moving or scrolling on beyond the last row, and dragging the bar to the end follow again.
    Everything is called on the screen's thread. While it is not on the screen it reads nothing, and catches up when it
    appears.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Row up", show=False),
        Binding("down", "move(1)", "Row down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "oldest", "Oldest", show=False),
        Binding("end", "newest", "Newest, and follow", show=False),
        Binding("enter", "select", "Open", show=False),
    ]

    following: var[bool] = var(True)
    """Whether the view stays at the newest row; to be read and watched only."""
    pending: var[int] = var(0)
    """How many rows came since following stopped, or since it was frozen; to be read and watched only."""
    frozen: var[bool] = var(False)
    """Whether the number of rows is held; see ``freeze``."""

    class _AboutRow(Message, Generic[LogRow]):
        def __init__(self, log: PagedLog[LogRow], index: int, row: LogRow) -> None:
            super().__init__()
            self.log = log
            self.index = index
            self.row = row

        @property
        def control(self) -> PagedLog[LogRow]:
            """The log, for selectors of ``on``."""
            return self.log

    class Highlighted(_AboutRow[LogRow]):
        """The cursor came to another row."""

    class Selected(_AboutRow[LogRow]):
        """A row was chosen: Enter, or a click on the row that has the cursor."""

    class Failed(Message):
        """Rows could not be read and are blank; told once until the next ``show`` or ``changed``."""

        def __init__(self, log: PagedLog[Any], error: BailiwickError) -> None:
            super().__init__()
            self.log = log
            self.error = error

        @property
        def control(self) -> PagedLog[Any]:
            """The log, for selectors of ``on``."""
            return self.log

    def __init__(
        self,
        draw: Callable[[Row, int], Text | Content | str],
        *,
        empty: str | Content = "",
        id: str | None = None,  # noqa: A002 - the parameter's name in every Textual widget
    ) -> None:
        super().__init__(draw, empty=empty, id=id)
        self._seen = 0
        self._behind = False

    # What is shown

    def show(self, source: RowSource[Row], *, keep: bool = False) -> None:
        """Show other rows, at the newest.

        With ``keep`` a log that does not follow stays where it is: at the row that ``source`` tells is ``near`` the
        present one (see ``LocatingSource``), else at the same index, on the same line of the view.
        """
        kept = self.row_at_cursor if keep and not self.following else None
        index, line = self._cursor or 0, (self._cursor or 0) - self._top
        self._pages = RowPages(source, lambda error: self.post_message(self.Failed(self, error)))
        self._behind = False
        self._cursor = None
        self._set_count(self._pages.count() or 0)
        self._seen = self._count
        self.pending = 0
        self._redraw()
        if kept is None or not self._count:
            self.following = True
            self._to_newest()
        else:
            near = self._pages.near(kept)
            self._put_cursor(self._clamped(index if near is None else near))
            self._scroll((self._cursor or 0) - line)
            self._bring_into_sight()

    def grown(self) -> None:
        """Rows may have been added."""
        if self._behind:
            return
        if self.is_on_screen:
            self._catch_up()
        else:
            self._behind = True
            self.refresh()

    def changed(self) -> None:
        """Rows that were there before may read differently."""
        if self._pages is not None:
            self._pages.clear()
        self._strips.clear()
        if not self._behind:
            self.refresh()
            self.grown()

    def freeze(self, frozen: bool) -> None:
        """Hold the number of rows as it is, or let it go and catch up."""
        self.frozen = frozen
        if not frozen:
            self.grown()

    def go_to(self, index: int) -> None:
        """Put the cursor on the row ``index``, in the middle of the view, and stop following."""
        if self._count:
            self.following = False
            self._put_cursor(self._clamped(index))
            self._centre()

    # Keys and mouse

    def action_move(self, rows: int) -> None:
        """Move the cursor; from the edge of the view when it is out of sight."""
        if self._cursor is not None and not self._beyond(rows):
            self._move_to(self._cursor_in_view() + rows)
            self._bring_into_sight()

    def action_page(self, pages: int) -> None:
        """Move the view and the cursor with it."""
        if self._cursor is not None and not self._beyond(pages):
            rows = pages * max(1, self._view_height - 1)
            index = self._cursor_in_view() + rows
            self._scroll(self._top + rows)
            self._move_to(index)
            self._bring_into_sight()

    def action_oldest(self) -> None:
        """Go to the oldest row."""
        if self._count:
            self._move_to(0)
            self._scroll(0)

    def action_newest(self) -> None:
        """Go to the newest row and follow."""
        self.following = True
        self._seen = self._count
        self._catch_up()
        self._to_newest()

    def action_select(self) -> None:
        """Choose the row at the cursor; a cursor out of sight is only brought back."""
        if self._cursor is not None:
            if self._is_in_sight(self._cursor):
                self._tell_selected(self._cursor)
            else:
                self._centre()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Hold still, so that the row under the pointer is the one that gets the click."""
        if self._row_index_at(event) is not None:
            self.following = False

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked row, or choose it when it has the cursor."""
        index = self._row_index_at(event)
        if index is not None:
            event.stop()
            if index == self._cursor:
                self._tell_selected(index)
            else:
                self._put_cursor(index)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up and stop following."""
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down; beyond the end, follow."""
        self._wheel(event, 1)

    def on_scroll_to(self, event: ScrollTo) -> None:
        """The bar was dragged."""
        event.prevent_default().stop()
        if event.y is not None:
            self._scroll_by_hand(round(event.y), follows=event.y >= self.max_scroll_y)

    def on_scroll_up(self, event: ScrollUp) -> None:
        """The bar was clicked above its thumb."""
        event.prevent_default().stop()
        self._scroll_by_hand(self._top - self._view_height)

    def on_scroll_down(self, event: ScrollDown) -> None:
        """The bar was clicked below its thumb."""
        event.prevent_default().stop()
        self._scroll_by_hand(self._top + self._view_height)

    def _row_index_at(self, event: events.MouseEvent) -> int | None:
        offset = event.get_content_offset(self)
        index = self._count if offset is None else self._top + offset.y
        return index if index < self._count else None

    # How the view moves

    def _is_unsettled(self) -> bool:
        return self._behind or super()._is_unsettled()

    def _settle(self) -> None:
        super()._settle()
        if self._behind:
            self._catch_up()
        elif self.following:
            self._scroll_to_end()

    def _catch_up(self) -> None:
        """Take over the source's count, unless it is held."""
        self._behind = False
        count = self._pages.count() if self._pages is not None else None
        if count is None:
            return
        if not self.frozen:
            self._set_count(count)
            if self.following:
                self._seen = count
                self._to_newest()
            elif self._cursor is None or self._cursor >= count:
                self._put_cursor(count - 1 if count else None)
        self.pending = max(0, count - self._seen)

    def _to_newest(self) -> None:
        self._put_cursor(self._count - 1 if self._count else None)
        self._scroll_to_end()

    def _move_to(self, index: int) -> None:
        """Move the cursor; away from the newest row, following stops."""
        index = self._clamped(index)
        if index < self._count - 1:
            self.following = False
        self._put_cursor(index)

    def _beyond(self, direction: int) -> bool:
        """Whether a move down starts at the last row; then follow."""
        beyond = direction > 0 and self._cursor == self._count - 1 and self._is_in_sight(self._cursor)
        if beyond:
            self.action_newest()
        return beyond

    def _wheel(self, event: events.MouseScrollUp | events.MouseScrollDown, direction: int) -> None:
        event.prevent_default()
        if self._count and not (event.ctrl or event.shift):
            event.stop()
            top = self._top + direction * max(1, round(self.app.scroll_sensitivity_y))
            self._scroll_by_hand(top, follows=direction > 0 and self._top >= self.max_scroll_y)

    def _scroll_by_hand(self, top: int, *, follows: bool = False) -> None:
        if follows:
            self.action_newest()
            return
        before = self._top
        self._scroll(top)
        if self._top < before:
            self.following = False

    def _put_cursor(self, index: int | None) -> None:
        row = self._row(index) if self._move_cursor(index) and index is not None else None
        if index is not None and row is not None:
            self.post_message(self.Highlighted(self, index, row))

    def _tell_selected(self, index: int) -> None:
        row = self._row(index)
        if row is not None:
            self.post_message(self.Selected(self, index, row))
