"""Events for other processes: what is kept, what is superseded, who fell behind, and how they are heard elsewhere."""

from __future__ import annotations

import threading
import time

from stub_engine import open_door

from core.events import (
    Event,
    EventBus,
    ItemsChanged,
    LibrariesChanged,
    ModelStateChanged,
    Notice,
    ProblemFound,
    Progress,
    Stage,
)
from core.model import Problem
from core.serving.client import DoorClient
from core.serving.event_feed import KEPT_EVENTS, EventFeed
from core.serving.relay import EventRelay

PATIENCE_SECONDS = 20.0


def running(done: int, stage: Stage = Stage.READING) -> Progress:
    return Progress(stage, "docs", done, 100, 1.0)


def ended(*, cancelled: bool = False, stage: Stage = Stage.READING) -> Progress:
    return Progress(stage, "docs", 100, 100, 0.0, finished=True, cancelled=cancelled)


def test_a_newer_running_progress_replaces_the_older_of_its_stage() -> None:
    bus = EventBus()
    feed = EventFeed(bus)
    for event in (Notice("a"), running(1), running(1, Stage.EMBEDDING), running(2), Notice("a"), running(3)):
        bus.publish(event)
    batch = feed.events(0)
    assert batch.events == (Notice("a"), running(1, Stage.EMBEDDING), Notice("a"), running(3))
    assert (batch.next, batch.missed) == (6, False)
    assert feed.events(4).events == (Notice("a"), running(3))
    for event in (ended(), running(4), ended(), running(5)):
        bus.publish(event)
    assert feed.events(6).events == (ended(), ended(), running(5))


def test_only_what_the_engine_alone_knows_is_told() -> None:
    bus = EventBus()
    feed = EventFeed(bus)
    for event in (ItemsChanged(3), LibrariesChanged(), LibrariesChanged(), ProblemFound(Problem("/x", "is odd"))):
        bus.publish(event)
    assert feed.events(0).events == (LibrariesChanged(), ProblemFound(Problem("/x", "is odd")))


def test_who_comes_new_hears_what_still_holds() -> None:
    bus = EventBus()
    feed = EventFeed(bus)
    assert feed.events(None).events == ()
    told = (running(1), ended(), running(1, Stage.EMBEDDING), ended(cancelled=True, stage=Stage.EMBEDDING))
    for event in (*told, Notice("old"), ModelStateChanged(ready=False, reason="x"), ModelStateChanged(ready=True)):
        bus.publish(event)
    batch = feed.events(None)
    assert batch.events == (ended(cancelled=True, stage=Stage.EMBEDDING), ModelStateChanged(ready=True))
    assert (batch.next, batch.missed) == (7, False)


def test_who_fell_behind_is_told_so_and_goes_on() -> None:
    bus = EventBus()
    feed = EventFeed(bus)
    bus.publish(running(1))
    for number in range(KEPT_EVENTS + 10):
        bus.publish(Notice(str(number)))
    batch = feed.events(3)
    assert (batch.events, batch.missed) == ((running(1),), True)
    bus.publish(Notice("newest"))
    assert feed.events(batch.next).events == (Notice("newest"),)
    assert len(feed.events(KEPT_EVENTS).events) <= KEPT_EVENTS
    assert feed.events(10**9).missed


def test_waiting_ends_with_the_next_event_or_the_feed() -> None:
    bus = EventBus()
    feed = EventFeed(bus)
    batches: list[tuple[Event, ...]] = []
    for end in (lambda: bus.publish(Notice("now")), feed.close):
        after = feed.events(None).next
        waiting = threading.Thread(target=lambda after=after: batches.append(feed.events(after).events))
        waiting.start()
        end()
        waiting.join(PATIENCE_SECONDS)
    assert batches == [(Notice("now"),), ()]


def test_another_process_hears_it_on_its_own_bus_until_the_door_closes() -> None:
    heard: list[Event] = []
    elsewhere = EventBus()
    elsewhere.subscribe(heard.append)
    relay = EventRelay(elsewhere, threading.Event())
    with open_door() as (door, _, bus):
        bus.publish(running(1))
        following = threading.Thread(target=relay.follow, args=(DoorClient(door.port, door.token),))
        following.start()
        _until_heard(heard, running(1))
        bus.publish(Notice("now"))
        bus.publish(running(1, Stage.EMBEDDING))
        _until_heard(heard, Notice("now"))
        _until_heard(heard, running(1, Stage.EMBEDDING))
    following.join(PATIENCE_SECONDS)
    assert not following.is_alive()
    assert heard[0] == LibrariesChanged()
    relay.settle([running(3)])
    assert [each for each in heard if isinstance(each, Progress) and each.finished] == [
        Progress(Stage.EMBEDDING, "docs", 1, 100, 0.0, finished=True)
    ]
    relay.settle()
    assert isinstance(heard[-1], Progress)
    assert (heard[-1].stage, heard[-1].finished) == (Stage.READING, True)


def test_leaving_breaks_off_the_wait() -> None:
    stopped = threading.Event()
    relay = EventRelay(EventBus(), stopped)
    with open_door() as (door, _, __):
        client = DoorClient(door.port, door.token)
        following = threading.Thread(target=relay.follow, args=(client,))
        following.start()
        stopped.set()
        client.close()
        following.join(PATIENCE_SECONDS)
        assert not following.is_alive()


def _until_heard(heard: list[Event], event: Event) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while event not in heard:
        assert time.monotonic() < deadline, f"waited in vain for {event}"
        threading.Event().wait(0.01)
