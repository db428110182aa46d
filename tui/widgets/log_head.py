"""The line over a log: what is chosen of it on the left, where one is on the right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui.printable import printable

if TYPE_CHECKING:
    from textual import events


class LogHead(Widget):
    """Both sides in one line; where they do not fit, the left one is cut. A click posts ``Chosen``."""

    DEFAULT_CSS = "LogHead { height: 1; color: $muted; text-wrap: nowrap; }"

    class Chosen(Message):
        """The line was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._left = Content("")
        self._right = Content("")

    @property
    def text(self) -> str:
        """Both sides without styles."""
        return f"{self._left.plain}  {self._right.plain}".strip()

    def show(self, left: Content, right: Content) -> None:
        """Show these."""
        self._left, self._right = left, right
        self.refresh()

    def render(self) -> Content:
        """The line, as wide as it can be."""
        right = self._right.truncate(self.size.width, ellipsis=True)
        room = max(0, self.size.width - right.cell_length - (2 if right else 0))
        left = self._left.truncate(room, ellipsis=True, pad=True) if room else Content("")
        return Content.assemble(left, "  " if right and room else "", right)

    def on_click(self, event: events.Click) -> None:
        """Tell of the click."""
        event.stop()
        self.post_message(self.Chosen())


def path_text(rows: str, filters: Iterable[tuple[str, str]]) -> Content:
    """What is chosen of the ``rows``, from the first filter to the last: ``messages › agent planner › type note``."""
    parts = [Content.assemble((f"{label} ", "$muted"), (printable(value), "bold $accent")) for label, value in filters]
    if not parts:
        return Content.styled(f"all {rows}", "$muted")
    return Content(" › ").join([Content.styled(rows, "$muted"), *parts])


def position_text(cursor: int | None, count: int, pending: int, *, following: bool, frozen: bool) -> Content:
    """Where one is in a log, and what came meanwhile: ``3 of 1,204  ▼ 12 newer, End``."""
    place = f"{(cursor or 0) + 1:,} of {count:,}" if count else ""
    if frozen:
        note = f"frozen, {pending:,} newer" if pending else "frozen"
        return Content.assemble((place, "$muted"), "  ", (note, "bold $warning"))
    if pending:
        return Content.assemble((place, "$muted"), "  ", (f"▼ {pending:,} newer, End", "bold $accent"))
    if following and count:
        return Content.assemble((f"{count:,}", "$muted"), "  ", ("▼ following", "$muted"))
    return Content.styled(place, "$muted")
