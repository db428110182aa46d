"""Shows a document around one of its passages, line by line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

if TYPE_CHECKING:
    from textual import events


@dataclass(frozen=True, slots=True)
class ReaderColours:
    """The colours of the theme in use, as Rich understands them; ``code_theme`` is a Pygments style."""

    title: str
    accent: str
    muted: str
    code_theme: str


@dataclass(frozen=True, slots=True)
class DocumentLines:
    """Rendered lines and where each shown passage begins among them (``starts`` by ordinal)."""

    strips: tuple[Strip, ...]
    starts: dict[int, int]


class DocumentReader(ScrollView, can_focus=True):
    """A line-API view: it draws only the lines in sight, of any number.

    What to show is handed over ready rendered, for the width that ``WidthChanged`` last told.
    """

    class WidthChanged(Message):
        """The lines must be rendered anew for another width."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self._lines = DocumentLines((), {})
        self._told_width = 0

    @property
    def text_width(self) -> int:
        """Cells that a line may have."""
        return max(10, self.scrollable_content_region.width - 1)

    @property
    def colours(self) -> ReaderColours:
        """The colours of the theme in use."""
        variables = self.app.theme_variables
        return ReaderColours(
            title=_rich_colour(variables.get("primary", "default")),
            accent=_rich_colour(variables.get("accent", "default")),
            muted=_rich_colour(variables.get("muted", variables.get("secondary", "default"))),
            code_theme="github-dark" if self.app.current_theme.dark else "friendly",
        )

    def show(self, lines: DocumentLines, ordinal: int) -> None:
        """Show ``lines`` with the passage ``ordinal`` in sight, a line of what precedes it above."""
        self._lines = lines
        self.virtual_size = Size(self.text_width, len(lines.strips))
        self.scroll_to(y=max(0, lines.starts.get(ordinal, 0) - 1), animate=False, immediate=True)
        self.refresh()

    def clear(self) -> None:
        """Show nothing."""
        self._lines = DocumentLines((), {})
        self.virtual_size = Size(0, 0)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the line ``y`` of the widget."""
        number = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if number < len(self._lines.strips):
            strip = self._lines.strips[number].adjust_cell_length(width)
        else:
            strip = Strip.blank(width)
        return strip.apply_style(self.rich_style)

    def on_resize(self, event: events.Resize) -> None:
        """Ask for lines of the new width."""
        if self.text_width != self._told_width:
            self._told_width = self.text_width
            self.post_message(self.WidthChanged())


def _rich_colour(value: str) -> str:
    """A theme variable as a Rich style: what Rich cannot draw (``auto``, ``ansi_…``) falls back to the default."""
    return value if value.startswith("#") and len(value) == 7 else value[:7] if value.startswith("#") else "default"
