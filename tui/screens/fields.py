"""A dialog of a few short fields, completed from what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult


@dataclass(frozen=True, slots=True)
class Field:
    """One line to fill in; ``known`` completes it."""

    name: str
    label: str
    value: str = ""
    known: Iterable[str] = ()
    placeholder: str = "any"


class FieldsScreen(ModalScreen["Mapping[str, str] | None"]):
    """Answers the texts by the names of their fields, or ``None`` when the person left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("ctrl+d", "clear", "Clear", show=False, priority=True),
    ]

    def __init__(self, title: str, fields: Iterable[Field], check: Callable[[Mapping[str, str]], str]) -> None:
        """``check`` says in a sentence what is wrong with the texts, or nothing."""
        super().__init__()
        self._title = title
        self._fields = tuple(fields)
        self._check = check

    def compose(self) -> ComposeResult:
        """Each field under its label."""
        with Vertical(classes="dialog filters") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = "Enter applies · → completes · ^D clears · Esc leaves"
            for field in self._fields:
                yield Label(field.label)
                suggester = SuggestFromList(sorted({*field.known} - {""}), case_sensitive=False)
                yield Input(
                    field.value,
                    id=f"field-{field.name}",
                    suggester=suggester,
                    placeholder=field.placeholder,
                    compact=True,
                )
            yield Static("", id="field-error", classes="error", markup=False)

    def on_input_submitted(self) -> None:
        """Apply what the fields say."""
        texts = {field.name: self.query_one(f"#field-{field.name}", Input).value.strip() for field in self._fields}
        problem = self._check(texts)
        if problem:
            self.query_one("#field-error", Static).update(problem)
        else:
            self.dismiss(texts)

    def action_clear(self) -> None:
        """Answer empty fields."""
        self.dismiss({field.name: "" for field in self._fields})
