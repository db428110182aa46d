"""The sync pane: explained, until a remote can be set."""

from __future__ import annotations

from tui.panes.base import ExplainedPane


class SyncPane(ExplainedPane):
    """What other machines have."""

    PANE_ID = "sync"
    NUMBER = 4
    TITLE = "Sync"
    HELP = "Will show the remote, what waits to be sent or fetched, and what it costs."
    WILL_SHOW = (
        "The remote, the last commit this machine has seen, what waits to be sent and to be fetched, how far a run is, "
        "and its operations with their price."
    )
    MISSING = (
        "No remote can be set yet, so everything stays on this machine and nothing is sent anywhere. Remotes arrive "
        "with `bailiwick remote set`."
    )
    CARD = "Off: everything stays on this machine."
