"""The dialog that unlocks the workspace: by a passphrase or recovery code, or by a key file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from core.crypto.secret import Secret
from core.crypto.slot_header import SlotKind
from core.crypto.unlocking import Way
from tui.screens.add import PathSuggester

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult

    from core.crypto.slots import Slot
    from core.errors import BailiwickError

    Attempt = Callable[[Way, Secret], Awaitable[BailiwickError | None]]

_WHAT = {
    (True, False): "Passphrase",
    (False, True): "Recovery code",
}


class UnlockScreen(ModalScreen[None]):
    """Stays until something has unlocked the keys, or the person leaves; what is typed is never shown."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close", show=False)]

    def __init__(self, slots: Sequence[Slot], problem: str, attempt: Attempt) -> None:
        """``problem`` says why nothing has unlocked them so far; ``attempt`` unlocks, and answers what refused it."""
        super().__init__()
        self._kinds = {slot.kind for slot in slots}
        self._problem = problem
        self._attempt = attempt
        self._busy = False

    def compose(self) -> ComposeResult:
        """Why it is asked, and a field for each thing that can unlock; a slot without its header may be of any kind."""
        passphrase, code = (bool({kind, None} & self._kinds) for kind in (SlotKind.PASSPHRASE, SlotKind.RECOVERY_CODE))
        with Vertical(classes="dialog filters unlock") as dialog:
            dialog.border_title = "Unlock"
            dialog.border_subtitle = "Enter unlocks · Tab moves · Esc leaves"
            yield Static(self._problem, id="unlock-problem", markup=False)
            if passphrase or code:
                yield Label(_WHAT.get((passphrase, code), "Passphrase or recovery code"))
                yield Input(password=True, id="unlock-typed", compact=True)
                yield Label("Or the path of a key file")
            else:
                yield Label("The path of a key file")
            yield Input(
                id="unlock-file", suggester=PathSuggester(), placeholder="/media/stick/bailiwick.key", compact=True
            )
            yield Static("", id="unlock-answer", classes="answer", markup=False)

    def on_mount(self) -> None:
        """Begin with the first field."""
        self.query(Input).first().focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        way = Way.KEY_FILE if event.input.id == "unlock-file" else Way.TYPED
        if not event.value.strip():
            self._answer("Type it first.")
        elif not self._busy:
            self._try(way, Secret(event.value.strip() if way is Way.KEY_FILE else event.value), event.input)

    @work
    async def _try(self, way: Way, given: Secret, field: Input) -> None:
        self._busy = True
        self._answer("Unlocking …", failed=False)
        refused = await self._attempt(way, given)
        self._busy = False
        if refused is None:
            field.clear()
            self.dismiss(None)
        else:
            self._answer(str(refused))
            field.action_select_all()
            field.focus()

    def _answer(self, text: str, *, failed: bool = True) -> None:
        answer = self.query_one("#unlock-answer", Static)
        answer.update(text)
        answer.display = True
        answer.set_class(failed, "failed")
