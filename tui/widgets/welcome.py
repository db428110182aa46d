"""What an empty workspace says: what Bailiwick is, and the keys to begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.app import BailiwickApp


class Welcome(VerticalScroll):
    """The first thing a person reads in a workspace without documents."""

    def compose(self) -> ComposeResult:
        """Two sentences and the keys."""
        yield Static(self._text(), classes="welcome-text")

    def _text(self) -> Content:
        key = cast("BailiwickApp", self.app).key_of
        steps = (
            (key("work.add"), "add a folder of documents, a file, or a Python package"),
            ("bailiwick demo", "typed in a shell: a look with real documents"),
            (key("app.help"), "every key that works now"),
            (key("app.quit"), "leave"),
        )
        width = max(len(name) for name, _ in steps)
        return Content.assemble(
            ("Welcome to Bailiwick\n\n", "bold $primary"),
            "Bailiwick keeps the documents that you and your coding agents work with on this machine, and finds the "
            "right passage by meaning and by words. Nothing leaves the machine unless you share it.\n\n",
            ("This workspace is empty. To begin:\n\n", "$muted"),
            Content("\n").join(
                Content.assemble(("  " + name.ljust(width), "bold $accent"), f"   {text}") for name, text in steps
            ),
        )
