"""The way to the engine, wherever it runs: in this process, or behind the door of another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from core.agentfs.engine_lock import EngineHolder, EngineLock
from core.engine import Engine
from core.errors import BailiwickError, EngineGone, EngineHeld, Unreachable
from core.events import EngineChanged, EventBus, Notice

if TYPE_CHECKING:
    from core.serving.calls import EngineCalls
    from core.serving.client import DoorClient
    from core.serving.door import Door
    from core.serving.event_feed import EventFeed
    from core.serving.relay import EventRelay

_log = logging.getLogger(__name__)
T = TypeVar("T")
LOOK_SECONDS = 0.1
GAP_SECONDS = 3.0
VACANT_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 5.0
CLOSE_SECONDS = 5.0


class EngineAccess:
    """Calls reach the engine that runs now; which process that is may change between two of them.

    All methods are safe from any thread. ``engine`` is the one in this process, or ``None``.
    """

    def __init__(self, lock: EngineLock, bus: EventBus, build: Callable[[], Engine]) -> None:
        """``build`` makes the engine of this process; it raises EngineHeld when another process has it."""
        self.engine: Engine | None = None
        self._engine_lock = lock
        self._bus = bus
        self._build = build
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._serving: tuple[Door, EventFeed] | None = None
        self._client: DoorClient | None = None
        self._followed: DoorClient | None = None
        self._elsewhere = ""
        self._thread = threading.Thread(target=self._follow, name="engine-follower", daemon=True)

    def become(self) -> None:
        """Be the engine: take the lock, open the door, begin to work.

        Raises EngineHeld when another process is the engine, and what starting it raises.
        """
        # Imported here: whoever only looks into a workspace does without a server.
        from core.serving.calls import EngineCalls, FeedCalls
        from core.serving.door import Door
        from core.serving.event_feed import EventFeed

        engine = self._build()
        feed = EventFeed(self._bus)
        try:
            door = Door((EngineCalls, engine), (FeedCalls, feed), refused=engine.door_refused)
        except BaseException:
            feed.close()
            engine.close()
            raise
        with self._lock:
            # From here on this process' own calls and its watcher find the engine; they wait while it starts.
            self.engine, self._serving, self._elsewhere = engine, (door, feed), ""
        try:
            self._engine_lock.announce(door.port, door.token)
            engine.start()
        except BaseException:
            self._leave()
            raise

    def view(self, *, follow: bool) -> None:
        """Leave being the engine to another process; with ``follow`` hear its events, and succeed it when it ends."""
        holder = self._engine_lock.holder()
        self._elsewhere = holder.name if holder is not None and self._engine_lock.is_taken() else ""
        if follow:
            self._thread.start()

    @property
    def elsewhere(self) -> str:
        """Which other process is the engine, as far as known without looking; empty when it is this one."""
        return self._elsewhere

    def call(self, job: Callable[[EngineCalls], T]) -> T:
        """Run ``job`` with the engine, which it may get twice when one ends and another follows.

        Raises what the call raises, Unreachable when the engine does not answer for three seconds, and EngineGone when
        there has been none for one.
        """
        from core.serving.calls import remote_engine
        from core.serving.client import DoorClosed

        started = time.monotonic()
        vacant_since: float | None = None
        while True:
            engine = self.engine
            if engine is not None:
                return job(engine)
            client = self._reach()
            if client is not None:
                try:
                    return job(remote_engine(client.call))
                except DoorClosed:
                    self._forget(client)
            if self._stopped.wait(LOOK_SECONDS / 2):
                raise BailiwickError("The workspace is closed.")
            now = time.monotonic()
            taken = self._engine_lock.is_taken()
            vacant_since = None if taken else vacant_since or now
            if now - started > GAP_SECONDS or (vacant_since is not None and now - vacant_since > VACANT_SECONDS):
                raise self._unreachable(taken)

    def close(self) -> None:
        """End every connection, and the engine if it is here; each with a bound."""
        self._stopped.set()
        with self._lock:
            clients = [each for each in (self._client, self._followed) if each is not None]
        for client in clients:
            client.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)
        self._leave()

    def _leave(self) -> None:
        """Be the engine no more: nobody hears of it, nobody is served, the lock is given back last."""
        with self._lock:
            engine, serving = self.engine, self._serving
            self.engine = self._serving = None
        if engine is None or serving is None:
            return
        door, feed = serving
        feed.close()
        door.close()
        engine.close()

    def _reach(self) -> DoorClient | None:
        """The client of the engine that announced itself last; it may be gone by now."""
        with self._lock:
            if self._client is None:
                holder = self._engine_lock.holder()
                self._client = _client_of(holder) if holder is not None else None
            return self._client

    def _forget(self, client: DoorClient) -> None:
        with self._lock:
            if self._client is client:
                self._client = None
        client.close()

    def _unreachable(self, taken: bool) -> Unreachable:
        holder = self._engine_lock.holder()
        if not taken or holder is None:
            return EngineGone("No engine runs on this workspace now.", "Open the dashboard, or run `bailiwick serve`.")
        return Unreachable(f"The engine, {holder}, does not answer.", f"Try again, or end process {holder.process}.")

    # The thread of a long-lived process that is not the engine

    def _follow(self) -> None:
        from core.serving.relay import EventRelay

        relay = EventRelay(self._bus, self._stopped)
        failures, next_try = 0, 0.0
        while not self._stopped.is_set():
            try:
                if not self._engine_lock.is_taken() and time.monotonic() >= next_try:
                    if self._succeed(relay, first=failures == 0):
                        return
                    next_try = time.monotonic() + min(LONGEST_RETRY_SECONDS, LOOK_SECONDS * 2**failures)
                    failures += 1
                elif (holder := self._engine_lock.holder()) is not None and self._engine_lock.is_taken():
                    failures = 0
                    self._hear(holder, relay)
            except Exception:  # noqa: BLE001 - an engine that cannot be heard may be heard later, or succeeded
                _log.exception("the engine could not be followed")
                self._stopped.wait(LONGEST_RETRY_SECONDS)
            self._stopped.wait(LOOK_SECONDS)

    def _succeed(self, relay: EventRelay, *, first: bool) -> bool:
        """Become the engine after another ended; says whether that went well."""
        relay.settle()
        try:
            self.become()
        except EngineHeld:
            # Another viewer was faster, or the system has not yet taken every file from the process that died.
            return False
        except Exception as error:  # noqa: BLE001 - whoever cannot be the engine goes on as a viewer, and says why
            _log.exception("the engine could not be taken over")
            if first:
                reason = str(error) if isinstance(error, BailiwickError) else type(error).__name__
                self._bus.publish(Notice(f"The engine ended and could not be taken over: {reason}", "error"))
            return False
        holder = self._engine_lock.holder()
        self._bus.publish(EngineChanged(holder.name if holder is not None else "", ours=True))
        return True

    def _hear(self, holder: EngineHolder, relay: EventRelay) -> None:
        client = _client_of(holder)
        if client is None:
            return
        with self._lock:
            self._followed = client
            changed = holder.name != self._elsewhere
            self._elsewhere = holder.name
        if self._stopped.is_set():
            return
        if changed:
            self._bus.publish(EngineChanged(holder.name, ours=False))
        relay.follow(client)
        client.close()


def _client_of(holder: EngineHolder) -> DoorClient | None:
    from core.serving.client import DoorClient

    return DoorClient(holder.port, holder.token) if holder.port else None
