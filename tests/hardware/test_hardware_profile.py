"""The machine as detected, and its storage as measured."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.errors import InvalidInput, StorageFull, WorkspaceUnusable
from core.hardware.profile import GIBIBYTE, benchmark_storage_speed, detect_hardware_capabilities, measure_storage

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="files of the Linux kernel")


def limited(root: Path, cpu: str, memory: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "proc/self/mountinfo").write_text("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (root / "sys/fs/cgroup/cpu.max").write_text(cpu)
    (root / "sys/fs/cgroup/memory.max").write_text(memory)
    return root


def test_this_machine_is_described_within_what_it_physically_has() -> None:
    profile = detect_hardware_capabilities()
    assert 1 <= profile.cpu_cores <= (os.cpu_count() or 1)
    assert 0 < profile.available_memory_gb <= psutil.virtual_memory().total / GIBIBYTE
    assert profile.storage_speed_mbps is None
    assert profile.network_speed_mbps is None


def test_memory_without_a_limit_is_all_of_it_in_gibibytes(tmp_path: Path) -> None:
    expected = psutil.virtual_memory().total / GIBIBYTE
    assert detect_hardware_capabilities(tmp_path).available_memory_gb == pytest.approx(expected, rel=0.001)


def test_a_container_is_described_by_its_limits(tmp_path: Path) -> None:
    profile = detect_hardware_capabilities(limited(tmp_path, "10000 100000", "268435456"))
    assert profile.cpu_cores == 1
    assert profile.available_memory_gb == 0.25


def test_a_limit_above_the_machine_changes_nothing(tmp_path: Path) -> None:
    free = detect_hardware_capabilities(tmp_path / "nothing")
    assert detect_hardware_capabilities(limited(tmp_path, "99900000 100000", str(2**60))) == free


@linux_only
def test_a_quota_is_rounded_up_to_whole_processors(tmp_path: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    profile = detect_hardware_capabilities(limited(tmp_path, "110000 100000", "max"))
    assert profile.cpu_cores == min(2, allowed)


@linux_only
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("dev/nvidia0", "", True),
        ("dev/kfd", "", True),
        ("sys/class/drm/renderD128/device/vendor", "0x1002\n", True),
        ("sys/class/drm/renderD128/device/vendor", "0x1af4\n", False),
        ("sys/class/drm/card0/device/vendor", "0x10de\n", False),
    ],
)
def test_a_gpu_is_a_driver_device_or_a_render_node_of_a_known_maker(
    tmp_path: Path, name: str, content: str, expected: bool
) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(content)
    assert detect_hardware_capabilities(tmp_path).has_gpu is expected


def test_storage_is_measured_and_nothing_stays_behind(tmp_path: Path) -> None:
    unmeasured = detect_hardware_capabilities()
    measured = measure_storage(unmeasured, tmp_path, size_mb=2)
    assert measured.storage_speed_mbps is not None
    assert measured.storage_speed_mbps > 0
    assert measured.cpu_cores == unmeasured.cpu_cores
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_can_be_stopped_between_blocks(tmp_path: Path) -> None:
    answers = iter([False, False, True])
    assert benchmark_storage_speed(tmp_path, size_mb=64, should_stop=lambda: next(answers)) is None
    assert next(answers, "asked three times") == "asked three times"
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_measurement_leaves_the_profile_as_it_was(tmp_path: Path) -> None:
    profile = detect_hardware_capabilities()
    assert measure_storage(profile, tmp_path, should_stop=lambda: True) is profile


@pytest.fixture
def files_of_one_megabyte() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("files_of_one_megabyte")
def test_storage_that_fills_up_on_the_way_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match="no room"):
        benchmark_storage_speed(tmp_path, size_mb=3)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_the_room_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(StorageFull, match=str(tmp_path)):
        benchmark_storage_speed(tmp_path, size_mb=10**10)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceUnusable, match="No such file"):
        benchmark_storage_speed(tmp_path / "missing", size_mb=1)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(WorkspaceUnusable, match="cannot be measured"):
        benchmark_storage_speed(file, size_mb=1)


def test_a_measurement_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        benchmark_storage_speed(tmp_path, size_mb=0)
