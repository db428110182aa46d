"""A line of sections, of which one is in view."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget


class SectionTabs(Widget):
    """Draws the titles, the one in view between brackets of colour; a click posts ``Chosen``."""

    DEFAULT_CSS = "SectionTabs { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }"

    class Chosen(Message):
        """A section was clicked."""

        def __init__(self, section: StrEnum) -> None:
            super().__init__()
            self.section = section

    def __init__(self, titles: Mapping[StrEnum, str], *, id: str) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self._titles = dict(titles)
        self._active = next(iter(self._titles))
        self._counts: dict[StrEnum, int] = {}
        self._spans: list[tuple[int, int, StrEnum]] = []

    def update_tabs(self, active: StrEnum, counts: Mapping[StrEnum, int]) -> None:
        """Show which section is in view, and how much is in those that are counted."""
        if (active, counts) != (self._active, self._counts):
            self._active, self._counts = active, dict(counts)
            self.refresh()

    def render(self) -> Content:
        """The sections in one line."""
        parts: list[tuple[str, str]] = []
        self._spans = []
        position = 0
        for section, title in self._titles.items():
            count = self._counts.get(section, 0)
            text = f" {title} {count:,} " if count else f" {title} "
            style = "bold underline $tab-foreground on $tab-background" if section is self._active else "$muted"
            parts.append((text, style))
            self._spans.append((position, position + cell_len(text), section))
            position += cell_len(text)
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """Choose the section under the pointer."""
        for begin, end, section in self._spans:
            if begin <= event.x < end:
                self.post_message(self.Chosen(section))
                return
