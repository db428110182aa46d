"""An engine that only remembers what it was asked, behind a real door."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import StateConflict
from core.events import EventBus
from core.model import Answer, IndexCounts
from core.search.query import Query
from core.serving.calls import EngineCalls, FeedCalls
from core.serving.door import Door
from core.serving.event_feed import EventFeed


class StubEngine:
    """Counts accesses, refuses to resume, breaks on ``cancel_work``, and waits in ``idle`` until ``release`` is set."""

    def __init__(self) -> None:
        self.asked: list[Query] = []
        self.opened: list[str] = []
        self.release = threading.Event()

    def search(self, query: Query, *, wait_for_model: bool = False) -> Answer:
        self.asked.append(query)
        return Answer(query.text, query.mode, (), "exact" if wait_for_model else "text", 0, 0.5, ("ümläut \udc80",))

    def counts(self) -> IndexCounts:
        return IndexCounts(1, 2, 3)

    def cancel_work(self) -> None:
        raise ZeroDivisionError("a secret that must not travel")

    def resume_work(self) -> None:
        raise StateConflict("It has changed.", "Look again.", {"version": 3})

    def idle(self) -> bool:
        return self.release.wait(30)

    def searchable(self) -> bool:
        return True

    def model_state(self) -> str:
        return ""

    def record_access(self, document_id: str) -> None:
        self.opened.append(document_id)

    def rebuilt(self) -> str:
        return "it was garbage"

    def lock_keys(self) -> None:
        self.opened.clear()

    def unlock_keys(self, way: str, given: str) -> None:
        self.opened.append(f"{way} {given}")


@contextmanager
def open_door() -> Iterator[tuple[Door, StubEngine, EventBus]]:
    """A door, the engine behind it and the bus whose events it tells."""
    engine, bus = StubEngine(), EventBus()
    feed = EventFeed(bus)
    door = Door((EngineCalls, engine), (FeedCalls, feed))
    try:
        yield door, engine, bus
    finally:
        engine.release.set()
        feed.close()
        door.close()
