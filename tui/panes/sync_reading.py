"""What the sync pane and its dialogs ask of the core; everything here runs beside the screen's thread."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from core.crypto.secret import Secret
    from core.sync.joining import Founded, Joined, JoinWay
    from core.sync_model import PlannedChange, Repair, SyncPlan, SyncRun, SyncStatus, SyncStrategy, Verification

MOST_QUEUED = 300
Advance = Callable[[str, int, int], None]
"""Called with what is looked at, how many of it are done, and how many there are; may raise to stop."""


class Stopped(Exception):
    """The person stopped what reports its advance."""


class Section(StrEnum):
    """The parts of the sync pane."""

    OVERVIEW = "overview"
    QUEUE = "queue"
    DEVICES = "devices"
    COST = "cost"
    PLAN = "plan"
    VERIFY = "verify"


class SyncLike(Protocol):
    """What the screen needs of ``core.sync.service.SyncService``; each may touch the disk, most the network too."""

    def status(self) -> SyncStatus: ...

    def queue(self, limit: int) -> tuple[PlannedChange, ...]: ...

    def plan(self) -> SyncPlan: ...

    def sync_now(self, why: str) -> SyncRun: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def choose(self, strategy: SyncStrategy | None) -> None: ...

    def answer(self, yes: bool) -> None: ...

    def cancel(self) -> None: ...

    def fetch(self, path: str) -> None: ...

    def verify(self, progress: Advance | None = None) -> Verification: ...

    def repair(self, progress: Advance | None = None) -> Repair: ...

    def set_remote(self, url: str) -> Founded: ...

    def ask_to_join(self, url: str) -> Secret: ...

    def join(self, url: str, way: JoinWay, given: Secret | None = None) -> Joined: ...


def sync_of(workspace: object) -> SyncLike:
    """The synchronising half of a workspace."""
    return cast("SyncLike", workspace.sync)  # type: ignore[attr-defined]
