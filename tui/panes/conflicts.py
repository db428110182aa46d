"""The conflicts pane: explained, until rulings can be made in it."""

from __future__ import annotations

from tui.panes.base import ExplainedPane


class ConflictsPane(ExplainedPane):
    """What waits for the person's ruling."""

    PANE_ID = "conflicts"
    NUMBER = 5
    TITLE = "Conflicts"
    HELP = "Will show both sides and their common base, and take your ruling."
    WILL_SHOW = (
        "Every change that two sides made differently: both versions and their common base side by side, what each "
        "side changed, and the result of your choices before it is applied."
    )
    MISSING = (
        "Rulings. Where two machines changed the same thing, every version is kept, the one that came first in the log "
        "holds for now, and work goes on. `bailiwick conflicts list` names what is in conflict, `bailiwick conflicts "
        "show ID` shows every version; write what shall hold as a new version."
    )
    CARD = "Every version is kept."
