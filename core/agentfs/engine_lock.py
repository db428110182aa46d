"""``engine.lock``: which one process owns the index, the watcher and the workers of a workspace."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from core.agentfs.database import now, to_text, translated
from core.errors import EngineHeld

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class EngineHolder:
    """The process that holds the lock, as it described itself in ``engine.json``."""

    process: int
    host: str
    role: str
    since: str

    def __str__(self) -> str:
        clock = self.since[11:16]
        return f"{self.role} (process {self.process}, since {clock} UTC)"


class EngineLock:
    """An advisory lock on ``engine.lock`` that the system drops when its process ends, however it ends."""

    def __init__(self, root: Path) -> None:
        self._lock_path = root / "engine.lock"
        self._holder_path = root / "engine.json"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, role: str) -> None:
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
        description = EngineHolder(os.getpid(), socket.gethostname(), role, to_text(now()))
        temporary = self._holder_path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(asdict(description)), encoding="utf-8")
        os.replace(temporary, self._holder_path)

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            self._holder_path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

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
            return not _lock(descriptor, 1)
        finally:
            os.close(descriptor)


def _lock(descriptor: int, attempts: int) -> bool:
    """Try a few times: ``is_taken`` of another process holds the lock for a moment."""
    for attempt in range(attempts):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt + 1 < attempts:
                time.sleep(0.03)
        else:
            return True
    return False
