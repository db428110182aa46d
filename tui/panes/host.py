"""Where the active pane stands: panes are imported and mounted when first needed, and the hidden ones rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual.message import Message
from textual.widget import Widget

from tui.panes import PANES, PaneEntry

if TYPE_CHECKING:
    from core.events import Event
    from tui.bridge import WorkspaceLike
    from tui.panes.base import Pane


class PaneHost(Widget):
    """Shows one pane of the registry at a time."""

    class Switched(Message):
        """Another pane is active."""

    def __init__(self, start: str, entries: tuple[PaneEntry, ...] = PANES) -> None:
        super().__init__(id="panes")
        self._entries = {entry.id: entry for entry in entries}
        self._panes: dict[str, Pane] = {}
        self._workspace: WorkspaceLike | None = None
        self._mounting = asyncio.Lock()
        self.active_id = start

    @property
    def active(self) -> Pane | None:
        """The pane in view; ``None`` until the first was shown."""
        return self._panes.get(self.active_id)

    @property
    def mounted(self) -> tuple[Pane, ...]:
        """The panes that exist so far, in the order of their numbers."""
        return tuple(self._panes[key] for key in self._entries if key in self._panes)

    def _create(self, pane_id: str) -> Pane:
        pane = self._entries[pane_id].load()()
        pane.display = False
        return pane

    async def _ensure(self, pane_id: str) -> Pane:
        async with self._mounting:
            if pane_id not in self._panes:
                pane = self._create(pane_id)
                await self.mount(pane)
                self._panes[pane_id] = pane
                if self._workspace is not None:
                    pane.on_workspace(self._workspace)
        return self._panes[pane_id]

    async def warm_up(self) -> None:
        """Mount the panes that were not needed yet, hidden, one by one."""
        for pane_id in self._entries:
            await self._ensure(pane_id)

    async def show(self, pane_id: str) -> None:
        """Bring a pane into view and give it the focus."""
        pane = await self._ensure(pane_id)
        if not pane.is_shown:
            if self.active is not None:
                self.active.set_shown(False)
            self.active_id = pane_id
            pane.set_shown(True)
            self.post_message(self.Switched())
        target = pane.default_focus()
        self.screen.set_focus(target if target is not None and target.focusable else None)

    def neighbour(self, step: int) -> str:
        """The id of the pane ``step`` places further, around the end."""
        ids = list(self._entries)
        return ids[(ids.index(self.active_id) + step) % len(ids)]

    def set_workspace(self, workspace: WorkspaceLike) -> None:
        """Hand the workspace to all panes, also to those mounted later."""
        self._workspace = workspace
        for pane in self.mounted:
            pane.on_workspace(workspace)

    def tell(self, events: tuple[Event, ...]) -> None:
        """Hand events to all panes."""
        for pane in self.mounted:
            pane.on_core_events(events)

    def keys_moved(self, *, locked: bool) -> None:
        """Tell all panes that the keys were locked or unlocked."""
        for pane in self.mounted:
            pane.keys_moved(locked=locked)

    def show_cards(self, visible: bool) -> None:
        """Tell each pane whether its card is in view: the active pane has none."""
        for pane in self.mounted:
            pane.set_card_shown(visible and self.active_id != pane.PANE_ID)
