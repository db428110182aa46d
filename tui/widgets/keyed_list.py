"""A list of rows by key: it changes around the cursor, which stays on its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option


class KeyedRow(NamedTuple):
    """One row; one that is not ``enabled`` is a heading or a note, which the cursor passes over."""

    key: str
    content: Content
    enabled: bool = True


class KeyedList(OptionList):
    """Shows rows and keeps the cursor on its key; ``Moved`` tells that it came to another, ``""`` being none."""

    DEFAULT_CSS = """
    KeyedList {
        height: 1fr; padding: 0; border: none; background: transparent;
        text-wrap: nowrap; text-overflow: ellipsis; scrollbar-gutter: stable; overflow-x: hidden;
        &:focus { border: none; background: transparent; background-tint: transparent; }
        & > .option-list--option { padding: 0; }
        & > .option-list--option-hover { background: transparent; }
        & > .option-list--option-disabled { color: $foreground; text-style: none; }
        & > .option-list--option-highlighted { background: $surface; color: $foreground; text-style: none; }
        &:focus > .option-list--option-highlighted { background: $panel; color: $foreground; text-style: none; }
        &:ansi:focus > .option-list--option-highlighted { text-style: reverse; }
    }
    """

    class _About(Message):
        def __init__(self, rows: KeyedList, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> KeyedList:
            """The list, for selectors of ``on``."""
            return self.rows

    class Moved(_About):
        """The cursor is on another key."""

    class Chosen(_About):
        """A row was chosen: Enter, or a click."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id, markup=False)
        self._rows: tuple[KeyedRow, ...] = ()
        self._key = ""

    @property
    def key(self) -> str:
        """The key of the row at the cursor; empty when there is none."""
        return self._key

    @property
    def row_width(self) -> int:
        """How many cells a row has."""
        return self.scrollable_content_region.width

    def show_rows(self, rows: Sequence[KeyedRow]) -> None:
        """Show ``rows``. Only what differs is drawn; a cursor whose row is gone goes to the one in its place."""
        before, self._rows = self._rows, tuple(rows)
        if [(row.key, row.enabled) for row in before] == [(row.key, row.enabled) for row in rows]:
            for index, (old, new) in enumerate(zip(before, rows, strict=True)):
                if not old.content.is_same(new.content):
                    self.replace_option_prompt_at_index(index, new.content)
        else:
            place = self._index_after(before)
            self.set_options([Option(row.content, row.key, disabled=not row.enabled) for row in rows])
            self.highlighted = place
        self._take(self._key_at_cursor())

    def go_to(self, key: str) -> None:
        """Put the cursor on a row."""
        index = next((index for index, row in enumerate(self._rows) if row.key == key), None)
        if index is not None:
            self.highlighted = index
            self._take(key)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell the key, unless it is the same as before."""
        event.stop()
        self._take(self._key_at_cursor())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell the key."""
        event.stop()
        self._take(self._key_at_cursor())
        self.post_message(self.Chosen(self, self._key))

    def _index_after(self, before: tuple[KeyedRow, ...]) -> int | None:
        """Where the cursor belongs now: on its key, else at its old place, on a row that is enabled."""
        enabled = [index for index, row in enumerate(self._rows) if row.enabled]
        if not enabled:
            return None
        place = next((index for index, row in enumerate(self._rows) if row.key == self._key and row.enabled), None)
        if place is not None:
            return place
        old = next((index for index, row in enumerate(before) if row.key == self._key), 0)
        return next((index for index in enabled if index >= old), enabled[-1])

    def _key_at_cursor(self) -> str:
        option = self.highlighted_option
        return (option.id or "") if option is not None else ""

    def _take(self, key: str) -> None:
        if key != self._key:
            self._key = key
            self.post_message(self.Moved(self, key))
