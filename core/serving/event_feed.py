"""The engine's latest events, kept for other processes to ask for: bounded, and what is superseded is dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

from core.events import Event, EventBus, LibrariesChanged, ModelStateChanged, Progress
from core.serving.calls import EventBatch
from core.serving.wire import RELAYED_EVENTS

KEPT_EVENTS = 512
LONGEST_WAIT_SECONDS = 20.0


class EventFeed:
    """Listens to ``bus`` until ``close``. Safe from any thread; publishing costs the publisher a lock and an insert."""

    def __init__(self, bus: EventBus) -> None:
        self._changed = threading.Condition()
        self._events: dict[int, Event] = {}
        self._last_of: dict[Hashable, int] = {}
        self._standing: dict[Hashable, Event] = {}
        self._sequence = 0
        self._dropped = 0
        self._closed = False
        self._unsubscribe = bus.subscribe(self._receive)

    def events(self, after: int | None) -> EventBatch:
        """What happened after sequence number ``after``; waits for it, twenty seconds at most.

        Without a number, or for one whose followers were dropped, at once what still holds: running work and the state
        of the model.
        """
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        with self._changed:
            if after is None or not self._dropped <= after <= self._sequence:
                return EventBatch(tuple(self._standing.values()), self._sequence, missed=after is not None)
            while self._sequence == after and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return EventBatch(tuple(event for at, event in self._events.items() if at > after), self._sequence)

    def close(self) -> None:
        """Listen no more, and let everybody go who waits."""
        self._unsubscribe()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _receive(self, event: Event) -> None:
        if not isinstance(event, RELAYED_EVENTS):
            return
        topic = _topic(event)
        with self._changed:
            self._sequence += 1
            if topic is not None:
                self._events.pop(self._last_of.pop(topic, 0), None)
                self._stand(topic, event)
                if not (isinstance(event, Progress) and event.finished):
                    self._last_of[topic] = self._sequence
            self._events[self._sequence] = event
            while len(self._events) > KEPT_EVENTS:
                self._dropped = next(iter(self._events))
                del self._events[self._dropped]
            self._changed.notify_all()

    def _stand(self, topic: Hashable, event: Event) -> None:
        """Remember what still holds of a topic: work that runs or was cancelled, the state of the model."""
        if isinstance(event, ModelStateChanged) or (
            isinstance(event, Progress) and (event.cancelled or not event.finished)
        ):
            self._standing[topic] = event
        else:
            self._standing.pop(topic, None)


def _topic(event: Event) -> Hashable:
    """Events of one topic make an older one superfluous, unless that was an end; ``None`` for those that all count."""
    if isinstance(event, Progress):
        return event.stage
    if isinstance(event, LibrariesChanged | ModelStateChanged):
        return type(event).__name__
    return None
