"""What is shown when the terminal is too small: the size it has, and the size that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

MINIMUM = Size(60, 16)


def is_too_small(size: Size) -> bool:
    """Whether the dashboard does not fit."""
    return size.width < MINIMUM.width or size.height < MINIMUM.height


class TooSmallScreen(Screen[None]):
    """Covers everything until the terminal is larger; only quitting works."""

    BINDINGS: ClassVar[list[BindingType]] = [("q", "app.quit", "Quit")]

    def compose(self) -> ComposeResult:
        """One sentence."""
        yield Static("", id="too-small")

    def on_resize(self, event: events.Resize) -> None:
        """Say the present size."""
        size = event.size
        self.query_one("#too-small", Static).update(
            Content(
                f"This terminal is {size.width}x{size.height}.\n"
                f"Bailiwick needs {MINIMUM.width}x{MINIMUM.height}.\n"
                "Make it larger, or press q."
            )
        )
