"""A workspace with its ingestion, for the tests of what is read into it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.events import Event, EventBus, ProblemFound
from core.library.ingest import Ingester
from core.library.reader_process import ReaderProcess
from core.library.sources import Origin, add_path
from core.model import Item, Source

BOUND_SECONDS = 30.0


class Engine:
    """A workspace with its ingestion, and all that was published."""

    def __init__(self, root: Path) -> None:
        self.agentfs = AgentFS(root)
        self.bus = EventBus()
        self.events: list[Event] = []
        self.bus.subscribe(self._hear)
        self.on_event: Callable[[Event], None] = lambda event: None
        self.commits = 0
        self.ingester = self.new_ingester()

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def _committed(self) -> None:
        self.commits += 1

    def new_ingester(self, tokenizer: Callable[[], Path | None] = lambda: None) -> Ingester:
        return Ingester(
            self.agentfs,
            self.bus,
            ReaderProcess(),
            owner="ann",
            tokenizer=tokenizer,
            committed=self._committed,
        )

    def settle(self) -> None:
        """Wait until nothing is left to read."""
        deadline = time.monotonic() + BOUND_SECONDS
        while not self.ingester.idle:
            assert time.monotonic() < deadline, "reading did not end"
            time.sleep(0.01)

    def add(self, path: Path) -> Source:
        source = add_path(self.agentfs, str(path), Origin(), cwd=Path("/"))
        self.ingester.wake()
        self.settle()
        return source

    def save(self, source: Source, path: Path) -> None:
        self.ingester.saved(source.id, path)
        self.settle()

    def items(self) -> dict[str, Item]:
        changes = self.agentfs.items.changes_since(0, 10_000)
        return {each.path: each for each in changes if not each.deleted}

    def problems(self) -> dict[str, str]:
        return {Path(each.path).name: each.reason for each in self.agentfs.sources.problems()}

    def published(self) -> list[str]:
        return [Path(each.problem.path).name for each in self.events if isinstance(each, ProblemFound)]

    def close(self) -> None:
        self.ingester.stop()
        self.agentfs.close()
