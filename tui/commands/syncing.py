"""What the commands of synchronising share: opening it, progress on standard error, and runs in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from core.events import Event, SyncChanged
from core.sync_model import Direction, SyncRun, Transfer
from tui.amounts import counted, money_text, operations_text, percent_text, rate_text, size_text
from tui.commands.opening import opened
from tui.commands.options import Invocation
from tui.printable import printable

if TYPE_CHECKING:
    from core.sync.service import SyncService
    from core.workspace import Workspace

T = TypeVar("T")
LINE_CELLS = 100


@contextmanager
def syncing(invocation: Invocation, command: str, *, must_exist: bool = True) -> Iterator[Workspace]:
    """The workspace of this call; it is no engine: of several processes that synchronise, one does at a time."""
    with opened(invocation, f"bailiwick {command}", must_exist=must_exist) as workspace:
        yield workspace


class Report:
    """One line on standard error that changes, in a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._width = 0

    def show(self, line: str) -> None:
        """Show this instead of what was shown."""
        if self._live:
            line = printable(line)[:LINE_CELLS]
            print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(line)

    def advance(self, what: str, done: int, total: int) -> None:
        """How much of something is done."""
        self.show(f"{what}  {done:,} of {total:,}" if total else f"{what}  {done:,}")

    def end(self) -> None:
        """Leave the line."""
        if self._width:
            print("\r" + " " * self._width, end="\r", file=sys.stderr, flush=True)
            self._width = 0


def watched(workspace: Workspace, work: Callable[[SyncService, Report], T]) -> T:
    """Do ``work``, telling what moves; Ctrl+C ends it where it is, and what is done stays done."""
    report, sync = Report(), workspace.sync

    def heard(event: Event) -> None:
        if isinstance(event, SyncChanged) and (moving := sync.status().transfers):
            report.show(transfer_line(moving[0]) + (f" · {len(moving) - 1:,} more" if len(moving) > 1 else ""))

    unsubscribe = workspace.bus.subscribe(heard)
    try:
        return work(sync, report)
    except KeyboardInterrupt:
        sync.cancel()
        report.end()
        Invocation.say("Stopped; what is done stays done, and the same command goes on from there.")
        raise
    finally:
        unsubscribe()
        report.end()


def transfer_line(transfer: Transfer) -> str:
    """What moves, how far it is, how fast, and how long it takes still."""
    arrow = "↑" if transfer.direction is Direction.UP else "↓"
    share = percent_text(100 * transfer.done / transfer.total) if transfer.total else size_text(transfer.done)
    left = f" · {transfer.seconds_left:,.0f} s left" if transfer.seconds_left is not None else ""
    return f"{arrow} {transfer.label} · {share} · {rate_text(transfer.rate)}{left}"


def run_lines(run: SyncRun) -> list[str]:
    """A sync that ended, in words."""
    moved = f"{run.sent:,} sent, {run.received:,} received"
    if run.conflicts:
        moved += f", {counted(run.conflicts, 'new conflict')}: `bailiwick conflicts list` shows what waits"
    cost = f"{operations_text(run.operations)} operations, {money_text(run.cost)}, {run.seconds:.1f} s"
    lines = [f"{moved}. {cost}."]
    if run.problem:
        lines.append(f"Not all was done: {run.problem}")
        lines += [f"→ {run.cure}"] if run.cure else []
    return lines
