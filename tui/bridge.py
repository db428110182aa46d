"""Where the core meets the screen: what the app needs of a workspace, and how events and answers cross the threads."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from textual.message import Message

from core.events import Event, EventBus, ItemsChanged, KeysChanged, Progress

if TYPE_CHECKING:
    from core.agentfs.agentfs import AgentFS
    from core.crypto.secret import Secret
    from core.crypto.unlocking import Way
    from core.hardware.load import LoadSample
    from core.model import HardwareProfile, JSONValue, Library, Problem, ResourceLimits, Source

_log = logging.getLogger(__name__)
T = TypeVar("T")

MOST_FLUSHES_PER_SECOND = 8


class SamplerLike(Protocol):
    """The load of the machine, sampled while somebody is subscribed."""

    def subscribe(self, callback: Callable[[LoadSample], None]) -> Callable[[], None]: ...

    def history(self) -> tuple[LoadSample, ...]: ...


class HardwareLike(Protocol):
    """What the machine is, what it allows, how loaded it is."""

    @property
    def profile(self) -> HardwareProfile: ...

    @property
    def limits(self) -> ResourceLimits: ...

    @property
    def sampler(self) -> SamplerLike: ...


class SettingsLike(Protocol):
    """What the workspace remembers by itself."""

    def get(self, key: str) -> JSONValue: ...

    def put(self, key: str, value: JSONValue) -> None: ...


class WorkspaceLike(Protocol):
    """What the shell needs of ``core.workspace.Workspace``; every method may touch the disk: see ``in_thread``."""

    @property
    def bus(self) -> EventBus: ...

    @property
    def root(self) -> Path: ...

    @property
    def agentfs(self) -> AgentFS: ...

    @property
    def hardware(self) -> HardwareLike: ...

    @property
    def settings(self) -> SettingsLike: ...

    @property
    def engine_elsewhere(self) -> str: ...

    def libraries(self) -> list[Library]: ...

    def sources(self) -> list[Source]: ...

    def problems(self) -> list[Problem]: ...

    def add_path(self, path: str) -> object: ...

    def add_package(self, requirement: str) -> object: ...

    def remove(self, target: str) -> object: ...

    def cancel_work(self) -> None: ...

    def resume_work(self) -> None: ...

    def lock_keys(self) -> None: ...

    def unlock_keys(self, way: Way, given: Secret) -> None: ...

    def close(self) -> None: ...


class CoreEvents(Message, namespace="bridge"):
    """What happened in the core since the last one of these."""

    def __init__(self, events: tuple[Event, ...]) -> None:
        super().__init__()
        self.events = events


class WorkspaceOpened(Message):
    """The workspace is there."""

    def __init__(self, workspace: WorkspaceLike) -> None:
        super().__init__()
        self.workspace = workspace


class WorkspaceFailed(Message):
    """The workspace could not be opened."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def coalesce(events: list[Event], new: Event) -> None:
    """Append ``new`` to ``events`` and take away what it makes superfluous.

    Of running Progress events of one stage only the newest stays (one that finished stays), of ItemsChanged the
    furthest, of KeysChanged the last, and of other equal events one.
    """
    if isinstance(new, Progress):
        events[:] = [
            each
            for each in events
            if not (isinstance(each, Progress) and each.stage == new.stage and not each.finished)
        ]
    elif isinstance(new, ItemsChanged):
        furthest = max([each.position for each in events if isinstance(each, ItemsChanged)], default=new.position)
        events[:] = [each for each in events if not isinstance(each, ItemsChanged)]
        new = ItemsChanged(max(furthest, new.position))
    elif isinstance(new, KeysChanged):
        events[:] = [each for each in events if not isinstance(each, KeysChanged)]
    elif new in events:
        return
    events.append(new)


class EventBridge:
    """Gathers the events of a bus and posts them as one CoreEvents message, at most eight times a second.

    Publishing costs the publisher a lock and an append. ``post`` is ``App.post_message``, the one call that may cross
    from a thread to the screen; it is only called from this bridge's own daemon thread.
    """

    def __init__(self, bus: EventBus, post: Callable[[Message], bool]) -> None:
        self._post = post
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._filled = threading.Event()
        self._stopped = threading.Event()
        self._unsubscribe = bus.subscribe(self._receive)
        threading.Thread(target=self._run, name="event-bridge", daemon=True).start()

    def close(self) -> None:
        """Stop listening; returns at once."""
        self._unsubscribe()
        self._stopped.set()
        self._filled.set()

    def _receive(self, event: Event) -> None:
        with self._lock:
            coalesce(self._events, event)
        self._filled.set()

    def _run(self) -> None:
        while True:
            self._filled.wait()
            if self._stopped.is_set():
                return
            self._filled.clear()
            with self._lock:
                events, self._events = tuple(self._events), []
            if events and not self._post(CoreEvents(events)):
                return
            self._stopped.wait(1 / MOST_FLUSHES_PER_SECOND)


async def in_thread(function: Callable[[], T]) -> T:
    """Run ``function`` on a daemon thread of its own and await its answer; what it raises is raised here.

    Unlike asyncio's executor, such a thread is never waited for at exit, so a call that hangs cannot hold the app.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(settle: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())
        except RuntimeError:
            _log.debug("the screen was gone before an answer came")

    def run() -> None:
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
            failure = error
            deliver(lambda: future.set_exception(failure))
        else:
            deliver(lambda: future.set_result(result))

    threading.Thread(target=run, name="background-call", daemon=True).start()
    return await future


class WorkspaceOpener:
    """Opens the workspace on a thread of its own and closes it again, whichever of the two comes first."""

    def __init__(self, open_workspace: Callable[[], WorkspaceLike]) -> None:
        self._open_workspace = open_workspace
        self._lock = threading.Lock()
        self._workspace: WorkspaceLike | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, post: Callable[[Message], bool]) -> None:
        """Begin to open; ``post`` gets WorkspaceOpened or WorkspaceFailed."""
        self._thread = threading.Thread(target=self._open, args=(post,), name="workspace-opener", daemon=True)
        self._thread.start()

    def _open(self, post: Callable[[Message], bool]) -> None:
        try:
            workspace = self._open_workspace()
        except Exception as error:  # noqa: BLE001 - the app decides what the person sees
            post(WorkspaceFailed(error))
            return
        with self._lock:
            too_late = self._closed
            if not too_late:
                self._workspace = workspace
        if too_late:
            workspace.close()
        else:
            post(WorkspaceOpened(workspace))

    def close(self, timeout: float) -> bool:
        """Close what was opened; answers whether that was done within ``timeout`` seconds, and never waits longer."""
        deadline = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            workspace, self._workspace = self._workspace, None
        if workspace is not None:
            closing = threading.Thread(target=_close, args=(workspace,), name="workspace-closer", daemon=True)
            closing.start()
            closing.join(timeout)
            return not closing.is_alive()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
            return not self._thread.is_alive()
        return True


def _close(workspace: WorkspaceLike) -> None:
    try:
        workspace.close()
    except Exception:  # noqa: BLE001 - the terminal is the person's again; the log has the rest
        _log.exception("the workspace did not close cleanly")
