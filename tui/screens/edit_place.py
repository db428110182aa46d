"""The dialogs that write what shall hold at one place: a value of JSON in a line, a text or a long value in several."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content as Words
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from core.conflicts.merging.automatic import Media
from core.conflicts.merging.decisions import Absent, Choice, DecisionKind, joined
from core.conflicts.merging.outline import shown_lines
from core.errors import InvalidInput
from tui.printable import printable

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.conflicts.arbitration import Arbitration
    from core.conflicts.merging.decisions import Content, Decision

LONGEST_LINE = 200


class EditPlaceScreen(ModalScreen["tuple[Content] | None"]):
    """Answers what was written, in a tuple of one, once it is valid; ``None`` when the person left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("ctrl+o", "other", "Another version", show=False, priority=True),
    ]
    KEYS: ClassVar[str]

    def __init__(self, arbitration: Arbitration, number: int, *, plain: bool) -> None:
        """``plain``: what is typed is a text as it is, not JSON."""
        super().__init__()
        self._arbitration = arbitration
        self._number = number
        self._plain = plain
        self._versions = _versions(arbitration.decisions[number], plain=plain)
        self._shown = 0

    @property
    def text(self) -> str:
        """What is in the field."""
        raise NotImplementedError

    def write(self, text: str) -> None:
        """Put something into the field."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """The place, the versions to begin with, the field, and what is wrong with it."""
        with Vertical(classes="dialog edit") as dialog:
            decision = self._arbitration.decisions[self._number]
            dialog.border_title = Words(printable(decision.path or self._arbitration.path))
            dialog.border_subtitle = f"{self.KEYS} · ^O begins with another version · Esc leaves"
            yield Static("", id="edit-from")
            yield self.field()
            yield Static("", id="edit-answer", classes="answer", markup=False)

    def field(self) -> Input | TextArea:
        """Where one writes."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Begin with what holds there now, else with local."""
        self._begin()
        self.query_one("#edit-field").focus()

    def _begin(self) -> None:
        name, text = self._versions[self._shown]
        self.write(text)
        names = [
            (f" {each} ", "bold $tab-foreground on $tab-background" if each == name else "$muted")
            for each, _ in self._versions
        ]
        self.query_one("#edit-from", Static).update(Words.assemble(("Begun with ", "$muted"), *names))
        self._check()

    def action_other(self) -> None:
        """Begin anew with another version."""
        self._shown = (self._shown + 1) % len(self._versions)
        self._begin()

    def _check(self) -> tuple[Content] | None:
        """What was written, in a tuple of one; ``None`` where it is not valid, which is said."""
        typed = json.dumps(self.text) if self._plain and not self._is_hunk else self.text
        answer = self.query_one("#edit-answer", Static)
        answer.display = True
        try:
            content = self._arbitration.checked(typed, self._number)
            self._arbitration.choose([self._number], Choice.CUSTOM, content)
        except InvalidInput as error:
            answer.update(f"! {error}")
            answer.add_class("failed")
            return None
        answer.remove_class("failed")
        answer.update("✓ text" if self._plain else f"✓ {_kind(content)}")
        return (content,)

    @property
    def _is_hunk(self) -> bool:
        return self._arbitration.decisions[self._number].kind is DecisionKind.TEXT_HUNK

    def action_accept(self) -> None:
        """Answer, when it is valid."""
        written = self._check()
        if written is not None:
            self.dismiss(written)


class EditValueScreen(EditPlaceScreen):
    """One line of JSON."""

    KEYS = "Enter takes it"

    def field(self) -> Input:
        """One line."""
        return Input(id="edit-field", compact=True)

    @property
    def text(self) -> str:
        """What is in the field."""
        return self.query_one(Input).value

    def write(self, text: str) -> None:
        """Put something into the field."""
        self.query_one(Input).value = text

    @on(Input.Changed)
    def _typed(self) -> None:
        self._check()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_accept()


class EditTextScreen(EditPlaceScreen):
    """Several lines."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "accept", "Take it", show=False, priority=True)]
    KEYS = "^S takes it"

    def field(self) -> TextArea:
        """Several lines."""
        return TextArea(id="edit-field", compact=True, show_line_numbers=False, tab_behavior="indent")

    @property
    def text(self) -> str:
        """What is in the field."""
        return self.query_one(TextArea).text

    def write(self, text: str) -> None:
        """Put something into the field."""
        self.query_one(TextArea).load_text(text)

    @on(TextArea.Changed)
    def _typed(self) -> None:
        self._check()


def edit_screen(arbitration: Arbitration, number: int) -> EditPlaceScreen:
    """The dialog that suits a place."""
    decision = arbitration.decisions[number]
    sides = [each for each in (decision.base, decision.local, decision.remote, decision.outcome())
             if not isinstance(each, Absent)]  # fmt: skip
    is_text = decision.kind is DecisionKind.TEXT_HUNK or arbitration.media is not Media.JSON
    plain = is_text or (all(isinstance(each, str) for each in sides) and any("\n" in str(each) for each in sides))
    short = all(len(json.dumps(each)) <= LONGEST_LINE for each in sides if not isinstance(each, bytes))
    kind = EditValueScreen if short and not plain else EditTextScreen
    return kind(arbitration, number, plain=plain)


def _versions(decision: Decision, *, plain: bool) -> list[tuple[str, str]]:
    """What one can begin with, by name: what is chosen, then the sides; each text only once."""
    sides = [("local", decision.local), ("remote", decision.remote), ("base", decision.base)]
    if decision.has_both:
        sides.append(("both", joined(decision.local, decision.remote)))
    if not decision.is_open:
        sides.insert(0, ("what is chosen", decision.outcome()))
    found: dict[str, str] = {}
    for name, content in sides:
        if not isinstance(content, Absent):
            found.setdefault(_typed_text(content, plain=plain), name)
    return [(name, text) for text, name in found.items()] or [("nothing", "")]


def _typed_text(content: Content, *, plain: bool) -> str:
    if isinstance(content, bytes):
        return "\n".join(shown_lines(content))
    if plain and isinstance(content, str):
        return content
    text = json.dumps(content, ensure_ascii=False)
    return text if len(text) <= LONGEST_LINE else json.dumps(content, ensure_ascii=False, indent=2)


def _kind(content: Content) -> str:
    match content:
        case bool() | None:
            return "JSON"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case dict():
            return f"an object of {len(content):,}"
        case list():
            return f"a list of {len(content):,}"
    return "valid"
