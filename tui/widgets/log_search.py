"""Searching within a log: the field for the text, and where among the matches one is."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui.printable import printable

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.timer import Timer

TYPING_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class Matches:
    """The ``numbers`` of all rows that have ``text``, ascending; ``None`` until they are found."""

    text: str = ""
    numbers: array[int] | None = None

    def __bool__(self) -> bool:
        return bool(self.text)

    def next(self, number: int, step: int) -> int | None:
        """The match ``step`` further from the row ``number``, around the ends; ``None`` without matches."""
        if not self.numbers:
            return None
        after = bisect_right(self.numbers, number) if step > 0 else bisect_left(self.numbers, number)
        return self.numbers[(after + (0 if step > 0 else -1)) % len(self.numbers)]

    def nearest(self, number: int) -> int | None:
        """The match at the row ``number`` or before it, else the first one."""
        return self.next(number + 1, -1) if self.numbers and self.numbers[0] <= number else self.next(number, 1)

    def describe(self, number: int | None) -> Content:
        """``“kettle” 3 of 42`` for a cursor on the row ``number``."""
        found: tuple[str, str]
        if self.numbers is None:
            found = (" …", "$muted")
        elif not self.numbers:
            found = (" in no message", "bold $warning")
        else:
            place = bisect_left(self.numbers, number) if number is not None else len(self.numbers)
            is_match = place < len(self.numbers) and self.numbers[place] == number
            count = "1 match" if len(self.numbers) == 1 else f"{len(self.numbers):,} matches"
            of = f"{place + 1:,} of {len(self.numbers):,}" if is_match else count
            found = (f" {of}", "$accent")
        return Content.assemble((f"“{printable(self.text)}”", "bold $accent"), found)


NOTHING = Matches()


class SearchField(Horizontal):
    """The line where the text is typed; hidden while nobody does."""

    DEFAULT_CSS = """
    SearchField {
        height: 1; display: none;
        &.-open { display: block; }
        & > Static { width: 2; color: $accent; text-style: bold; }
        & > Input { width: 1fr; background: $panel; border: none; padding: 0 1; }
        & > Input:focus { background: $panel; border: none; }
    }
    """

    class Searched(Message):
        """Look for ``text``; ``done`` says that it was typed to its end, and that the field is closed."""

        def __init__(self, text: str, *, done: bool) -> None:
            super().__init__()
            self.text = text
            self.done = done

    def __init__(self, placeholder: str) -> None:
        super().__init__()
        self._input = Input(placeholder=placeholder, compact=True, select_on_focus=False)
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """The mark and the field."""
        yield Static("/")
        yield self._input

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return self.has_class("-open")

    def open(self) -> None:
        """Show it with the last text selected, ready to be typed in."""
        self.add_class("-open")
        self._input.focus()
        self._input.action_select_all()

    def close(self) -> None:
        """Hide it; the text stays."""
        self._rest()
        self.remove_class("-open")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._rest()
        if self.is_open:
            self._typing = self.set_timer(TYPING_SECONDS, lambda: self._tell(done=False))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self._tell(done=True)

    def _rest(self) -> None:
        if self._typing is not None:
            self._typing.stop()
            self._typing = None

    def _tell(self, *, done: bool) -> None:
        self.post_message(self.Searched(self._input.value, done=done))
