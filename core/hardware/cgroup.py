"""What Linux control groups allow this process: processors and memory, in version 1, version 2 and mixed trees.

Formats: proc(5) for ``mountinfo``, cgroups(7) for ``/proc/self/cgroup``, and the kernel's admin-guide/cgroup-v2 and
cgroup-v1 pages for the limit files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_OCTAL_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class ControlGroupLimits:
    """The tightest limits on the way from this process's group to the root; ``None`` where nothing limits it."""

    cpus: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Mount:
    root: str
    mount_point: str
    version: int
    controllers: frozenset[str]


def control_group_limits(root: Path = Path("/")) -> ControlGroupLimits:
    """Read the limits of the control groups this process is in.

    ``root`` is the folder under which ``proc`` and ``sys`` are looked for. Files that are missing or unreadable limit
    nothing, so the answer on a system without control groups is two times ``None``. Safe from any thread.
    """
    memberships = dict(_memberships(_read(root / "proc/self/cgroup")))
    cpus: list[float] = []
    memory: list[int] = []
    for mount in _mounts(_read(root / "proc/self/mountinfo")):
        names = mount.controllers if mount.version == 1 else frozenset({""})
        own = next((memberships[name] for name in sorted(names) if name in memberships), None)
        if own is None:
            continue
        for folder in _folders(root, mount, own):
            if mount.version == 2:
                cpus.extend(_quota(_read(folder / "cpu.max")))
                memory.extend(_bytes(_read(folder / "memory.max")))
                continue
            if "cpu" in names:
                quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
                cpus.extend(_quota(f"{quota} {period}"))
            if "memory" in names:
                memory.extend(_bytes(_read(folder / "memory.limit_in_bytes")))
    return ControlGroupLimits(min(cpus, default=None), min(memory, default=None))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _memberships(text: str) -> Iterator[tuple[str, str]]:
    """Each controller and the path of its group; version 2 is the controller with the empty name."""
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                yield controller, parts[2]


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        fields, types = left.split(" "), right.split(" ")
        if not separator or len(fields) < 5 or len(types) < 3 or types[0] not in ("cgroup", "cgroup2"):
            continue
        yield _Mount(
            root=_unescape(fields[3]),
            mount_point=_unescape(fields[4]),
            version=2 if types[0] == "cgroup2" else 1,
            controllers=frozenset(types[2].split(",")),
        )


def _unescape(path: str) -> str:
    return _OCTAL_ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), path)


def _folders(root: Path, mount: _Mount, own: str) -> Iterator[Path]:
    """The folder of the group ``own`` and of each group above it, as far up as this mount shows.

    In a container the path may name a group outside what is mounted; then the mount point is the process's own group.
    """
    top = root / mount.mount_point.lstrip("/")
    path, mounted = PurePosixPath(own), PurePosixPath(mount.root)
    relative = path.relative_to(mounted) if path.is_relative_to(mounted) else PurePosixPath()
    parts = () if ".." in relative.parts else relative.parts
    for length in range(len(parts), -1, -1):
        yield top.joinpath(*parts[:length])


def _quota(text: str) -> Iterator[float]:
    """``QUOTA PERIOD`` in microseconds as a number of processors; ``max`` and -1 mean no limit."""
    fields = text.split()
    if len(fields) == 2 and fields[0].isdecimal() and fields[1].isdecimal() and int(fields[0]) and int(fields[1]):
        yield int(fields[0]) / int(fields[1])


def _bytes(text: str) -> Iterator[int]:
    if text.strip().isdecimal():
        yield int(text)
