"""A radio button that shows by its sign, not by colour alone, whether it is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import RadioButton

if TYPE_CHECKING:
    from textual.content import Content


class SignedRadioButton(RadioButton):
    """``●`` when it is chosen, else ``○``."""

    BUTTON_INNER = "○"

    def render(self) -> Content:
        """The sign and the label."""
        self.BUTTON_INNER = "●" if self.value else "○"
        return super().render()
