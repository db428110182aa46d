"""The top line: the product, the workspace and the panes, in as much detail as the width allows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

PRODUCT = "Bailiwick"
MOST_PLACE_CELLS = 28


@dataclass(frozen=True, slots=True)
class Tab:
    """One pane in the top line; its ``titles`` get shorter from the first to the last."""

    pane_id: str
    number: int
    titles: tuple[str, str, str]
    badge: str = ""


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much is said at one width."""

    product: bool
    workspace: bool
    badges: bool
    padding: str
    gap: str
    title: int = 0
    """Which of its titles a pane has that is not in view; the one in view has its first."""


_DETAILS = (
    _Detail(product=True, workspace=True, badges=True, padding=" ", gap=" "),
    _Detail(product=True, workspace=False, badges=True, padding=" ", gap=" "),
    _Detail(product=True, workspace=False, badges=True, padding=" ", gap=""),
    _Detail(product=False, workspace=False, badges=True, padding=" ", gap=""),
    _Detail(product=False, workspace=False, badges=True, padding="", gap=" "),
    _Detail(product=False, workspace=False, badges=True, padding="", gap=" ", title=1),
    _Detail(product=False, workspace=False, badges=True, padding="", gap=" ", title=2),
    _Detail(product=False, workspace=False, badges=False, padding="", gap=" ", title=2),
)


def place_label(root: Path) -> str:
    """A workspace folder in few cells."""
    text = str(root).replace(str(Path.home()), "~", 1)
    return text if cell_len(text) <= MOST_PLACE_CELLS else f"…/{root.name}"


class PaneTabs(Widget):
    """Draws the top line; a click on a tab posts ``Chosen``. The active tab is bold and between brackets of colour."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, pane_id: str) -> None:
            super().__init__()
            self.pane_id = pane_id

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self._tabs: tuple[Tab, ...] = ()
        self._active = ""
        self._workspace = ""
        self._spans: list[tuple[int, int, str]] = []

    def update_tabs(self, tabs: tuple[Tab, ...], active: str, workspace: str) -> None:
        """Show these tabs, ``active`` being the id of the pane in view."""
        if (tabs, active, workspace) != (self._tabs, self._active, self._workspace):
            self._tabs, self._active, self._workspace = tabs, active, workspace
            self.refresh()

    def render(self) -> Content:
        """The widest wording that fits."""
        for detail in _DETAILS:
            content, spans = self._compose_line(detail)
            if content.cell_length <= self.size.width:
                break
        self._spans = spans
        return content

    def _compose_line(self, detail: _Detail) -> tuple[Content, list[tuple[int, int, str]]]:
        parts: list[tuple[str, str]] = []
        spans: list[tuple[int, int, str]] = []
        if detail.product:
            parts.append((f" {PRODUCT} " if detail.gap else f"{PRODUCT} ", "bold $accent"))
        if detail.workspace and self._workspace:
            parts.append((f"{self._workspace}  ", "$muted"))
        position = sum(cell_len(text) for text, _ in parts)
        for tab in self._tabs:
            badge = f" {tab.badge}" if tab.badge and detail.badges else ""
            active = tab.pane_id == self._active
            text = f"{tab.number} {tab.titles[0 if active else detail.title]}"
            style = "bold underline $tab-foreground on $tab-background" if active else "$foreground"
            edge = "$tab-foreground on $tab-background" if active else ""
            begin = position
            pieces = ((detail.padding, edge), (text, style), (badge, edge or "$muted"), (detail.padding, edge))
            for piece, piece_style in pieces:
                parts.append((piece, piece_style))
                position += cell_len(piece)
            spans.append((begin, position, tab.pane_id))
            parts.append((detail.gap, ""))
            position += len(detail.gap)
        return Content.assemble(*(part for part in parts if part[0])).rstrip(), spans

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the pointer."""
        for begin, end, pane_id in self._spans:
            if begin <= event.x < end:
                self.post_message(self.Chosen(pane_id))
                return
