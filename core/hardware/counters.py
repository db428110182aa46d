"""The machine's raw counters at one moment, as psutil gives them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

_LOOPBACK = ("lo", "lo0")

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Bytes of the whole machine."""

    used: int
    total: int
    available: int
    swap_used: int
    swap_total: int


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One of our own processes: CPU seconds since it began, resident bytes, threads, open file descriptors."""

    cpu_seconds: float
    resident_bytes: int
    threads: int
    open_files: int


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading. Counters count since boot or since a process began; ``None`` or an empty mapping is "not available".

    ``processors`` holds (busy, total) seconds for each processor; ``disks`` (read, written) bytes for each device;
    ``networks`` (sent, received) bytes for each interface but loopback; ``disk_space`` (free, total) bytes;
    ``processes`` is keyed by process id and start time, so that a reused id is not taken for the same process.
    """

    monotonic: float
    at: datetime
    processors: tuple[tuple[float, float], ...] | None
    memory: MemoryReading | None
    disk_space: Pair | None
    disks: Mapping[str, Pair]
    networks: Mapping[str, Pair]
    processes: Mapping[tuple[int, float], ProcessReading]
    load_average: tuple[float, float, float] | None


def read_counters(folder: Path) -> Counters:
    """Read everything once, in 1 to 3 ms; ``folder`` chooses the filesystem. Safe from any thread.

    What the system does not tell (a container without disk counters, an unmounted folder) is left out, never zero.
    """
    monotonic = time.monotonic()
    return Counters(
        monotonic=monotonic,
        at=datetime.now(UTC),
        processors=_or_none(_processors),
        memory=_or_none(_memory),
        disk_space=_or_none(lambda: _disk_space(folder)),
        disks=_or_none(_disks) or {},
        networks=_or_none(_networks) or {},
        processes=_own_processes(),
        load_average=_or_none(os.getloadavg),
    )


def _or_none(read: Callable[[], T]) -> T | None:
    """psutil raises RuntimeError or NotImplementedError where a kernel does not have what is asked for."""
    try:
        return read()
    except (OSError, psutil.Error, RuntimeError):
        return None


def _processors() -> tuple[tuple[float, float], ...] | None:
    """Busy is all but idle and waiting for input; on Linux guest time is already part of user time (proc(5))."""
    answer = []
    for times in psutil.cpu_times(percpu=True):
        values = times._asdict()
        total = sum(values.values()) - values.get("guest", 0.0) - values.get("guest_nice", 0.0)
        answer.append((total - values["idle"] - values.get("iowait", 0.0), total))
    return tuple(answer) or None


def _memory() -> MemoryReading:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return MemoryReading(memory.used, memory.total, memory.available, swap.used, swap.total)


def _disk_space(folder: Path) -> Pair:
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total


def _disks() -> dict[str, Pair]:
    """Physical devices, so that what passes through a loop, mapper or RAID device is not counted twice.

    Where the system shows no physical device, all of them together count as one.
    """
    counters = psutil.disk_io_counters(perdisk=True, nowrap=False)
    if sys.platform == "linux":
        counters = {name: each for name, each in counters.items() if os.path.exists(f"/sys/block/{name}/device")}
    if not counters:
        together = psutil.disk_io_counters(nowrap=False)
        counters = {} if together is None else {"": together}
    return {name: (each.read_bytes, each.write_bytes) for name, each in counters.items()}


def _networks() -> dict[str, Pair]:
    return {
        name: (each.bytes_sent, each.bytes_recv)
        for name, each in psutil.net_io_counters(pernic=True, nowrap=False).items()
        if name not in _LOOPBACK
    }


def _own_processes() -> dict[tuple[int, float], ProcessReading]:
    """This process and all its descendants; those that end or close themselves off meanwhile are left out."""
    own = psutil.Process()
    answer = {}
    for process in (own, *(_or_none(lambda: own.children(recursive=True)) or ())):
        reading = _or_none(lambda process=process: _read_process(process))  # type: ignore[misc]
        if reading is not None:
            answer[process.pid, process.create_time()] = reading
    return answer


def _read_process(process: psutil.Process) -> ProcessReading:
    with process.oneshot():
        times = process.cpu_times()
        return ProcessReading(
            cpu_seconds=times.user + times.system,
            resident_bytes=process.memory_info().rss,
            threads=process.num_threads(),
            open_files=process.num_fds(),
        )
