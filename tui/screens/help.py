"""The help: every action that works now, filtered as one types and run with Enter, beside what the pane is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Markdown, OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.actions import UsableAction

KEY_WIDTH = 8


class HelpScreen(ModalScreen["UsableAction | None"]):
    """Answers the action that was chosen, to be run by whoever asked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False),
        Binding("down", "move(1)", "Next", show=False, priority=True),
        Binding("up", "move(-1)", "Previous", show=False, priority=True),
    ]

    def __init__(self, actions: tuple[UsableAction, ...], pane_title: str, pane_help: str) -> None:
        super().__init__()
        self._actions = {usable.spec.id: usable for usable in actions}
        self._pane_title = pane_title
        self._pane_help = pane_help

    def compose(self) -> ComposeResult:
        """The list on the left, the pane's own words on the right."""
        with Vertical(classes="dialog help") as dialog:
            dialog.border_title = "Help"
            dialog.border_subtitle = "type to filter · Enter runs · Esc closes"
            yield Input(placeholder="What do you want to do?", id="help-filter")
            with Horizontal():
                yield OptionList(id="help-actions")
                with VerticalScroll(id="help-pane", can_focus=False):
                    yield Static(self._pane_title, classes="heading")
                    yield Markdown(self._pane_help)

    def on_mount(self) -> None:
        """Everything is listed at first."""
        self.query_one(OptionList).can_focus = False
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Keep what has all the words that were typed."""
        self._list(event.value)

    def on_input_submitted(self) -> None:
        """Run the highlighted action."""
        self.query_one(OptionList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer the chosen action."""
        self.dismiss(self._actions[event.option_id] if event.option_id else None)

    def action_move(self, step: int) -> None:
        """Move the highlight while the filter keeps the focus."""
        actions = self.query_one(OptionList)
        if step > 0:
            actions.action_cursor_down()
        else:
            actions.action_cursor_up()

    def action_leave(self) -> None:
        """Run nothing."""
        self.dismiss(None)

    def _list(self, text: str) -> None:
        words = text.casefold().split()
        matches = [usable for usable in self._actions.values() if _matches(usable, words)]
        actions = self.query_one(OptionList)
        actions.clear_options()
        actions.add_options([Option(_prompt(usable), id=usable.spec.id) for usable in matches])
        actions.highlighted = 0 if matches else None
        if not matches:
            actions.add_option(Option("No action has these words.", disabled=True))


def _matches(usable: UsableAction, words: list[str]) -> bool:
    spec = usable.spec
    text = f"{' '.join(usable.keys)} {usable.label} {spec.description} {spec.group}".casefold()
    return all(word in text for word in words)


def _prompt(usable: UsableAction) -> Content:
    return Content.assemble(
        (" ".join(usable.keys).ljust(KEY_WIDTH), "bold $accent"),
        (f" {usable.label}", "bold"),
        (f"  {usable.spec.description}", "$muted"),
    )
