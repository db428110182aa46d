"""What a process left half-written in ``files/`` when it was killed does not stay there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.contents import INLINE_BYTES, LEFT_SECONDS
from core.agentfs.housekeeping import Housekeeper
from core.events import EventBus

KILLED = """
import os, signal, sys
from pathlib import Path
from core.agentfs.agentfs import AgentFS
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
agentfs = AgentFS(Path(sys.argv[1]))
with agentfs.database.transaction() as connection:
    agentfs.contents.write(connection, b"half " * int(sys.argv[2]))
"""


def test_what_a_killed_process_left_is_swept_away_when_it_is_old(tmp_path: Path) -> None:
    for size in (INLINE_BYTES, INLINE_BYTES + 1):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(size)], check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
    left = sorted((tmp_path / "files").glob("*/*"))
    assert len(left) == 2
    agentfs = AgentFS(tmp_path)
    with agentfs.database.transaction() as connection:
        digest = agentfs.contents.write(connection, b"whole" * INLINE_BYTES)
    notes = tmp_path / "files" / digest[:2] / ".notes"
    notes.write_text("mine")
    long_ago = time.time() - LEFT_SECONDS - 1
    for path in (left[0], notes, notes.with_name(digest)):
        os.utime(path, (long_ago, long_ago))
    housekeeper = Housekeeper(agentfs, EventBus(), 0)
    housekeeper.start()
    deadline = time.monotonic() + 30
    while left[0].exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    housekeeper.stop()
    assert left[1].exists(), "somebody may still write to what is young"
    assert agentfs.contents.read(digest) == b"whole" * INLINE_BYTES
    assert notes.exists()
    agentfs.close()
