"""What a pane says in the line at the bottom, whichever pane is in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from textual import events


class PaneNote(Static):
    """Takes no room while there is nothing to say; a click goes to the pane."""

    class Chosen(Message):
        """The note was clicked."""

        def __init__(self, pane_id: str) -> None:
            super().__init__()
            self.pane_id = pane_id

    def __init__(self) -> None:
        super().__init__("", id="note")
        self._pane_id = ""
        self._shown: Content | str = ""

    def show(self, pane_id: str, words: Content | str) -> None:
        """Say ``words``, which came from ``pane_id``; or nothing."""
        self._pane_id = pane_id
        if words != self._shown:
            self._shown = words
            self.update(Content.assemble(" ", words, " ") if words else "")
            self.display = bool(words)

    def on_click(self, event: events.Click) -> None:
        """Go to the pane."""
        event.stop()
        self.post_message(self.Chosen(self._pane_id))
