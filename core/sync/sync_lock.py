"""One sync of a workspace at a time, whichever process runs it: the engine's worker, a command, another dashboard."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.agentfs.database import translated
from core.errors import Unreachable

LOOK_SECONDS = 0.05


@contextmanager
def only_sync(root: Path, *, wait_seconds: float, should_stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold ``sync.lock``, which the system drops when its process ends; raises Unreachable when another holds it on."""
    path = root / "sync.lock"
    with translated(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= end or should_stop():
                    raise Unreachable(
                        "Another process is synchronising this workspace.", "Wait until it is done, or stop it."
                    ) from None
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)


def is_synchronising(root: Path) -> bool:
    """Whether any process holds ``sync.lock`` now."""
    try:
        descriptor = os.open(root / "sync.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
