"""Locking and unlocking in the dashboard: how the keys stand, one key that does either, and the dialog when asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from textual.message import Message

from core.errors import BailiwickError
from core.events import Event, KeysChanged
from tui.bridge import in_thread

if TYPE_CHECKING:
    from textual.app import App

    from core.agentfs.agentfs import AgentFS
    from core.crypto.secret import Secret
    from core.crypto.unlocking import Way
    from core.crypto.workspace_keys import KeyStatus
    from tui.app import BailiwickApp
    from tui.bridge import WorkspaceLike


class KeysMoved(Message, namespace="keys"):
    """The keys were locked or unlocked; told to every screen."""

    def __init__(self, locked: bool) -> None:
        super().__init__()
        self.locked = locked


def read_status(agentfs: AgentFS) -> KeyStatus | None:
    """How the keys stand once this machine has unlocked what it can; ``None`` without keys. Reads the disk."""
    if not agentfs.guard.has_keys:
        return None
    agentfs.keys.ready()
    return agentfs.keys.status()


def in_keys(text: str, app: App[Any]) -> str:
    """``text`` with the dashboard's key in place of the command that unlocks."""
    return text.replace("`bailiwick keys unlock`", cast("BailiwickApp", app).key_of("keys.toggle"))


def sentence(error: BailiwickError, app: App[Any]) -> str:
    """What a person reads of ``error`` in the dashboard."""
    return in_keys(str(error), app)


class Locking:
    """Follows the keys, and has the app tell everything on the screen when they were locked or unlocked.

    For the screen's thread alone; what touches the disk runs on threads of its own.
    """

    def __init__(self, app: BailiwickApp) -> None:
        self._app = app
        self._workspace: WorkspaceLike | None = None
        self._locked: bool | None = None
        self._busy = False
        self._looks = 0

    @property
    def is_possible(self) -> bool:
        """Whether there is something to lock or unlock."""
        return self._locked is not None and not self._busy

    def begin(self, workspace: WorkspaceLike) -> None:
        """The workspace is open: unlock without asking what can be, and see how that went."""
        self._workspace = workspace
        self._app.run_worker(self._look())

    def take(self, events: Iterable[Event]) -> None:
        """Follow these events."""
        changes = [event for event in events if isinstance(event, KeysChanged)]
        if changes:
            self._tell(changes[-1].locked)
            self._app.run_worker(self._look())

    def toggle(self) -> None:
        """Lock without a question; unlock with what this machine has, else with what the person is asked for."""
        workspace = self._workspace
        if workspace is not None and self.is_possible:
            self._busy = True
            self._app.run_worker(self._unlock(workspace) if self._locked else self._lock(workspace))

    async def _lock(self, workspace: WorkspaceLike) -> None:
        try:
            await in_thread(workspace.lock_keys)
        except BailiwickError as error:
            self._app.notify(str(error), severity="error", markup=False)
        finally:
            self._busy = False
            await self._look()

    async def _unlock(self, workspace: WorkspaceLike) -> None:
        from core.crypto.secret import Secret
        from core.crypto.unlocking import Way

        try:
            refused = await self._attempt(Way.UNASKED, Secret(""))
            if refused is not None:
                from tui.screens.unlock import UnlockScreen

                slots = await in_thread(workspace.agentfs.keys.keys.slots.listed)
                await self._app.push_screen_wait(UnlockScreen(slots, refused.message, self._attempt))
        finally:
            self._busy = False
            await self._look()

    async def _attempt(self, way: Way, given: Secret) -> BailiwickError | None:
        """Unlock; answers what refused it. That another process could not be told refuses nothing, and is said."""
        workspace = self._workspace
        assert workspace is not None
        try:
            await in_thread(lambda: workspace.unlock_keys(way, given))
        except BailiwickError as error:
            if workspace.agentfs.keys.keys.is_locked:
                return error
            self._app.notify(str(error), severity="warning", markup=False)
        finally:
            given.forget()
        return None

    async def _look(self) -> None:
        """See how the keys stand; of two looks the one that began later counts."""
        workspace = self._workspace
        if workspace is None:
            return
        self._looks += 1
        number = self._looks
        try:
            status = await in_thread(lambda: read_status(workspace.agentfs))
        except BailiwickError as error:
            self._app.notify(str(error), severity="error", markup=False)
            return
        if number == self._looks and status is not None and status.locked is not self._locked:
            self._tell(status.locked)

    def _tell(self, locked: bool) -> None:
        self._locked = locked
        self._app.keys_moved(locked=locked)
