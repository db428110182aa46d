"""That the keys are locked, beside the strip of work; nothing while they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tui.widgets.levels import SEALED

if TYPE_CHECKING:
    from textual import events


class LockNote(Static):
    """Takes no room while nothing is locked; a click does what its key does."""

    def __init__(self) -> None:
        super().__init__("", id="lock")

    def show(self, *, locked: bool, key: str) -> None:
        """Say that the keys are locked, and that ``key`` unlocks them; or nothing."""
        words = (f" {SEALED} locked  ", "bold $warning")
        self.update(Content.assemble(words, (key, "bold $accent"), (" unlocks ", "$muted")))
        self.display = locked

    async def on_click(self, event: events.Click) -> None:
        """Unlock."""
        event.stop()
        await self.run_action("app.toggle_lock")
