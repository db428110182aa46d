"""One bounded pool of daemon threads for short jobs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from core.errors import BailiwickError

P = ParamSpec("P")
T = TypeVar("T")


class PoolFull(BailiwickError):
    """More jobs wait than the pool holds; the refused one was not taken."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class _Job:
    future: Future[Any]
    work: Callable[[], Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001 - whatever the job raised belongs to whoever holds its future
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def cancel(self) -> None:
        if self.future.cancel():
            self.future.set_running_or_notify_cancel()


@dataclass(slots=True)
class _Slot:
    """One key that is queued or running; ``waiting`` is its newest job that has not started."""

    key: Hashable
    waiting: _Job | None


class WorkerPool:
    """Runs short jobs on at most ``worker_threads`` daemon threads, which start when first needed.

    At most ``queue_bound`` jobs wait. All methods are safe from any thread, and none but ``close`` waits for a job.
    A process ends without waiting for the pool. An exception of a job is found in its future and nowhere else; a
    future's callbacks run in the pool's thread. Loops that last as long as the program do not belong here.
    """

    def __init__(self, worker_threads: int, queue_bound: int = 1000) -> None:
        if worker_threads < 1 or queue_bound < 1:
            raise ValueError("a pool needs at least one thread and room for one job")
        self._size = worker_threads
        self._queue_bound = queue_bound
        self._changed = threading.Condition()
        self._queue: deque[_Job | _Slot] = deque()
        self._slots: dict[Hashable, _Slot] = {}
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue ``function(*args, **kwargs)``. After ``close`` the future comes back cancelled.

        Raises ``PoolFull`` when ``queue_bound`` jobs wait.
        """
        future: Future[T] = Future()
        job = _Job(future, partial(function, *args, **kwargs))
        with self._changed:
            closed = self._closed
            if not closed:
                self._enqueue(job)
        if closed:
            job.cancel()
        return future

    def submit_latest(self, key: Hashable, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a job that makes older ones of the same ``key`` pointless, as in search while typing.

        At most one job of a key runs at a time. One that waits is replaced and its future cancelled; one that runs is
        let run, and the newest follows it. After ``close`` the future comes back cancelled.

        Raises ``PoolFull`` when ``queue_bound`` jobs wait and none of this key does.
        """
        future: Future[T] = Future()
        job = _Job(future, partial(function, *args, **kwargs))
        with self._changed:
            slot = self._slots.get(key)
            if self._closed:
                replaced: _Job | None = job
            elif slot is None:
                replaced = None
                slot = _Slot(key, job)
                self._enqueue(slot)
                self._slots[key] = slot
            else:
                replaced, slot.waiting = slot.waiting, job
        if replaced is not None:
            replaced.cancel()
        return future

    def close(self, timeout: float = 2.0) -> bool:
        """Take no more jobs, cancel those that wait, and give the running ones ``timeout`` seconds together.

        Answers whether all threads have ended; those that have not are daemons and hold nothing up. May be called
        again.
        """
        with self._changed:
            self._closed = True
            entries = [*self._queue, *self._slots.values()]
            self._queue.clear()
            self._slots.clear()
            waiting = {id(job): job for job in map(_next_job, entries) if job is not None}
            threads = list(self._threads)
            self._changed.notify_all()
        for job in waiting.values():
            job.cancel()
        deadline = time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads if thread is not threading.current_thread())

    def _enqueue(self, entry: _Job | _Slot) -> None:
        if len(self._queue) >= self._queue_bound:
            raise PoolFull(
                f"{len(self._queue)} jobs are waiting already, so this one was not taken.",
                "Try again when some have finished.",
            )
        self._queue.append(entry)
        if len(self._queue) > self._idle and len(self._threads) < self._size:
            thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads) + 1}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._queue or self._closed)
                self._idle -= 1
                if self._closed:
                    return
                entry = self._queue.popleft()
                job = _next_job(entry)
                if isinstance(entry, _Slot):
                    entry.waiting = None
            if job is not None:
                job.run()
            if isinstance(entry, _Slot):
                self._requeue_or_forget(entry)
            del entry, job

    def _requeue_or_forget(self, slot: _Slot) -> None:
        """A key whose newest job came while the last one ran joins the queue at its end, even beyond the bound."""
        with self._changed:
            if self._closed:
                return
            if slot.waiting is None:
                del self._slots[slot.key]
            else:
                self._queue.append(slot)
                self._changed.notify()


def _next_job(entry: _Job | _Slot) -> _Job | None:
    return entry.waiting if isinstance(entry, _Slot) else entry
