"""Three real processes on one remote, killed at any moment and at every named point, again and again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.agentfs.audit_check import AuditCheck
from core.conflicts.records import ConflictStore
from core.errors import ObjectMissing
from core.remote.opening import open_store
from core.sync.areas import AreaLocks
from core.sync.commit import decode, log_key
from core.sync.failpoints import VARIABLE
from tests.remote.s3_server import s3_process
from tests.sync.fleet import CRASHES
from tests.sync.sync_process import WROTE, opened, registered
from tests.sync.syncing import AREA, Syncing
from tests.sync.two_devices import open_device

NAMES = ("laptop", "desk", "phone")
EXITED_AT_A_POINT = 86


@dataclass(slots=True)
class Worker:
    """One device, its process, and what that told."""

    root: Path
    lines: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None
    reader: threading.Thread | None = None

    def start(self, url: str, environ: Mapping[str, str], seed: int, failpoint: str = "") -> None:
        """A process that goes on until it is killed, or reaches ``failpoint``."""
        command = [sys.executable, "-m", "tests.sync.sync_process", str(self.root), url, str(seed)]
        named = {VARIABLE: failpoint} if failpoint else {}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ, **named}
        )
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))

    def has_written(self, more_than: int) -> bool:
        """Whether the process is at work, or ended by itself."""
        assert self.process is not None
        return len(self.lines) > more_than or self.process.poll() is not None

    def end(self) -> None:
        """Kill it, if it runs still."""
        assert self.process is not None
        assert self.reader is not None
        self.process.kill()
        self.exits.append(self.process.wait(20))
        self.reader.join(20)

    def kept(self) -> set[str]:
        """The texts that may not be lost: this device wrote them, and did not replace them knowingly."""
        kept: set[str] = set()
        for line in self.lines:
            told, _, text = line.partition("\t")
            (kept.add if told == WROTE else kept.discard)(text)
        return kept


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    if request.param == "folder":
        (tmp_path / "remote").mkdir()
        yield str(tmp_path / "remote"), {}
        return
    with s3_process() as server:
        bucket = server.new_bucket()
        yield bucket.url, bucket.environ


def test_killed_processes_lose_nothing(
    remote: tuple[str, Mapping[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, environ = remote
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    workers = [Worker(tmp_path / name) for name in NAMES]
    make(workers, url)
    source = random.Random(11)
    points = list(CRASHES)
    for number in range(2 if environ else 3):
        before = [len(worker.lines) for worker in workers]
        for index, worker in enumerate(workers):
            # Of three one is killed from outside; the others end at a point of their own.
            point = "" if index == number % 3 else f"{points.pop()}:{source.randint(2, 6)}"
            worker.start(url, environ, 10 * number + index, point)
        wait_for(workers, before)
        wait_for_points([worker for index, worker in enumerate(workers) if index != number % 3])
        for worker in workers:
            worker.end()
    devices = [registered(opened(worker.root, url)) for worker in workers]
    settle(devices)
    first = devices[0].device.versions()
    assert all(each.device.versions() == first for each in devices)
    held = contents(devices[0])
    for worker in workers:
        lost = worker.kept() - held
        assert not lost, f"{worker.root.name} lost {lost}"
    for each in devices:
        agentfs = each.device.agentfs
        verdict = AuditCheck(agentfs.database, agentfs.audit, agentfs.root).verify()
        assert (verdict.integrity, verdict.completeness) == ((), ())
        agentfs.close()
    written = sum(line.startswith(WROTE) for worker in workers for line in worker.lines)
    exits = [code for worker in workers for code in worker.exits]
    assert set(exits) <= {-9, EXITED_AT_A_POINT}
    assert exits.count(EXITED_AT_A_POINT) >= 2
    print(f"{written} writes, {exits.count(-9)} killed, {exits.count(EXITED_AT_A_POINT)} ended at a point")
    assert written >= 9


def make(workers: list[Worker], url: str) -> None:
    """Three devices of one identity, with their cards."""
    first = open_device(workers[0].root, workers[0].root.name)
    devices = [first, *(open_device(each.root, each.root.name, keys_of=first) for each in workers[1:])]
    for device in devices:
        registered(Syncing(device, open_store(url)))
        device.agentfs.close()


def wait_for(workers: list[Worker], before: list[int]) -> None:
    """Until every process is at work."""
    limit = time.monotonic() + 60
    while not all(worker.has_written(count) for worker, count in zip(workers, before, strict=True)):
        assert time.monotonic() < limit, "a process does not begin"
        time.sleep(0.02)


def wait_for_points(workers: list[Worker]) -> None:
    """Until these have ended at their points, or will hardly come to them any more."""
    limit = time.monotonic() + 8
    while time.monotonic() < limit and not all(each.process and each.process.poll() is not None for each in workers):
        time.sleep(0.02)


def settle(devices: list[Syncing]) -> None:
    """Every device syncs until nobody has anything to do."""
    for _ in range(8):
        results = [each.sync(approved=True) for each in devices]
        if not any(each.sent or each.received for each in results):
            return
    raise AssertionError("not quiet after 8 rounds")


def contents(syncing: Syncing) -> set[str]:
    """Every text that is here, was ever in the log, or is kept by a conflict."""
    agentfs, area = syncing.device.agentfs, syncing.area()
    held = set(syncing.texts().values())
    store = ConflictStore(agentfs)
    for entry in store.all():
        record = store.get(entry.id)
        sides = (record.local, record.remote, *record.others)
        held |= {side.content.decode() for side in sides if side.content is not None}
    locks = AreaLocks(agentfs, AREA)
    seq = 1
    while True:
        try:
            data = syncing.store.get(log_key(AREA.id, seq))
        except ObjectMissing:
            return held
        commit = decode(locks.open(data, "a commit"), AREA.id, seq).commit
        places = {each.place: each for each in commit.operations if each.place and each.kind == "assumption"}
        had, lacking = area._fetcher.fetch(places)
        assert not lacking
        held |= {syncing.device.tree.opened(places[place], stored).decode() for place, stored in had.items()}
        seq += 1
