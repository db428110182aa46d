"""Samples made of readings, and the thread that takes them only while somebody looks."""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from core.hardware.counters import Counters, MemoryReading, ProcessReading, read_counters
from core.hardware.load import LoadSample, LoadSampler, load_between

LONG = 20.0

START = Counters(
    monotonic=100.0,
    at=datetime(2026, 1, 1, tzinfo=UTC),
    processors=((10.0, 100.0), (20.0, 100.0)),
    memory=MemoryReading(used=30, total=100, available=60, swap_used=1, swap_total=2),
    disk_space=(400, 1000),
    disks={"sda": (1000, 2000)},
    networks={"eth0": (10, 20)},
    processes={(7, 1.0): ProcessReading(cpu_seconds=5.0, resident_bytes=50, threads=3, open_files=9)},
    load_average=(0.5, 0.25, 0.125),
)


def later(**changes: object) -> Counters:
    return replace(START, monotonic=102.0, **changes)  # type: ignore[arg-type]


def test_a_first_sample_has_amounts_and_no_rates() -> None:
    sample = load_between(None, START)
    assert (sample.memory_used, sample.memory_total, sample.memory_available) == (30, 100, 60)
    assert (sample.swap_used, sample.swap_total, sample.disk_free, sample.disk_total) == (1, 2, 400, 1000)
    assert (sample.own_resident, sample.own_threads, sample.own_open_files) == (50, 3, 9)
    assert (sample.cpu_percent, sample.per_cpu, sample.own_cpu_percent) == (None, None, None)
    assert (sample.disk_read_per_second, sample.network_sent_per_second) == (None, None)


def test_two_readings_make_rates_per_second() -> None:
    now = later(processors=((11.0, 102.0), (22.0, 102.0)), disks={"sda": (1500, 2200)}, networks={"eth0": (110, 20)})
    sample = load_between(START, now)
    assert sample.per_cpu == (50.0, 100.0)
    assert sample.cpu_percent == 75.0
    assert (sample.disk_read_per_second, sample.disk_written_per_second) == (250.0, 100.0)
    assert (sample.network_sent_per_second, sample.network_received_per_second) == (50.0, 0.0)


def test_a_counter_that_went_back_is_unknown_once() -> None:
    wrapped = later(disks={"sda": (5, 2000)}, networks={"eth0": (10, 3)})
    sample = load_between(START, wrapped)
    assert (sample.disk_read_per_second, sample.disk_written_per_second) == (None, None)
    assert (sample.network_sent_per_second, sample.network_received_per_second) == (None, None)
    after = replace(wrapped, monotonic=103.0, disks={"sda": (15, 2000)})
    assert load_between(wrapped, after).disk_read_per_second == 10.0


def test_a_device_that_appears_does_not_count_what_it_did_before() -> None:
    now = later(disks={"sda": (1002, 2000), "usb": (10**12, 0)})
    assert load_between(START, now).disk_read_per_second == 1.0


def test_what_the_system_does_not_tell_is_unknown_and_not_zero() -> None:
    bare = later(processors=None, memory=None, disk_space=None, disks={}, networks={}, processes={}, load_average=None)
    sample = load_between(START, bare)
    known = {name for name in LoadSample.__dataclass_fields__ if getattr(sample, name) is not None}
    assert known == {"monotonic", "at"}


def test_a_processor_that_went_away_leaves_no_percentages() -> None:
    assert load_between(START, later(processors=((11.0, 102.0),))).per_cpu is None


def test_own_share_adds_up_the_processes_and_counts_a_new_one_from_its_beginning() -> None:
    now = later(
        processes={
            (7, 1.0): ProcessReading(cpu_seconds=6.0, resident_bytes=60, threads=4, open_files=10),
            (8, 2.0): ProcessReading(cpu_seconds=2.0, resident_bytes=40, threads=1, open_files=5),
        }
    )
    sample = load_between(START, now)
    assert sample.own_cpu_percent == 150.0
    assert (sample.own_resident, sample.own_threads, sample.own_open_files) == (100, 5, 15)


def test_a_process_with_a_reused_id_is_another_process() -> None:
    now = later(processes={(7, 99.0): ProcessReading(cpu_seconds=1.0, resident_bytes=1, threads=1, open_files=1)})
    assert load_between(START, now).own_cpu_percent == 50.0


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    counters = read_counters(tmp_path)
    assert counters.memory is not None
    assert counters.memory.total == psutil.virtual_memory().total
    assert counters.processors is not None
    assert len(counters.processors) == psutil.cpu_count()
    assert any(pid == os.getpid() for pid, _ in counters.processes)
    assert not {"lo", "lo0"} & counters.networks.keys()
    sample = load_between(counters, read_counters(tmp_path))
    assert sample.own_resident is not None
    assert sample.own_resident > 1_000_000


