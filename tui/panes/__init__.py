"""The panes of the dashboard, one file each; this registry names them without importing them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.panes.base import Pane


@dataclass(frozen=True, slots=True)
class PaneEntry:
    """One pane: its id, the number of its key, its title with two shorter ones, and where its class is.

    ``where`` reads ``module:Class``.
    """

    id: str
    number: int
    titles: tuple[str, str, str]
    where: str

    @property
    def title(self) -> str:
        """The whole title."""
        return self.titles[0]

    def load(self) -> type[Pane]:
        """Import the pane's class."""
        module, name = self.where.split(":")
        pane: type[Pane] = getattr(import_module(module), name)
        return pane


PANES: tuple[PaneEntry, ...] = (
    PaneEntry("agents", 1, ("Agents", "Agents", "Agts"), "tui.panes.agents:AgentsPane"),
    PaneEntry("messages", 2, ("Messages", "Msgs", "Msgs"), "tui.panes.messages:MessagesPane"),
    PaneEntry("search", 3, ("Search", "Search", "Srch"), "tui.panes.search:SearchPane"),
    PaneEntry("sync", 4, ("Sync", "Sync", "Sync"), "tui.panes.sync:SyncPane"),
    PaneEntry("conflicts", 5, ("Conflicts", "Confl", "Conf"), "tui.panes.conflicts:ConflictsPane"),
    PaneEntry("hardware", 6, ("Hardware", "Hardw", "Hdw"), "tui.panes.hardware:HardwarePane"),
    PaneEntry("audit", 7, ("Audit", "Audit", "Aud"), "tui.panes.audit:AuditPane"),
    PaneEntry("privacy", 8, ("Privacy", "Privacy", "Priv"), "tui.panes.privacy:PrivacyPane"),
)
