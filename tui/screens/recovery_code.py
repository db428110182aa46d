"""The dialog that makes a recovery code and shows it this one time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.panes.privacy_reading import make_recovery_code
from tui.screens.working import WorkingScreen

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.crypto.secret import Secret
    from tui.panes.agent_reading import AgentWorkspace

BEFORE = (
    "A recovery code opens everything that is sealed here, on any machine. Make one, write it down, and keep it apart "
    "from this machine."
)
AFTER = (
    "It is shown once and kept nowhere: write it down now. Whoever has it and the workspace's files can open all that "
    "is sealed. Once this closes, only another one can be made."
)


FOUNDED = (
    "The remote is set. Its recovery code opens everything that is sealed there, on any machine. It is shown once and "
    "kept nowhere: write it down now, and keep it apart from this machine."
)


class RecoveryCodeScreen(WorkingScreen[None]):
    """Enter makes the code; then only Esc closes, so that no key pressed twice takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False),
        Binding("enter", "make", "Make it", show=False),
    ]

    def __init__(self, workspace: AgentWorkspace) -> None:
        super().__init__(workspace)
        self._code: Secret | None = None

    def compose(self) -> ComposeResult:
        """What it is for, and the code."""
        with Vertical(classes="dialog confirm recovery") as dialog:
            dialog.border_title = "Recovery code"
            dialog.border_subtitle = "Enter makes it · Esc leaves"
            yield Static(BEFORE, id="recovery-text")
            yield Static("", id="recovery-code")
            yield self.answer_line()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """One code for each time it is opened."""
        return action != "make" or self._code is None

    @work
    async def action_make(self) -> None:
        """Make it and show it."""
        agentfs, person = self._workspace.agentfs, self._workspace.person
        code = await self.done(lambda: make_recovery_code(agentfs, person))
        if code is None:
            return
        self._code = code
        shown = self.query_one("#recovery-code", Static)
        shown.update(Content.styled(code.text(), "bold $accent"))
        shown.display = True
        self.query_one("#recovery-text", Static).update(AFTER)
        self.query_one(".dialog").border_subtitle = "Esc closes, for good"

    def action_leave(self) -> None:
        """Close; nothing keeps the code."""
        self.query_one("#recovery-code", Static).update("")
        super().action_leave()

    def on_unmount(self) -> None:
        """However it closed, nothing keeps the code."""
        if self._code is not None:
            self._code.forget()


class ShownCodeScreen(ModalScreen[None]):
    """Shows a code that was made elsewhere, this one time; only Esc closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    def __init__(self, code: Secret) -> None:
        super().__init__()
        self._code = code

    def compose(self) -> ComposeResult:
        """The code, and what it is for."""
        with Vertical(classes="dialog confirm recovery shown") as dialog:
            dialog.border_title = "Recovery code"
            dialog.border_subtitle = "Esc closes, for good"
            yield Static(FOUNDED, id="recovery-text")
            yield Static(Content.styled(self._code.text(), "bold $accent"), id="recovery-code")

    def action_leave(self) -> None:
        """Close; nothing keeps the code."""
        self.query_one("#recovery-code", Static).update("")
        self.dismiss(None)

    def on_unmount(self) -> None:
        """However it closed, nothing keeps the code."""
        self._code.forget()
