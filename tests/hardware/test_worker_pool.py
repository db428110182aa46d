"""The pool: bounded, type-ahead by key, and never in the way of the process's end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait

import pytest

from core.hardware.pool import PoolFull, WorkerPool

LONG = 20.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def pool(gate: threading.Event) -> Iterator[WorkerPool]:
    pool = WorkerPool(2, queue_bound=3)
    yield pool
    gate.set()
    assert pool.close(LONG)


def occupy(pool: WorkerPool, gate: threading.Event, threads: int) -> list[Future[bool]]:
    started = threading.Barrier(threads + 1)

    def block() -> bool:
        started.wait(LONG)
        return gate.wait(LONG)

    futures = [pool.submit(block) for _ in range(threads)]
    started.wait(LONG)
    return futures


def test_a_job_gives_its_result_or_its_exception(pool: WorkerPool) -> None:
    assert pool.submit(divmod, 17, 5).result(LONG) == (3, 2)
    assert pool.submit(sorted, [1, 3, 2], reverse=True).result(LONG) == [3, 2, 1]
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(LONG)
    assert pool.submit(divmod, 1, 1).result(LONG) == (1, 0)


def test_a_job_that_ends_its_thread_ends_only_itself(pool: WorkerPool) -> None:
    for _ in range(3):
        with pytest.raises(SystemExit):
            pool.submit(sys.exit, 3).result(LONG)
    assert pool.submit(int, "7").result(LONG) == 7


def test_never_more_jobs_at_once_than_threads() -> None:
    pool = WorkerPool(3)
    lock, running, most = threading.Lock(), 0, 0

    def job() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.002)
        with lock:
            running -= 1
        return threading.current_thread().name

    futures = [pool.submit(job) for _ in range(40)]
    names = {future.result(LONG) for future in futures}
    assert pool.close(LONG)
    assert most <= 3
    assert len(names) <= 3


def test_jobs_run_beside_each_other_and_not_only_in_turn() -> None:
    pool = WorkerPool(3)
    together = threading.Barrier(3)
    futures = [pool.submit(together.wait, LONG) for _ in range(3)]
    assert sorted(future.result(LONG) for future in futures) == [0, 1, 2]
    assert pool.close(LONG)


def test_a_full_queue_refuses_with_a_clear_sentence_and_recovers(pool: WorkerPool, gate: threading.Event) -> None:
    occupy(pool, gate, 2)
    waiting = [pool.submit(int, str(number)) for number in range(3)]
    with pytest.raises(PoolFull, match="3 jobs are waiting already") as refused:
        pool.submit(int, "4")
    assert refused.value.hint
    with pytest.raises(PoolFull):
        pool.submit_latest("search", int, "5")
    gate.set()
    assert [future.result(LONG) for future in waiting] == [0, 1, 2]
    assert pool.submit_latest("search", int, "5").result(LONG) == 5


def test_a_cancelled_job_is_not_run(pool: WorkerPool, gate: threading.Event) -> None:
    ran: list[int] = []
    occupy(pool, gate, 2)
    future = pool.submit(ran.append, 1)
    assert future.cancel()
    gate.set()
    pool.submit(ran.append, 2).result(LONG)
    assert ran == [2]


def test_a_newer_job_of_the_same_key_replaces_the_one_that_waits(pool: WorkerPool, gate: threading.Event) -> None:
    ran: list[str] = []
    occupy(pool, gate, 2)
    replaced = [pool.submit_latest("search", ran.append, text) for text in ("a", "as", "asy")]
    last = pool.submit_latest("search", ran.append, "asyn")
    assert all(future.cancelled() for future in replaced)
    other = pool.submit_latest("preview", ran.append, "other")
    gate.set()
    wait([last, other], LONG)
    assert sorted(ran) == ["asyn", "other"]


def test_one_key_never_runs_twice_at_once_and_the_newest_runs_last(gate: threading.Event) -> None:
    pool = WorkerPool(4)
    started = threading.Event()
    lock, running, most = threading.Lock(), 0, 0
    ran: list[int] = []

    def job(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        started.set()
        gate.wait(LONG)
        with lock:
            ran.append(number)
            running -= 1

    first = pool.submit_latest("key", job, 0)
    assert started.wait(LONG)
    futures = [pool.submit_latest("key", job, number) for number in range(1, 50)]
    assert not first.cancelled()
    assert [future.cancelled() for future in futures] == [True] * 48 + [False]
    assert pool.submit(int, "1").result(LONG) == 1
    gate.set()
    futures[-1].result(LONG)
    assert pool.close(LONG)
    assert (ran, most) == ([0, 49], 1)


def test_a_key_can_be_used_again_after_its_job_failed(pool: WorkerPool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit_latest("key", int, "x").result(LONG)
    assert pool.submit_latest("key", int, "8").result(LONG) == 8


def test_a_job_may_submit_its_own_successor(pool: WorkerPool) -> None:
    finished = threading.Event()

    def step(left: int) -> None:
        if left:
            pool.submit_latest("chain", step, left - 1)
        else:
            finished.set()

    pool.submit_latest("chain", step, 5)
    assert finished.wait(LONG)


def test_close_cancels_what_waits_and_lets_what_runs_finish(gate: threading.Event) -> None:
    pool = WorkerPool(1)
    (running,) = occupy(pool, gate, 1)
    waiting = [pool.submit(int, "1"), pool.submit_latest("key", int, "2")]
    assert pool.close(timeout=0.01) is False
    assert all(future.cancelled() for future in waiting)
    done, not_done = wait(waiting, LONG)
    assert (len(done), len(not_done)) == (2, 0)
    gate.set()
    assert running.result(LONG) is True
    assert pool.close(LONG) is True


def test_close_cancels_the_successor_of_a_running_key(gate: threading.Event) -> None:
    pool = WorkerPool(1)
    started = threading.Event()

    def block() -> bool:
        started.set()
        return gate.wait(LONG)

    running = pool.submit_latest("key", block)
    assert started.wait(LONG)
    successor = pool.submit_latest("key", block)
    pool.close(timeout=0.01)
    assert successor.cancelled()
    gate.set()
    assert running.result(LONG) is True
    assert pool.close(LONG)


def test_a_closed_pool_answers_with_cancelled_futures() -> None:
    pool = WorkerPool(1)
    assert pool.close()
    for future in (pool.submit(int, "1"), pool.submit_latest("key", int, "1")):
        with pytest.raises(CancelledError):
            future.result(LONG)


def test_a_pool_of_nothing_is_a_programming_error() -> None:
    with pytest.raises(ValueError):
        WorkerPool(0)


def test_a_job_that_never_ends_does_not_keep_the_process_alive() -> None:
    program = (
        "import threading\n"
        "from core.hardware.pool import WorkerPool\n"
        "pool, started = WorkerPool(1), threading.Event()\n"
        "def block():\n    started.set()\n    threading.Event().wait()\n"
        "pool.submit(block)\n"
        "started.wait()\n"
        "print('leaving')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "leaving\n"
