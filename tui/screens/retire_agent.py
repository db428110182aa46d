"""The question whether an agent is to be retired, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Static

from tui.printable import printable
from tui.screens.working import WorkingScreen

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.agent_model import AgentOverview
    from tui.panes.agent_reading import AgentWorkspace


class RetireScreen(WorkingScreen[None]):
    """Retires the agent only with the button that says so."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Keep it", show=False)]

    def __init__(self, workspace: AgentWorkspace, overview: AgentOverview) -> None:
        super().__init__(workspace)
        self._agent = overview.agent
        held = [f"{overview.leases} leases" if overview.leases > 1 else "its lease"] if overview.leases else []
        held += ["its session"] if overview.session_id is not None else []
        ends = f" {' and '.join(held).capitalize()} will end." if held else ""
        self._question = (
            f"Retire {printable(self._agent.name)}?{ends} Its key is deleted, its states and history stay, and its "
            "name is free again. This cannot be undone."
        )

    def compose(self) -> ComposeResult:
        """What it means, the reason, and the two answers."""
        with Vertical(classes="dialog confirm") as dialog:
            dialog.border_title = "Retire an agent"
            yield Static(self._question, markup=False)
            yield Label("\nReason, shown to whoever looks for it")
            yield Input(id="retire-reason", placeholder="its work is done", compact=True)
            yield self.answer_line()
            with Horizontal(classes="buttons"):
                yield Button("Keep it", id="no")
                yield Button("Retire it", id="yes", variant="error")

    def on_input_submitted(self) -> None:
        """The reason is given; the answer is still to come."""
        self.query_one("#yes").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Retire it, or not."""
        if event.button.id == "yes":
            self._retire(self.query_one(Input).value.strip())
        else:
            self.dismiss(None)

    @work
    async def _retire(self, reason: str) -> None:
        workspace, agent = self._workspace, self._agent
        if await self.done(lambda: workspace.agentfs.agents.retire(agent.id, by=workspace.person, reason=reason)):
            self.app.notify(f"{printable(agent.name)} is retired.", markup=False)
            self.dismiss(None)
