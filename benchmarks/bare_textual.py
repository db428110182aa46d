"""The smallest Textual app with a screen: what every other one is compared with."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Footer, Header, Static


class BareApp(App[None]):
    """Header, one line, Footer."""

    TITLE = "Bare"

    def compose(self) -> ComposeResult:
        yield Header()
        yield Static("Nothing but a screen")
        yield Footer()


if __name__ == "__main__":
    BareApp().run()
