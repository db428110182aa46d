"""Has a process hear what the engine in another process does, as if it happened here."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from core.errors import BailiwickError
from core.events import Event, EventBus, LibrariesChanged, Progress, Stage
from core.serving.calls import remote_feed
from core.serving.client import DoorClient

GATHER_SECONDS = 0.05


class EventRelay:
    """Publishes the events of one engine after another on ``bus``; used by one thread."""

    def __init__(self, bus: EventBus, stopped: threading.Event) -> None:
        self._bus = bus
        self._stopped = stopped
        self._running: dict[Stage, Progress] = {}

    def follow(self, client: DoorClient) -> None:
        """Publish what happens behind this door; returns when it is closed, or ``stopped`` was set."""
        feed = remote_feed(client.call)
        after: int | None = None
        while not self._stopped.is_set():
            try:
                batch = feed.events(after)
            except BailiwickError:
                return
            if after is None or batch.missed:
                self.settle(batch.events)
                self._bus.publish(LibrariesChanged())
            for event in batch.events:
                if isinstance(event, Progress):
                    self._note(event)
                self._bus.publish(event)
            after = batch.next
            self._stopped.wait(GATHER_SECONDS)

    def settle(self, present: Iterable[Event] = ()) -> None:
        """End the work that was seen running and is not among what is ``present`` now."""
        stages = {event.stage for event in present if isinstance(event, Progress)}
        for stage in self._running.keys() - stages:
            self._bus.publish(replace(self._running.pop(stage), rate=0.0, finished=True))

    def _note(self, progress: Progress) -> None:
        if progress.finished:
            self._running.pop(progress.stage, None)
        else:
            self._running[progress.stage] = progress
