"""The dialog that asks what a safety brake of synchronising wants to know."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.printable import printable
from tui.screens.confirm import ConfirmScreen


class BrakeScreen(ConfirmScreen):
    """Answers True or False; ``None`` where the person leaves the question open."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Later", show=False)]

    def __init__(self, question: str) -> None:
        super().__init__(
            f"{printable(question)} Nothing moves until this is answered; Esc leaves it open.", "Do it", no="No"
        )
