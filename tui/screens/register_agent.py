"""The dialog that registers an agent, and tells where its key is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static

from core.agent_model import KNOWN_TYPES, Registration
from tui.clipboard import copy_out
from tui.printable import printable
from tui.screens.working import WorkingScreen

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.model import JSONObject, JSONValue
    from tui.panes.agent_reading import AgentWorkspace

_FIELDS = (
    ("name", "Name", "reviewer"),
    ("type", f"Type: {', '.join(KNOWN_TYPES)} …", KNOWN_TYPES[0]),
    ("responsibilities", "Responsible for, with commas between", "src/api/**, docs/**"),
    ("tools", "Tools, with commas between", "pytest, grep"),
)


class RegisterScreen(WorkingScreen[None]):
    """Enter registers; then the dialog shows the key's file and closes with the next Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False),
        Binding("enter", "leave", "Close", show=False),
        Binding("c", "copy_path", "Copy the path", show=False),
    ]

    def __init__(self, workspace: AgentWorkspace) -> None:
        super().__init__(workspace)
        self._registration: Registration | None = None

    def compose(self) -> ComposeResult:
        """A field for each thing that can be told, and the answer."""
        with Vertical(classes="dialog filters") as dialog:
            dialog.border_title = "Register an agent"
            dialog.border_subtitle = "Enter registers · → completes · Esc leaves"
            with Vertical(id="register-fields"):
                for name, label, placeholder in _FIELDS:
                    yield Label(label)
                    suggester = SuggestFromList(KNOWN_TYPES) if name == "type" else None
                    yield Input(id=f"register-{name}", placeholder=placeholder, suggester=suggester, compact=True)
            yield Static("", id="registered")
            yield self.answer_line()

    def on_input_submitted(self) -> None:
        """Register what the fields say."""
        if not self._text("name"):
            self.answer("Give it a name.", failed=True)
        else:
            self._register(self._text("name"), self._text("type"), self._capabilities())

    @work
    async def _register(self, name: str, kind: str, capabilities: JSONObject | None) -> None:
        agents, person = self._workspace.agentfs.agents, self._workspace.person

        def register() -> Registration:
            """Without a type, an agent that is known keeps the one that it has."""
            held = next((each.agent.type for each in agents.all() if each.agent.name == name), KNOWN_TYPES[0])
            return agents.register(name, kind or held, capabilities, owner=person.id, by=person)

        registration = await self.done(register)
        if registration is not None:
            self._show(registration)

    def _show(self, registration: Registration) -> None:
        """Nothing more can be typed; the key's path is what there is to take away."""
        self._registration = registration
        self.query_one("#register-fields").display = False
        self.set_focus(None)
        agent = registration.agent
        said = "is registered" if registration.created else "was here already and is known again"
        waiting = f" It waits, {agent.place} in line: {printable(agent.reason)}" if agent.place else ""
        registered = self.query_one("#registered", Static)
        registered.display = True
        registered.update(
            Content.assemble(
                (printable(agent.name), "bold $primary"),
                f" {said}.{waiting}\n\nIts key, for its client alone, is in the file\n\n",
                (printable(registration.key_path), "bold"),
            )
        )
        self.query_one(".dialog").border_subtitle = "c copies the path · Enter closes"
        self.answer("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The path can be copied once there is one."""
        return self._registration is not None if action == "copy_path" else True

    def action_copy_path(self) -> None:
        """Copy where the key is."""
        if self._registration is not None:
            copy_out(self.app, self._registration.key_path)

    def _capabilities(self) -> JSONObject | None:
        """What was declared; ``None``, so that an agent that is known keeps what it declared, when nothing was."""
        told: dict[str, JSONValue] = {}
        for name in ("responsibilities", "tools"):
            names: list[JSONValue] = [part.strip() for part in self._text(name).split(",") if part.strip()]
            if names:
                told[name] = names
        return told or None

    def _text(self, name: str) -> str:
        return self.query_one(f"#register-{name}", Input).value.strip()
