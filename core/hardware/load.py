"""How loaded the machine is: samples taken by one thread while somebody looks at them."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.hardware.counters import Counters, Pair

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadSample:
    """The load at one moment. ``None`` means not known: rates need two readings, and some systems lack a counter.

    ``monotonic`` is ``time.monotonic()``, ``at`` the same moment in UTC. Percentages are 0 to 100: ``cpu_percent`` is
    the mean of ``per_cpu``, all over the time since the sample before. Memory and swap are bytes of the whole machine;
    ``disk_free`` and ``disk_total`` bytes of the workspace's filesystem. Disk rates are bytes per second of all
    physical devices, network rates of all interfaces but loopback; a counter that went back gives ``None`` once.
    ``own_*`` is this process and its descendants together: ``own_cpu_percent`` is 100 for one core fully used (so it
    may pass 100; what a descendant used after its last reading is not in it), ``own_resident`` adds up resident bytes,
    ``own_open_files`` open file descriptors. ``load_average`` is over 1, 5 and 15 minutes.
    """

    monotonic: float
    at: datetime
    cpu_percent: float | None
    per_cpu: tuple[float, ...] | None
    memory_used: int | None
    memory_total: int | None
    memory_available: int | None
    swap_used: int | None
    swap_total: int | None
    disk_free: int | None
    disk_total: int | None
    disk_read_per_second: float | None
    disk_written_per_second: float | None
    network_sent_per_second: float | None
    network_received_per_second: float | None
    own_cpu_percent: float | None
    own_resident: int | None
    own_threads: int | None
    own_open_files: int | None
    load_average: tuple[float, float, float] | None


def load_between(before: Counters | None, now: Counters) -> LoadSample:
    """The sample that two readings make; without ``before`` everything that is a rate is ``None``. Pure."""
    seconds = 0.0 if before is None else now.monotonic - before.monotonic
    per_cpu = None if before is None else _per_cpu(before, now)
    disk = None if before is None else _rates(before.disks, now.disks, seconds)
    network = None if before is None else _rates(before.networks, now.networks, seconds)
    own = now.processes.values()
    return LoadSample(
        monotonic=now.monotonic,
        at=now.at,
        cpu_percent=None if per_cpu is None else sum(per_cpu) / len(per_cpu),
        per_cpu=per_cpu,
        memory_used=now.memory.used if now.memory else None,
        memory_total=now.memory.total if now.memory else None,
        memory_available=now.memory.available if now.memory else None,
        swap_used=now.memory.swap_used if now.memory else None,
        swap_total=now.memory.swap_total if now.memory else None,
        disk_free=now.disk_space[0] if now.disk_space else None,
        disk_total=now.disk_space[1] if now.disk_space else None,
        disk_read_per_second=disk[0] if disk else None,
        disk_written_per_second=disk[1] if disk else None,
        network_sent_per_second=network[0] if network else None,
        network_received_per_second=network[1] if network else None,
        own_cpu_percent=None if before is None else _own_cpu_percent(before, now, seconds),
        own_resident=sum(each.resident_bytes for each in own) if own else None,
        own_threads=sum(each.threads for each in own) if own else None,
        own_open_files=sum(each.open_files for each in own) if own else None,
        load_average=now.load_average,
    )


def _per_cpu(before: Counters, now: Counters) -> tuple[float, ...] | None:
    """``None`` when processors came or went, or no time passed on one of them."""
    if not before.processors or not now.processors or len(before.processors) != len(now.processors):
        return None
    answer = []
    for (busy_before, total_before), (busy, total) in zip(before.processors, now.processors, strict=True):
        if total <= total_before:
            return None
        answer.append(min(100.0, max(0.0, 100.0 * (busy - busy_before) / (total - total_before))))
    return tuple(answer)


def _rates(before: Mapping[str, Pair], now: Mapping[str, Pair], seconds: float) -> tuple[float, float] | None:
    """Both counters per second, over the devices in both readings; ``None`` if one went back or none is left."""
    steps = [(now[name][0] - before[name][0], now[name][1] - before[name][1]) for name in now.keys() & before.keys()]
    if not steps or seconds <= 0 or any(first < 0 or second < 0 for first, second in steps):
        return None
    return sum(first for first, _ in steps) / seconds, sum(second for _, second in steps) / seconds


def _own_cpu_percent(before: Counters, now: Counters, seconds: float) -> float | None:
    """A process that was not there before began since then, so all its time counts."""
    if seconds <= 0 or not now.processes:
        return None
    used = 0.0
    for key, process in now.processes.items():
        earlier = before.processes.get(key)
        used += process.cpu_seconds - (earlier.cpu_seconds if earlier else 0.0)
    return max(0.0, 100.0 * used / seconds)


LoadCallback = Callable[[LoadSample], None]
Unsubscribe = Callable[[], None]


class LoadSampler:
    """Samples the load every ``interval`` seconds on its own daemon thread, as long as there is a subscriber.

    All methods are safe from any thread. ``folder`` chooses the filesystem whose room is shown; the last ``history``
    samples are kept. ``read`` is where readings come from (psutil by default, imported with the first one).
    """

    def __init__(
        self,
        folder: Path,
        interval: float = 1.0,
        history: int = 120,
        read: Callable[[Path], Counters] | None = None,
    ) -> None:
        if interval <= 0 or history < 1:
            raise ValueError("a sampler needs an interval above zero and a history of at least one sample")
        self._folder = folder
        self._interval = interval
        self._read = read
        self._history: deque[LoadSample] = deque(maxlen=history)
        self._lock = threading.Lock()
        self._subscribers: dict[object, LoadCallback] = {}
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._resumed = False
        self._thread: threading.Thread | None = None

    def subscribe(self, callback: LoadCallback) -> Unsubscribe:
        """Call ``callback`` with every new sample, in the sampler's thread; it must return at once.

        The first subscriber after a pause gets a sample at once, without rates. A callback that raises is logged and
        called again next time. The answer ends the subscription and may be called twice; a call under way then still
        finishes. Once the sampler is closed nothing is called any more.
        """
        token = object()
        with self._lock:
            if not self._subscribers:
                self._resumed = True
                self._wake.set()
            self._subscribers[token] = callback
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="load-sampler", daemon=True)
                self._thread.start()

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers.pop(token, None)

        return unsubscribe

    def history(self) -> tuple[LoadSample, ...]:
        """The samples kept, oldest first; between two of them there may have been a pause without subscribers."""
        with self._lock:
            return tuple(self._history)

    def close(self, timeout: float = 2.0) -> bool:
        """Stop sampling; answers whether the thread ended within ``timeout`` seconds. May be called again."""
        self._stop.set()
        self._wake.set()
        with self._lock:
            self._subscribers.clear()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def _run(self) -> None:
        before: Counters | None = None
        due = time.monotonic()
        while not self._stop.is_set():
            with self._lock:
                wanted, resumed, self._resumed = bool(self._subscribers), self._resumed, False
            if resumed:
                before, due = None, time.monotonic()
            if not wanted:
                self._pause(None)
                continue
            remaining = due - time.monotonic()
            if remaining > 0:
                self._pause(remaining)
                continue
            due = time.monotonic() + self._interval
            before = self._sample(before)

    def _pause(self, seconds: float | None) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _sample(self, before: Counters | None) -> Counters | None:
        try:
            now = self._reader()(self._folder)
            sample = load_between(before, now)
        except Exception:  # noqa: BLE001 - one reading that fails must not end the samples that follow
            _log.exception("the load could not be read")
            return None
        with self._lock:
            self._history.append(sample)
            callbacks = tuple(self._subscribers.values())
        for callback in callbacks:
            try:
                callback(sample)
            except Exception:  # noqa: BLE001 - a subscriber's fault must not silence the others
                _log.exception("a subscriber of the load failed")
        return now

    def _reader(self) -> Callable[[Path], Counters]:
        if self._read is None:
            from core.hardware.counters import read_counters

            self._read = read_counters
        return self._read
