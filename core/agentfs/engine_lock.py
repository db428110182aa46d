"""``engine.lock``: which one process owns the index, the watcher and the workers of a workspace."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from core.agentfs.database import now, to_text, translated
from core.errors import EngineHeld

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class EngineHolder:
    """The process that holds the lock, as it described itself in ``engine.json``.

    ``works`` says whether it does what is queued. ``port`` and ``token`` open its door on 127.0.0.1; the port is 0
    while it has none, and the token is never shown.
    """

    process: int
    host: str
    role: str
    since: str
    works: bool = True
    port: int = 0
    token: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Which process it is, in few words."""
        return f"{self.role} (process {self.process})"

    def __str__(self) -> str:
        clock = self.since[11:16]
        return f"{self.role} (process {self.process}, since {clock} UTC)"


class EngineLock:
    """An advisory lock on ``engine.lock`` that the system drops when its process ends, however it ends."""

    def __init__(self, root: Path) -> None:
        self._lock_path = root / "engine.lock"
        self._holder_path = root / "engine.json"
        self._descriptor: int | None = None
        self._description: EngineHolder | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, role: str, *, works: bool = True) -> None:
        """Take the lock as ``role`` ("the dashboard"); raises EngineHeld, naming the holder, when it is taken."""
        with translated(self._lock_path):
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(descriptor, ATTEMPTS):
            os.close(descriptor)
            raise EngineHeld(
                f"This workspace is in use by {self.holder() or 'another Bailiwick'}.",
                "Close that one first, or name another workspace with --workspace.",
            )
        self._descriptor = descriptor
        self._describe(EngineHolder(os.getpid(), platform.node(), role, to_text(now()), works))

    def announce(self, port: int, token: str) -> None:
        """Tell the other processes of this user where the door is and what opens it; the lock must be held."""
        assert self._description is not None
        self._describe(replace(self._description, port=port, token=token))

    def _describe(self, description: EngineHolder) -> None:
        temporary = self._holder_path.with_suffix(f".{os.getpid()}")
        with translated(temporary):
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(description), file)
            os.replace(temporary, self._holder_path)
        self._description = description

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            self._holder_path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = self._description = None

    def holder(self) -> EngineHolder | None:
        """Who wrote ``engine.json`` last, if that can be told."""
        try:
            return EngineHolder(**json.loads(self._holder_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_taken(self) -> bool:
        """Whether some process (this one included) holds the lock now."""
        if self.held:
            return True
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _lock(descriptor, 1, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, attempts: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Try a few times: ``is_taken`` of another process shares the lock for a moment."""
    for attempt in range(attempts):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError:
            if attempt + 1 < attempts:
                time.sleep(0.03)
        else:
            return True
    return False
