"""The panes of the dashboard, one file each; this registry names them without importing them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.panes.base import Pane


@dataclass(frozen=True, slots=True)
class PaneEntry:
    """One pane: its id, the number of its key, its title, and where its class is (``module:Class``)."""

    id: str
    number: int
    title: str
    where: str

    def load(self) -> type[Pane]:
        """Import the pane's class."""
        module, name = self.where.split(":")
        pane: type[Pane] = getattr(import_module(module), name)
        return pane


PANES: tuple[PaneEntry, ...] = (
    PaneEntry("agents", 1, "Agents", "tui.panes.agents:AgentsPane"),
    PaneEntry("messages", 2, "Messages", "tui.panes.messages:MessagesPane"),
    PaneEntry("search", 3, "Search", "tui.panes.search:SearchPane"),
    PaneEntry("sync", 4, "Sync", "tui.panes.sync:SyncPane"),
    PaneEntry("conflicts", 5, "Conflicts", "tui.panes.conflicts:ConflictsPane"),
    PaneEntry("hardware", 6, "Hardware", "tui.panes.hardware:HardwarePane"),
    PaneEntry("audit", 7, "Audit", "tui.panes.audit:AuditPane"),
)
