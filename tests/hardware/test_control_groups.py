"""Control-group trees as kernels and containers show them, and what they allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.hardware.cgroup import ControlGroupLimits, control_group_limits


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
)


def test_version_2_takes_the_tightest_limit_on_the_way_up(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "/proc/self/cgroup": "0::/user.slice/job.scope\n",
            "/proc/self/mountinfo": V2_MOUNT,
            "/sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000\n",
            "/sys/fs/cgroup/user.slice/job.scope/memory.max": "4294967296\n",
            "/sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
            "/sys/fs/cgroup/user.slice/memory.max": "8589934592\n",
        },
    )
    assert control_group_limits(root) == ControlGroupLimits(cpus=1.5, memory_bytes=4294967296)


def test_version_1_reads_quota_over_period_and_ignores_its_unlimited_values(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "/proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/\n",
            "/proc/self/mountinfo": V1_MOUNTS,
            "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n",
            "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "1073741824\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert control_group_limits(root) == ControlGroupLimits(cpus=2.5, memory_bytes=1073741824)


@pytest.mark.parametrize("membership", ["0::/docker/abc\n", "0::/elsewhere\n", "0::/docker/abc/../other\n"])
def test_a_container_that_sees_only_its_own_group_reads_it_at_the_mount_point(tmp_path: Path, membership: str) -> None:
    root = write(
        tmp_path,
        {
            "/proc/self/cgroup": membership,
            "/proc/self/mountinfo": V2_MOUNT.replace(" / /sys", " /docker/abc /sys"),
            "/sys/fs/cgroup/cpu.max": "50000 100000\n",
            "/sys/fs/cgroup/memory.max": "max\n",
        },
    )
    assert control_group_limits(root) == ControlGroupLimits(cpus=0.5, memory_bytes=None)


def test_a_mount_point_with_a_space_is_found(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "/proc/self/cgroup": "0::/\n",
            "/proc/self/mountinfo": V2_MOUNT.replace("/sys/fs/cgroup", "/sys/my\\040groups"),
            "/sys/my groups/memory.max": "77\n",
        },
    )
    assert control_group_limits(root).memory_bytes == 77


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert control_group_limits(tmp_path) == ControlGroupLimits(None, None)


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60), st.text(max_size=80), st.text(max_size=20), st.sampled_from(["", "0::/a\n"]), st.booleans()
)
def test_no_text_in_these_files_raises(
    tmp_path_factory: pytest.TempPathFactory, groups: str, mounts: str, value: str, known: str, mounted: bool
) -> None:
    root = tmp_path_factory.mktemp("root")
    for name, text in {
        "proc/self/cgroup": known + groups,
        "proc/self/mountinfo": (V2_MOUNT if mounted else "") + mounts,
        "sys/fs/cgroup/a/cpu.max": value,
        "sys/fs/cgroup/a/memory.max": value,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    limits = control_group_limits(root)
    assert limits.cpus is None or limits.cpus > 0
    assert limits.memory_bytes is None or limits.memory_bytes >= 0
