"""Saves are noticed by themselves, and told for the source they belong to."""

from __future__ import annotations

import threading
from pathlib import Path

from ingestion import BOUND_SECONDS, Engine

from core.agentfs.agentfs import AgentFS
from core.events import Event, EventBus, ItemsChanged
from core.library.sources import Origin, add_path
from core.library.watch import FolderWatcher
from core.model import Source


class Watched:
    """What a watcher reported, and a way to wait for it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._seen: list[tuple[str, Path]] = []

    def __call__(self, source_id: str, path: Path) -> None:
        with self._condition:
            self._seen.append((source_id, path))
            self._condition.notify_all()

    def wait_for(self, source: Source, path: Path) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: (source.id, path) in self._seen, BOUND_SECONDS)


def test_a_save_is_noticed_and_belongs_to_the_innermost_source(tmp_path: Path, docs: Path) -> None:
    agentfs, bus, seen = AgentFS(tmp_path / "workspace"), EventBus(), Watched()
    outer = add_path(agentfs, str(docs), Origin(), cwd=tmp_path)
    watcher = FolderWatcher(agentfs, bus, seen)
    watcher.start()
    try:
        assert seen.wait_for(outer, docs), "the first look at everything"
        (docs / "a.md").write_text("Changed.")
        assert seen.wait_for(outer, docs / "a.md")
        inner = add_path(agentfs, str(docs / "guide"), Origin(), cwd=tmp_path)
        watcher.sources_changed()
        assert seen.wait_for(inner, docs / "guide")
        (docs / "guide" / "b.rst").unlink()
        assert seen.wait_for(inner, docs / "guide" / "b.rst")
    finally:
        watcher.stop()
        agentfs.close()


def test_a_save_reaches_the_items_by_itself(engine: Engine, docs: Path) -> None:
    source = add_path(engine.agentfs, str(docs), Origin(), cwd=docs)
    engine.ingester.wake()
    first_look, read = threading.Event(), threading.Event()

    def saved(source_id: str, path: Path) -> None:
        engine.ingester.saved(source_id, path)
        if (source_id, path) == (source.id, docs):
            first_look.set()

    def on_event(event: Event) -> None:
        if isinstance(event, ItemsChanged) and "user-contributions/ann/docs/late.md" in engine.items():
            read.set()

    engine.on_event = on_event
    watcher = FolderWatcher(engine.agentfs, engine.bus, saved)
    watcher.start()
    try:
        assert first_look.wait(BOUND_SECONDS)
        (docs / "late.md").write_text("Late words.")
        assert read.wait(BOUND_SECONDS)
    finally:
        watcher.stop()
