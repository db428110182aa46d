"""A dialog that does something in the workspace and says how that went, in itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Static

from core.errors import BailiwickError
from tui.locking import sentence
from tui.pooled import in_pool

if TYPE_CHECKING:
    from tui.panes.agent_reading import AgentWorkspace

T = TypeVar("T")
ANSWER_ID = "working-answer"


class WorkingScreen(ModalScreen[ScreenResultType], Generic[ScreenResultType]):
    """Base of such dialogs; one composes ``answer_line`` where it answers."""

    def __init__(self, workspace: AgentWorkspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._busy = False

    def answer_line(self) -> Static:
        """The line where the dialog answers."""
        return Static("", id=ANSWER_ID, classes="answer", markup=False)

    def answer(self, text: str, *, failed: bool = False) -> None:
        """Say something in the dialog."""
        line = self.query_one(f"#{ANSWER_ID}", Static)
        line.update(text)
        line.display = bool(text)
        line.set_class(failed, "failed")

    async def done(self, job: Callable[[], T]) -> T | None:
        """What ``job`` answers; ``None`` where it was refused, which the dialog says, or where one runs already."""
        if self._busy:
            return None
        self._busy = True
        try:
            return await in_pool(self._workspace.pool, job)
        except BailiwickError as error:
            self.answer(sentence(error, self.app), failed=True)
            return None
        finally:
            self._busy = False

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)
