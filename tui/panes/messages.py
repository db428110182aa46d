"""The messages pane: explained, until agents can send messages."""

from __future__ import annotations

from tui.panes.base import ExplainedPane


class MessagesPane(ExplainedPane):
    """What agents say to each other."""

    PANE_ID = "messages"
    NUMBER = 2
    TITLE = "Messages"
    HELP = "Will show the messages between agents as one log that can be searched and frozen."
    WILL_SHOW = (
        "The messages between agents as one running log: who wrote to whom, when, of what type, and whether it was "
        "read. The log can be searched, frozen and copied."
    )
    MISSING = (
        "There are no agents yet, so nobody can write a message. Messages arrive together with `bailiwick agents` "
        "and `bailiwick messages`."
    )
    CARD = "None: agents come first."
