"""Queued work, remembered settings, and the one engine."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.agentfs.agentfs import AgentFS
from core.agentfs.changes import ChangeWatcher
from core.errors import EngineHeld

HOLD = """
import sys
from pathlib import Path
from core.agentfs.agentfs import AgentFS
agentfs = AgentFS(Path(sys.argv[1]))
agentfs.engine_lock.acquire("the dashboard")
print("held", flush=True)
sys.stdin.read()
"""


def enqueue(agentfs: AgentFS, name: str, **payload: str) -> None:
    with agentfs.database.transaction() as connection:
        agentfs.queue.enqueue(connection, name, dict(payload))


def test_tasks_come_in_order_each_once(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    enqueue(agentfs, "read", source="1")
    enqueue(agentfs, "read", source="2")
    enqueue(agentfs, "read", source="1")
    first, second = agentfs.queue.claim(), agentfs.queue.claim()
    assert first is not None
    assert second is not None
    assert (first.payload, second.payload) == ({"source": "1"}, {"source": "2"})
    assert agentfs.queue.claim() is None
    agentfs.queue.finish(first)
    assert agentfs.queue.waiting() == 1
    agentfs.close()


def test_what_a_dead_engine_left_running_is_done_again(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    enqueue(agentfs, "read", source="1")
    agentfs.queue.claim()
    agentfs.close()
    again = AgentFS(tmp_path)
    assert again.queue.claim() is None
    again.queue.recover()
    task = again.queue.claim()
    assert task is not None
    assert task.payload == {"source": "1"}
    again.close()


def test_waiting_tasks_can_be_cancelled_running_ones_not(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    enqueue(agentfs, "read", source="1")
    running = agentfs.queue.claim()
    enqueue(agentfs, "read", source="2")
    assert agentfs.queue.cancel_waiting("read") == 1
    assert agentfs.queue.claim() is None
    assert running is not None
    assert agentfs.queue.waiting() == 1
    agentfs.close()


def test_settings_are_remembered(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    assert agentfs.settings.get("theme") is None
    agentfs.settings.put("theme", "dark")
    agentfs.settings.put("theme", {"name": ["light", 1, None]})
    agentfs.close()
    again = AgentFS(tmp_path)
    assert again.settings.get("theme") == {"name": ["light", 1, None]}
    again.close()


def test_a_second_engine_hears_who_is_the_first_and_kill_frees_the_lock(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert agentfs.engine_lock.is_taken()
    with pytest.raises(EngineHeld, match=rf"the dashboard \(process {holder.pid}"):
        agentfs.engine_lock.acquire("another")
    holder.kill()
    holder.wait()
    assert not agentfs.engine_lock.is_taken()
    agentfs.engine_lock.acquire("another")
    assert agentfs.engine_lock.held
    agentfs.close()
    assert not AgentFS(tmp_path).engine_lock.is_taken()


def test_commits_of_another_process_are_noticed(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    noticed = threading.Event()
    watcher = ChangeWatcher(agentfs.database, noticed.set)
    watcher.start()
    program = (
        "import sys; from pathlib import Path; from core.agentfs.agentfs import AgentFS;"
        "AgentFS(Path(sys.argv[1])).settings.put(sys.argv[2], 1)"
    )
    for attempt in range(20):
        subprocess.run([sys.executable, "-c", program, str(tmp_path), str(attempt)], check=True, timeout=30)
        if noticed.wait(1):
            break
    assert noticed.is_set()
    watcher.stop()
    agentfs.close()
