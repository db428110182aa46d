"""What this machine is: processors, memory, GPU, and how fast its storage writes."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.errors import BailiwickError, InvalidInput, StorageFull, WorkspaceUnusable
from core.hardware.cgroup import control_group_limits
from core.model import HardwareProfile

GIBIBYTE = 2**30
MEGABYTE = 10**6
_BLOCK_BYTES = MEGABYTE
_FREE_SPACE_KEPT = 64 * MEGABYTE
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GPU_MAKERS = {"0x1002": "AMD", "0x10de": "NVIDIA", "0x8086": "Intel"}
_GPU_FILES = ("proc/driver/nvidia", "dev/nvidia0", "dev/kfd")


def detect_hardware_capabilities(root: Path = Path("/")) -> HardwareProfile:
    """Describe the machine as this process may use it, in about a millisecond.

    ``cpu_cores`` are the processors this process may run on: its affinity mask, bounded by the control groups' quota
    rounded up. ``available_memory_gb`` is the physical memory in GiB bounded by the control groups' limit: the total
    that can ever be used, not what happens to be free, so that limits derived from it do not wobble. ``has_gpu`` says
    that a GPU with a driver is visible. ``storage_speed_mbps`` is ``None`` until ``measure_storage`` is called, and
    ``network_speed_mbps`` is ``None`` because there is nothing to measure against until a remote is configured.

    ``root`` is the folder under which ``proc``, ``sys`` and ``dev`` are looked for. Safe from any thread; never raises.
    """
    groups = control_group_limits(root)
    cores = _processors()
    if groups.cpus is not None:
        cores = min(cores, math.ceil(groups.cpus))
    memory = _physical_memory_bytes()
    if groups.memory_bytes is not None:
        memory = min(memory, groups.memory_bytes)
    return HardwareProfile(
        cpu_cores=max(1, cores),
        available_memory_gb=memory / GIBIBYTE,
        has_gpu=_has_gpu(root),
        storage_speed_mbps=None,
        network_speed_mbps=None,
    )


def measure_storage(
    profile: HardwareProfile, folder: Path, size_mb: int = 64, should_stop: Callable[[], bool] | None = None
) -> HardwareProfile:
    """``profile`` with ``storage_speed_mbps`` measured in ``folder``; unchanged if it was stopped.

    Takes from tenths of a second to many seconds: never call it on the screen's thread. Raises what
    ``benchmark_storage_speed`` raises.
    """
    speed = benchmark_storage_speed(folder, size_mb, should_stop)
    return profile if speed is None else replace(profile, storage_speed_mbps=speed)


def benchmark_storage_speed(
    folder: Path, size_mb: int = 64, should_stop: Callable[[], bool] | None = None
) -> float | None:
    """Write ``size_mb`` MB in order to a temporary file in ``folder``, flush it to the device, and return MB/s.

    MB are 10^6 bytes. The file has no name where the system allows that and loses it at once elsewhere, so nothing
    stays behind, even when the process is killed. ``should_stop`` is asked before every MB; once it says yes the
    answer is ``None``. Safe from any thread.

    Raises ``InvalidInput`` for a size below 1, ``StorageFull`` when the disk or a quota has no room (asked before the
    first byte, keeping 64 MB free for others), ``WorkspaceUnusable`` when the folder cannot be written.
    """
    if size_mb < 1:
        raise InvalidInput(f"A storage measurement of {size_mb} MB is not possible.", "Measure with 1 MB or more.")
    try:
        if shutil.disk_usage(folder).free < size_mb * MEGABYTE + _FREE_SPACE_KEPT:
            raise _full(folder, size_mb)
        return _write_speed(folder, size_mb, should_stop)
    except OSError as error:
        raise _storage_error(folder, size_mb, error) from error


def _write_speed(folder: Path, size_mb: int, should_stop: Callable[[], bool] | None) -> float | None:
    block = os.urandom(_BLOCK_BYTES)
    with tempfile.TemporaryFile(dir=folder, prefix=".bailiwick-speed-", buffering=0) as file:
        started = time.perf_counter()
        for _ in range(size_mb):
            if should_stop is not None and should_stop():
                return None
            rest = memoryview(block)
            while rest:
                rest = rest[file.write(rest) :]
        _flush_to_device(file.fileno())
        return size_mb * _BLOCK_BYTES / MEGABYTE / max(time.perf_counter() - started, 1e-9)


def _flush_to_device(descriptor: int) -> None:
    """On macOS fsync stops at the drive's own cache; F_FULLFSYNC is what reaches the medium (fsync(2) there)."""
    full_flush = getattr(fcntl, "F_FULLFSYNC", None)
    if full_flush is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, full_flush)


def _full(folder: Path, size_mb: int) -> StorageFull:
    return StorageFull(
        f"There is no room in {folder} to measure its speed with {size_mb} MB.", "Free some space and measure again."
    )


def _storage_error(folder: Path, size_mb: int, error: OSError) -> BailiwickError:
    if error.errno in _FULL:
        return _full(folder, size_mb)
    return WorkspaceUnusable(
        f"The storage of {folder} cannot be measured: {error.strerror or error}.",
        "Check that the folder exists and can be written.",
    )


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _has_gpu(root: Path) -> bool:
    """Apple's own processors carry one; on Linux a driver's device file or a known maker's render node shows it."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if any((root / name).exists() for name in _GPU_FILES):
        return True
    return any(_first_line(vendor) in _GPU_MAKERS for vendor in (root / "sys/class/drm").glob("renderD*/device/vendor"))


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
