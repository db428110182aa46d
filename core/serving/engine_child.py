"""Has an engine run while this process needs one: another that runs already, else a child that ends with this process.

The child reads from a pipe whose other end this process holds; however this process ends, the system closes that end,
and the child takes it as its own end. Several processes that need an engine at the same moment start one between them.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from core.agentfs.engine_lock import EngineLock
from core.errors import Unreachable

START_SECONDS = 20.0
_LOOK_SECONDS = 0.05
# What `bailiwick serve` ends with while another process is the engine.
_HELD = 3


class EngineChild:
    """Safe from any thread. ``close`` lets the child go, which then ends by itself."""

    def __init__(self, root: Path, command: Sequence[str]) -> None:
        """``command`` is an engine for the workspace at ``root`` that ends when its standard input does."""
        self._engine_lock = EngineLock(root)
        self._turn = root / "engine.starting"
        self._command = list(command)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def ensure(self) -> bool:
        """Have an engine run; says whether it was started only now. Raises Unreachable when none comes up."""
        if self._engine_lock.is_taken():
            return False
        with self._lock:
            deadline = time.monotonic() + START_SECONDS
            while not self._engine_lock.is_taken():
                if self._closed.is_set() or time.monotonic() > deadline:
                    raise _no_engine()
                with self._my_turn() as is_mine:
                    if is_mine and not self._engine_lock.is_taken():
                        self._start(deadline)
                self._closed.wait(_LOOK_SECONDS)
        return True

    def close(self) -> None:
        """Need no engine any more."""
        self._closed.set()
        with self._lock:
            self._let_go()

    def _start(self, deadline: float) -> None:
        """Start the child, and wait until it is the engine or has ended."""
        self._let_go()
        try:
            # A session of its own: what the client sends to this process' group is not meant for the engine.
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise Unreachable(f"No engine can be started ({os.strerror(error.errno or 0)}).", _HINT) from None
        while not self._engine_lock.is_taken() and time.monotonic() < deadline:
            if (code := self._child.poll()) is not None:
                if code != _HELD:
                    raise _no_engine()
                return
            if self._closed.wait(_LOOK_SECONDS):
                return

    def _let_go(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.stdin is not None:
            with suppress(OSError):
                child.stdin.close()
            # Ended or not, it is not waited for: a process that is over is taken by whoever started this one.
            child.poll()

    @contextmanager
    def _my_turn(self) -> Iterator[bool]:
        """Whether it is for this process to start one now; the system ends the turn of a process that dies."""
        descriptor = os.open(self._turn, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


_HINT = "Run `bailiwick serve`, or open the dashboard; the log tells more."


def _no_engine() -> Unreachable:
    return Unreachable("No engine runs on this workspace, and none came up when one was started.", _HINT)
