"""Rows that are drawn only where they are in sight, in the styles of a widget's own components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

STRIPS_KEPT = 512
ELLIPSIS = "…"
Texts = Sequence[tuple[str, str]]
"""Components, separated by blanks, and the text that they draw."""


class LineView(ScrollView, can_focus=True, inherit_bindings=False):
    """Draws ``count`` rows, each by ``draw``; those in sight are kept until ``redraw``."""

    DEFAULT_CSS = """
    LineView {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-gutter: stable;
        & > .line--whole-added, & > .line--added { color: $success; }
        & > .line--added { background: $success 22%; text-style: bold underline; }
        & > .line--removed, & > .line--whole-removed { color: $error; text-style: strike; }
        & > .line--removed { background: $error 16%; }
        &:ansi > .line--added { background: transparent; }
        &:ansi > .line--removed { background: transparent; }
        & > .line--sign { text-style: bold; }
        & > .line--muted, & > .line--equal, & > .line--auto, & > .line--passed { color: $muted; }
        & > .line--fold, & > .line--passed { text-style: dim; }
        & > .line--fold { color: $muted; }
        & > .line--said, & > .line--note, & > .line--waiting { color: $muted; text-style: italic; }
        & > .line--strong { text-style: bold; }
        & > .line--frame { color: $frame; }
        & > .line--here { background: $surface; }
        &:focus > .line--here { background: $panel; }
        &:ansi:focus > .line--here { text-style: bold; }
        & > .line--bar, & > .line--marked { color: $accent; text-style: bold; }
        & > .line--open, & > .line--alarm { color: $error; text-style: bold; }
        & > .line--local { color: $primary; text-style: bold; }
        & > .line--remote { color: $secondary; text-style: bold; }
        & > .line--base { color: $foreground; text-style: bold; }
        & > .line--made { color: $success; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"line--{part}"
        for part in (
            "added", "alarm", "auto", "bar", "base", "equal", "fold", "frame", "here", "kept", "local", "made",
            "marked", "muted", "note", "open", "passed", "plain", "remote", "removed", "said", "sign", "strong",
            "waiting", "whole-added", "whole-removed",
        )
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("home", "scroll_home", "Begin", show=False),
        Binding("end", "scroll_end", "End", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
    ]
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        self._strips: LRUCache[int, Strip] = LRUCache(STRIPS_KEPT)
        super().__init__(id=id)
        self.count = 0

    @property
    def row_width(self) -> int:
        """Cells of a row."""
        return self.scrollable_content_region.width

    @property
    def view_height(self) -> int:
        """Rows in sight."""
        return self.scrollable_content_region.height

    @property
    def top(self) -> int:
        """The first row in sight."""
        return self.scroll_offset.y

    def draw(self, index: int) -> Strip:
        """The row, ``row_width`` cells wide."""
        raise NotImplementedError

    def set_count(self, count: int) -> None:
        """There are so many rows now."""
        self.count = count
        self.virtual_size = Size(0, count)
        self.redraw()

    def redraw(self) -> None:
        """Draw every row anew."""
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the line ``y`` of the widget."""
        index = y + self.top
        if index >= self.count:
            return Strip.blank(self.row_width, self.style_of(""))
        strip = self._strips.get(index)
        if strip is None:
            strip = self._strips[index] = self.draw(index)
        return strip

    def notify_style_update(self) -> None:
        """Draw the rows in the new theme, or with the new focus."""
        self._strips.clear()
        super().notify_style_update()

    def show_range(self, begin: int, end: int, margin: int = 1) -> None:
        """Scroll as little as it takes to have these rows in sight, their beginning where not all of them fit."""
        if not self.view_height:
            self.call_after_refresh(self._show_range, begin, end, margin)
        else:
            self._show_range(begin, end, margin)

    def _show_range(self, begin: int, end: int, margin: int) -> None:
        height = self.view_height
        begin, end = max(0, begin - margin), min(self.count, end + margin)
        if begin < self.top or end - begin >= height:
            top = begin
        elif end > self.top + height:
            top = end - height
        else:
            return
        self.scroll_to(y=max(0, min(top, self.count - height)), animate=False, force=True, immediate=True)

    # Pieces of rows

    def style_of(self, parts: str) -> Style:
        """The style of components, named without the widget's own prefix; later ones lie over earlier ones."""
        return self.get_visual_style(*(f"line--{part}" for part in parts.split())).rich_style

    def segments(self, texts: Texts, width: int, behind: str = "") -> list[Segment]:
        """``texts`` in exactly ``width`` cells; what does not fit is cut and ends with an ellipsis."""
        found: list[Segment] = []
        left = width
        for parts, text in texts:
            cells = cell_len(text)
            if cells > left:
                cut = set_cell_size(text, max(0, left - 1)) + ELLIPSIS if left else ""
                found.append(Segment(cut, self.style_of(f"{behind} {parts}")))
                return found
            found.append(Segment(text, self.style_of(f"{behind} {parts}")))
            left -= cells
        if left:
            found.append(Segment(" " * left, self.style_of(behind)))
        return found
