"""Typed events and the bus they travel on, from the core to whoever shows or follows them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from core.model import Problem

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events: frozen, so that one object can be handed to any number of threads."""


@dataclass(frozen=True, slots=True)
class ItemsChanged(Event):
    """Items were committed up to journal ``position`` (by this process or another)."""

    position: int


@dataclass(frozen=True, slots=True)
class SourcesChanged(Event):
    """A source was added or removed."""


@dataclass(frozen=True, slots=True)
class EngineChanged(Event):
    """Another process became the engine: ``holder`` names it, ``ours`` says that it is this one."""

    holder: str
    ours: bool


@dataclass(frozen=True, slots=True)
class LibrariesChanged(Event):
    """What can be searched changed: documents came into the index or left it."""


@dataclass(frozen=True, slots=True)
class AgentsChanged(Event):
    """Agents, their states, leases or sessions changed (by this process or another)."""


@dataclass(frozen=True, slots=True)
class MessagesChanged(Event):
    """Messages were sent, or came further with a recipient; ``count`` is how many there are now."""

    count: int


@dataclass(frozen=True, slots=True)
class AuditGrew(Event):
    """Records were added to the audit trail; ``position`` is the newest."""

    position: int


@dataclass(frozen=True, slots=True)
class KeysChanged(Event):
    """The workspace's keys were locked or unlocked in this process, or founded."""

    locked: bool


@dataclass(frozen=True, slots=True)
class ConflictsChanged(Event):
    """A conflict was found, ruled on or opened again, here or elsewhere."""


@dataclass(frozen=True, slots=True)
class SyncChanged(Event):
    """What is synchronised, or how, changed; published at most five times a second while something moves."""


class Stage(StrEnum):
    """The long works whose progress is shown."""

    READING = "reading"
    INDEXING = "indexing"
    EMBEDDING = "embedding"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """How far one stage is. ``total`` is 0 while unknown; ``rate`` is units per second; ``finished`` ends the stage."""

    stage: Stage
    label: str
    done: int
    total: int
    rate: float
    finished: bool = False
    cancelled: bool = False

    @property
    def seconds_left(self) -> float | None:
        """Seconds until done at the present rate, or ``None`` while that cannot be told."""
        if self.rate <= 0 or self.total <= 0:
            return None
        return max(0, self.total - self.done) / self.rate


@dataclass(frozen=True, slots=True)
class ProblemFound(Event):
    """One file could not be read; the work goes on."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """One sentence for the person; ``severity`` is information, warning or error."""

    message: str
    severity: str = "information"


@dataclass(frozen=True, slots=True)
class ModelStateChanged(Event):
    """The embedding model became ready, or why there is none."""

    ready: bool
    reason: str = ""


Subscriber = Callable[[Event], None]


class EventBus:
    """Hands every published event to every subscriber, in the publisher's thread.

    Safe from any thread. A subscriber must return at once (put the event on a queue); one that raises is logged and the
    others still hear the event, so publishing never raises into the publisher.
    """

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """``clean`` takes secrets out of the sentences that events bring to people."""
        self._clean = clean
        self._lock = threading.Lock()
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Add ``subscriber``; the answer is a function that takes it away again."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(each for each in self._subscribers if each is not subscriber)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell every subscriber of ``event``."""
        event = self._cleaned(event)
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001 - whatever a subscriber raises is its own fault, never the publisher's
                _log.exception("a subscriber failed on %s", type(event).__name__)

    def _cleaned(self, event: Event) -> Event:
        match event:
            case Notice(message):
                return replace(event, message=self._clean(message))
            case ProblemFound(problem):
                return ProblemFound(replace(problem, reason=self._clean(problem.reason)))
            case ModelStateChanged(reason=reason):
                return replace(event, reason=self._clean(reason))
        return event
