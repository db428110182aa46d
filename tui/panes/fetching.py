"""A pane that reads in the workspace's pool: of each kind of reading only the newest answer counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from textual import on, work
from textual.message import Message

from core.errors import BailiwickError
from tui.locking import sentence
from tui.panes.base import Pane
from tui.pooled import in_pool, submit_newest

if TYPE_CHECKING:
    from core.agent_model import Actor
    from core.hardware.pool import WorkerPool
    from tui.bridge import WorkspaceLike

    class FetchingWorkspace(WorkspaceLike, Protocol):
        """What such a pane needs of ``core.workspace.Workspace``."""

        @property
        def pool(self) -> WorkerPool: ...

        @property
        def person(self) -> Actor: ...


T = TypeVar("T")


class Came(Message):
    """What was read beside the screen came; void when something newer was asked for under the same ``key``."""

    def __init__(self, key: str, generation: int, outcome: object, take: Callable[[Any], None]) -> None:
        super().__init__()
        self.key = key
        self.generation = generation
        self.outcome = outcome
        self.take = take


class FetchingPane(Pane):
    """Base of such panes."""

    def __init__(self) -> None:
        super().__init__()
        self.workspace: FetchingWorkspace | None = None
        self._generations: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._complained: set[str] = set()

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """What there is can be read now."""
        self.workspace = cast("FetchingWorkspace", workspace)

    def fetch(self, key: str, job: Callable[[], T], take: Callable[[T], None]) -> None:
        """Run ``job`` in the workspace's pool and ``take`` its answer here, unless ``key`` was fetched anew by then."""
        if self.workspace is None:
            return
        generation = self._void(key)

        def timed() -> T:
            begun = time.monotonic()
            try:
                return job()
            finally:
                self._seconds[key] = time.monotonic() - begun

        def deliver(outcome: T | BailiwickError) -> None:
            self.post_message(Came(key, generation, outcome, take))

        try:
            submit_newest(self.workspace.pool, f"{self.PANE_ID}.{key}", timed, deliver)
        except BailiwickError as error:
            self._complain(key, error)

    @property
    def _slowest(self) -> float:
        """How long the slowest of the last reads took."""
        return max(self._seconds.values(), default=0.0)

    @work
    async def carry_out(self, job: Callable[[], object], done: Callable[[], None]) -> None:
        """Run a ``job`` that changes something and then ``done``, or say why it was refused."""
        if self.workspace is not None:
            try:
                await in_pool(self.workspace.pool, job)
            except BailiwickError as error:
                self.notify(sentence(error, self.app), severity="error", markup=False)
            else:
                done()

    def _void(self, key: str) -> int:
        """Make what is on its way under ``key`` stale; the generation of what is asked for now."""
        self._generations[key] = self._generations.get(key, 0) + 1
        return self._generations[key]

    @on(Came)
    def _came(self, event: Came) -> None:
        event.stop()
        if isinstance(event.outcome, BailiwickError):
            self._complain(event.key, event.outcome)
        elif event.generation == self._generations.get(event.key):
            self._complained.discard(event.key)
            event.take(event.outcome)

    def _complain(self, key: str, error: BailiwickError) -> None:
        """Say an error once, not each time that the same read fails again."""
        if key not in self._complained:
            self._complained.add(key)
            self.notify(sentence(error, self.app), severity="error", markup=False)
