"""The agents pane: explained, until agents can register."""

from __future__ import annotations

from tui.panes.base import ExplainedPane


class AgentsPane(ExplainedPane):
    """Which agents are alive and doing what."""

    PANE_ID = "agents"
    NUMBER = 1
    TITLE = "Agents"
    HELP = "Will list the workspace's agents with their type, status, last action and the files they hold."
    WILL_SHOW = (
        "Every agent of this workspace: its name and type, whether it is active, busy or in error, what it did last, "
        "and which files it holds at the moment."
    )
    MISSING = (
        "No agent can register yet: this version keeps documents and searches them. Agents arrive with "
        "`bailiwick agents` and `bailiwick mcp`; until then there is nothing true to list here."
    )
    CARD = "None: no agent can register yet."
