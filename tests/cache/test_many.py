"""Threads, processes and sudden ends at one cache."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from caching import TINY, Opened
from worker import is_whole, value_of

from core.cache.files import LEFT_SECONDS
from core.cache.status import Tier

WORKER = Path(__file__).with_name("worker.py")


def started(root: Path, seed: int, operations: int) -> subprocess.Popen[bytes]:
    program = [sys.executable, str(WORKER), str(root), str(seed), str(operations)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def assert_whole(opened: Opened) -> None:
    """Everything that is answered is whole, and the numbers are those of what lies there."""
    assert opened.cache.check().damaged == 0
    for number in range(40):
        value = opened.cache.get(f"n{number}")
        assert value is None or is_whole(f"n{number}", value)
    status = opened.cache.status()
    assert status.damaged == 0
    assert status[Tier.RECENT].size <= TINY.recent
    named = [path for path in opened.files() if not path.name.startswith(".")]
    assert len(named) >= status[Tier.FILES].entries
    assert status[Tier.FILES].size <= TINY.files


def test_two_processes_share_a_workspace(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "w", TINY)
    workers = [started(tmp_path / "w", seed, 150) for seed in (1, 2)]
    ended = [worker.communicate(timeout=100) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    assert_whole(opened)
    assert opened.cache.status()[Tier.FILES].size == sum(path.stat().st_size for path in opened.files())
    opened.close()


def test_what_was_put_survives_a_kill_or_is_absent(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "w", TINY)
    opened.cache.put("n0", value_of("n0", 7))
    opened.cache.pin("n0")
    for seed in range(3):
        worker = started(tmp_path / "w", seed, 1_000_000)
        assert worker.stdout is not None
        for _ in range(12 + 9 * seed):
            assert worker.stdout.readline()
        worker.kill()
        worker.communicate()
        opened.reopen()
        assert_whole(opened)
        assert opened.cache.get("n0") is not None, "what is pinned is there after any end"
    opened.close()


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "w", TINY)
    opened.cache.put("n1", value_of("n1", 1) + b"l" * 2_500)
    [kept] = opened.files()
    unfinished = opened.folder / ".4242.0123456789ab"
    unnamed = opened.folder / "ab" / ("ab" * 32)
    fresh = opened.folder / ".4242.ba9876543210"
    unnamed.parent.mkdir()
    for path in (unfinished, unnamed, fresh):
        path.write_bytes(b"half")
    for path in (unfinished, unnamed, kept):
        os.utime(path, (time.time() - LEFT_SECONDS - 5,) * 2)
    assert opened.cache.sweep() == 2
    assert opened.files() == sorted([kept, fresh])
    opened.close()


def test_many_threads_read_and_write_at_once(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "w", TINY)
    wrong: list[str] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(40):
                name = f"n{chance.randrange(12)}"
                if chance.random() < 0.3:
                    opened.cache.put(name, value_of(name, chance.randrange(3)))
                elif chance.random() < 0.1:
                    opened.cache.forget(name)
                elif (value := opened.cache.get(name)) is not None and not is_whole(name, value):
                    wrong.append(name)
        except Exception as error:  # noqa: BLE001 - a thread's failure is the test's
            wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    opened.reopen()
    assert_whole(opened)
    opened.close()