def test_a_child_process_is_part_of_our_share(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert child.pid in {pid for pid, _ in read_counters(tmp_path).processes}
    finally:
        child.communicate(b"\n", timeout=LONG)
    assert child.pid not in {pid for pid, _ in read_counters(tmp_path).processes}


def test_a_folder_that_is_gone_only_hides_its_own_numbers(tmp_path: Path) -> None:
    counters = read_counters(tmp_path / "gone")
    assert counters.disk_space is None
    assert counters.memory is not None


def test_disk_counters_missing_as_in_a_container_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", lambda perdisk=False, nowrap=True: {} if perdisk else None)
    assert read_counters(tmp_path).disks == {}


class Readings:
    """A source of readings that counts how often it is asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, folder: Path) -> Counters:
        self.count += 1
        return replace(START, monotonic=100.0 + self.count, disks={"sda": (1000 * self.count, 0)})


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def sampler(tmp_path: Path, readings: Readings) -> Iterator[LoadSampler]:
    sampler = LoadSampler(tmp_path, interval=0.01, history=5, read=readings)
    yield sampler
    assert sampler.close(LONG)


def test_the_first_subscriber_gets_a_sample_without_waiting_for_the_interval(
    tmp_path: Path, readings: Readings
) -> None:
    slow = LoadSampler(tmp_path, interval=3600, read=readings)
    first, again = queue.Queue[LoadSample](), queue.Queue[LoadSample]()
    unsubscribe = slow.subscribe(first.put)
    assert first.get(timeout=LONG).cpu_percent is None
    unsubscribe()
    slow.subscribe(again.put)
    assert again.get(timeout=LONG).disk_read_per_second is None
    assert slow.close(LONG)
    assert readings.count == 2


def test_samples_follow_each_other_with_rates_and_the_history_is_bounded(sampler: LoadSampler) -> None:
    seen = queue.Queue[LoadSample]()
    sampler.subscribe(seen.put)
    samples = [seen.get(timeout=LONG) for _ in range(8)]
    assert samples[0].disk_read_per_second is None
    assert [sample.disk_read_per_second for sample in samples[1:]] == [1000.0] * 7
    history = sampler.history()
    assert len(history) == 5
    assert [sample.monotonic for sample in history] == sorted(sample.monotonic for sample in history)


def test_nothing_is_read_without_a_subscriber(sampler: LoadSampler, readings: Readings) -> None:
    assert readings.count == 0
    seen = queue.Queue[LoadSample]()
    unsubscribe = sampler.subscribe(seen.put)
    seen.get(timeout=LONG)
    unsubscribe()
    unsubscribe()
    count = readings.count
    threading.Event().wait(0.2)
    assert readings.count <= count + 1


def test_one_that_unsubscribes_hears_nothing_while_the_other_goes_on(sampler: LoadSampler) -> None:
    left, stays = queue.Queue[LoadSample](), queue.Queue[LoadSample]()
    unsubscribe = sampler.subscribe(left.put)
    sampler.subscribe(stays.put)
    stays.get(timeout=LONG)
    unsubscribe()
    stays.get(timeout=LONG)
    heard = left.qsize()
    for _ in range(3):
        stays.get(timeout=LONG)
    assert left.qsize() <= heard + 1


def test_a_callback_that_raises_is_logged_and_silences_nobody(
    sampler: LoadSampler, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(sample: LoadSample) -> None:
        raise ValueError("a broken pane")

    seen = queue.Queue[LoadSample]()
    with caplog.at_level(logging.ERROR):
        sampler.subscribe(faulty)
        sampler.subscribe(seen.put)
        for _ in range(3):
            seen.get(timeout=LONG)
    assert "a broken pane" in caplog.text


def test_a_reading_that_fails_does_not_end_the_samples(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = Readings()
    failures = iter([True, False, True])

    def sometimes(folder: Path) -> Counters:
        if next(failures, False):
            raise ValueError("a kernel nobody has seen")
        return good(folder)

    sampler = LoadSampler(tmp_path, interval=0.01, read=sometimes)
    seen = queue.Queue[LoadSample]()
    with caplog.at_level(logging.ERROR):
        sampler.subscribe(seen.put)
        for _ in range(3):
            seen.get(timeout=LONG)
    assert sampler.close(LONG)
    assert "a kernel nobody has seen" in caplog.text


def test_close_ends_the_thread_and_may_come_from_a_callback(tmp_path: Path, readings: Readings) -> None:
    sampler = LoadSampler(tmp_path, interval=0.01, read=readings)
    closed = threading.Event()

    def close_it(sample: LoadSample) -> None:
        sampler.close()
        closed.set()

    sampler.subscribe(close_it)
    assert closed.wait(LONG)
    assert sampler.close(LONG)
    heard = readings.count
    sampler.subscribe(close_it)
    assert readings.count == heard


def test_real_samples_reach_a_subscriber(tmp_path: Path) -> None:
    sampler = LoadSampler(tmp_path, interval=0.05)
    seen = queue.Queue[LoadSample]()
    sampler.subscribe(seen.put)
    samples = [seen.get(timeout=LONG) for _ in range(3)]
    assert sampler.close(LONG)
    percent = samples[-1].own_cpu_percent
    assert percent is not None
    assert percent >= 0
    assert samples[-1].memory_total == psutil.virtual_memory().total
