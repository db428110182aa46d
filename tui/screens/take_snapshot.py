"""The dialog that takes a snapshot of the workspace's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Label

from tui.printable import printable
from tui.screens.working import WorkingScreen

if TYPE_CHECKING:
    from textual.app import ComposeResult


class SnapshotScreen(WorkingScreen[None]):
    """Enter takes it; an empty name will do."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    def compose(self) -> ComposeResult:
        """The name, and the answer."""
        with Vertical(classes="dialog filters") as dialog:
            dialog.border_title = "Take a snapshot"
            dialog.border_subtitle = "Enter takes it · Esc leaves"
            yield Label("Name: what you will look for when you want this back")
            yield Input(id="snapshot-name", placeholder="before the rewrite", compact=True)
            yield self.answer_line()

    def on_input_submitted(self) -> None:
        """Take it."""
        self.answer("Copying the database …")
        self._take(self.query_one(Input).value.strip())

    @work
    async def _take(self, name: str) -> None:
        workspace = self._workspace
        snapshot = await self.done(lambda: workspace.agentfs.snapshots.take(name, by=workspace.person))
        if snapshot is not None:
            called = f"“{printable(snapshot.name)}”" if snapshot.name else "without a name"
            self.app.notify(f"Snapshot {called} taken: {snapshot.size:,} bytes.", markup=False)
            self.dismiss(None)
