"""Copying out of the dashboard through the terminal."""

from __future__ import annotations

from typing import Any

from textual.app import App

MOST_ENCODED_BYTES = 74_994


def copy_out(app: App[Any], text: str) -> None:
    """Copy ``text`` to the terminal's clipboard (OSC 52) and say so; what terminals would cut off is refused."""
    encoded = -(-len(text.encode("utf-8", "replace")) // 3) * 4
    if not text:
        app.notify("There is nothing to copy here.", severity="warning")
    elif encoded > MOST_ENCODED_BYTES:
        app.notify("That is too long for the terminal's clipboard.", severity="warning")
    else:
        app.copy_to_clipboard(text)
        app.notify(f"Copied {len(text):,} characters.")
