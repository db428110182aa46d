"""The conflicts pane: explained, until two machines or agents can disagree."""

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
        "Nothing can conflict yet: there is one writer, this machine. Conflicts arrive with sync and with agents that "
        "share state."
    )
    CARD = "None: there is one writer, this machine."
