"""The overview on wide screens: a card for each pane that is not in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from textual import events

    from tui.panes.base import Pane


class Card(Static):
    """One pane in a few lines; a click posts ``Chosen``."""

    class Chosen(Message):
        """A card was clicked."""

        def __init__(self, pane_id: str) -> None:
            super().__init__()
            self.pane_id = pane_id

    def __init__(self, pane: Pane) -> None:
        super().__init__(id=f"card-{pane.PANE_ID}")
        self.border_title = f"{pane.NUMBER} {pane.TITLE}"
        self._pane_id = pane.PANE_ID
        self._shown: Content | str | None = None

    def show(self, text: Content | str) -> None:
        """Show ``text``; what comes from outside is never read as markup."""
        if text != self._shown:
            self._shown = text
            self.update(Content(text) if isinstance(text, str) else text)
            # Of two changes between two frames Textual can keep the first one's height, so it is measured once more.
            self.call_after_refresh(self.refresh, layout=True)

    def on_click(self, event: events.Click) -> None:
        """Go to the pane."""
        event.stop()
        self.post_message(self.Chosen(self._pane_id))


class CardColumn(VerticalScroll, can_focus=False):
    """The cards, in the order of the panes' numbers."""

    def __init__(self) -> None:
        super().__init__(id="cards")

    def update_cards(self, panes: tuple[Pane, ...], active_id: str) -> None:
        """Bring the cards up to date with ``panes``."""
        for index, pane in enumerate(panes):
            card = self.query_one_optional(f"#card-{pane.PANE_ID}", Card)
            if card is None:
                card = Card(pane)
                self.mount(card, before=index if index < len(self.children) else None)
            card.display = active_id != pane.PANE_ID
            if card.display:
                card.show(pane.card())
