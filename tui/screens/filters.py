"""The filter dialog of search: language, library, version and any key, completed from what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static

from core.errors import InvalidInput
from core.model import Filters
from core.search.query import parse_where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from core.model import Library


class FilterScreen(ModalScreen[Filters | None]):
    """Answers the chosen filters, or ``None`` when the person left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("ctrl+d", "clear", "Clear", show=False),
    ]

    def __init__(self, filters: Filters, libraries: Sequence[Library]) -> None:
        super().__init__()
        self._filters = filters
        self._libraries = libraries

    def compose(self) -> ComposeResult:
        """A field for each filter."""
        where = " ".join(f"{key}={value}" for key, value in self._filters.where)
        fields = (
            ("language", "Language", self._filters.language, {each.language for each in self._libraries}),
            ("library", "Library", self._filters.library, {each.library for each in self._libraries}),
            ("version", "Version", self._filters.version, {each.version for each in self._libraries}),
            ("where", "Key=value", where, set[str]()),
        )
        with Vertical(classes="dialog filters") as dialog:
            dialog.border_title = "Filters"
            dialog.border_subtitle = "Enter applies · → completes · ^D clears · Esc leaves"
            for name, label, value, known in fields:
                yield Label(label)
                suggestions = SuggestFromList(sorted(known - {""}), case_sensitive=False)
                yield Input(value, id=f"filter-{name}", suggester=suggestions, placeholder="any", compact=True)
            yield Static("", id="filter-error", classes="error")

    def on_input_submitted(self) -> None:
        """Apply what the fields say."""
        value = {name: self.query_one(f"#filter-{name}", Input).value.strip() for name in ("language", "library")}
        version = self.query_one("#filter-version", Input).value.strip()
        where = self.query_one("#filter-where", Input).value.split()
        try:
            self.dismiss(Filters(value["language"], value["library"], version, parse_where(tuple(where))))
        except InvalidInput as error:
            self.query_one("#filter-error", Static).update(str(error))

    def action_clear(self) -> None:
        """Filter nothing any more."""
        self.dismiss(Filters())
