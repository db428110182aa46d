"""The dialogs of the agents pane, each imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tui.printable import printable

if TYPE_CHECKING:
    from concurrent.futures import Future

    from core.agent_model import Agent, AgentOverview, Message
    from tui.app import BailiwickApp
    from tui.panes.agent_reading import AgentWorkspace
    from tui.screens.write import Draft

PERSON = "person"


class AgentDialogs:
    """Opens them over ``app``; ``done`` is called when one has closed."""

    def __init__(self, app: BailiwickApp, workspace: AgentWorkspace, done: Callable[[], None]) -> None:
        self._app = app
        self._workspace = workspace
        self._done = done

    def register(self) -> None:
        """Register an agent."""
        from tui.screens.register_agent import RegisterScreen

        self._app.push_screen(RegisterScreen(self._workspace), self._closed)

    def retire(self, overview: AgentOverview) -> None:
        """Retire an agent."""
        from tui.screens.retire_agent import RetireScreen

        self._app.push_screen(RetireScreen(self._workspace, overview), self._closed)

    def snapshot(self) -> None:
        """Take a snapshot."""
        from tui.screens.take_snapshot import SnapshotScreen

        self._app.push_screen(SnapshotScreen(self._workspace), self._closed)

    def restore(self, agent: Agent | None) -> None:
        """Restore from a snapshot, the states of ``agent`` or all."""
        from tui.screens.restore_snapshot import RestoreScreen

        self._app.push_screen(RestoreScreen(self._workspace, agent), self._closed)

    def history(self, agent: Agent, key: str) -> None:
        """Every version of one state."""
        from tui.screens.state_history import HistoryScreen

        self._app.push_screen(HistoryScreen(self._workspace, agent, key), self._closed)

    def message(self, agent: Agent, overviews: Sequence[AgentOverview]) -> None:
        """Write to ``agent``, or to others of ``overviews``."""
        from tui.people import People
        from tui.screens.write import Draft, WriteScreen

        agentfs, person = self._workspace.agentfs, self._workspace.person
        people = People.of(overviews, person, agentfs.agents.person_id(person.id))
        self._app.push_screen(WriteScreen(Draft(agent.name), people, self._send), self._sent)

    def _send(self, draft: Draft) -> Future[Message]:
        messages, person = self._workspace.agentfs.messages, self._workspace.person
        return self._workspace.pool.submit(
            lambda: messages.send(
                PERSON, draft.to, draft.content, by=person, type=draft.type, importance=draft.importance
            )
        )

    def _sent(self, message: Message | None) -> None:
        if message is not None:
            self._app.notify(f"Sent to {printable(message.recipient)}.", markup=False)
        self._done()

    def _closed(self, _: None) -> None:
        self._done()
