"""The cache of a workspace: built by its limits, kept up by its engine, looked at by the doctor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.agentfs.backup import restore_backup, write_backup
from core.cache.bounds import SMALL
from core.cache.status import Tier
from core.config import load_settings
from core.diagnosis import Verdict, examine
from core.engine import Duties
from core.ids import sha256_hex
from core.workspace import Workspace


def opened(root: Path, duties: Duties | None = None) -> Workspace:
    return Workspace(root, load_settings(root), role="a test", duties=duties)


def comes_true(reached: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_workspace_bounds_its_cache_by_limits_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(tmp_path / "w")
    assert workspace.cache.bounds.memory == workspace.hardware.limits.cache_size_mb * 2**20
    workspace.close()
    monkeypatch.setenv("BAILIWICK_CACHE_MEMORY_MB", "3")
    monkeypatch.setenv("BAILIWICK_CACHE_FILES_MB", "7")
    workspace = opened(tmp_path / "w")
    assert (workspace.cache.bounds.memory, workspace.cache.bounds.files) == (3 * 2**20, 7 * 2**20)
    assert not (tmp_path / "w" / "cache").exists(), "an unused cache makes nothing"
    workspace.close()


def test_the_engine_writes_what_reading_left_to_be_written(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w", Duties.ALL)
    workspace.cache.put("x", b"value")
    workspace.cache.get("x")
    other = opened(tmp_path / "w")
    assert comes_true(lambda: other.cache.status()[Tier.MEMORY].hits == 1)
    other.close()
    workspace.close()


def test_the_doctor_names_damaged_entries_once(tmp_path: Path) -> None:
    root = tmp_path / "w"
    workspace = opened(root)

    def finding() -> tuple[Verdict, str]:
        return next((each.verdict, each.sentence) for each in examine(workspace) if each.check == "cache")

    assert finding() == (Verdict.GOOD, "Nothing of a remote is kept in the cache.")
    value = b"x" * (SMALL + 1)
    workspace.cache.put("x", value)
    workspace.cache.put("y", b"y")
    assert finding()[0] is Verdict.GOOD
    (root / "cache" / sha256_hex(value)[:2] / sha256_hex(value)).write_bytes(b"damage")
    assert finding() == (Verdict.DAMAGED, "1 of 2 kept copies of what the remote holds were damaged.")
    assert finding()[0] is Verdict.GOOD
    workspace.close()


def test_a_backup_leaves_out_what_can_be_read_again(tmp_path: Path) -> None:
    workspace = opened(tmp_path / "w")
    values = {str(number): f"canary {number} ".encode() * 3_000 for number in range(20)}
    bare = write_backup(workspace.agentfs, tmp_path / "bare", by=workspace.person).manifest.size
    workspace.cache.put_many(values)
    full = write_backup(workspace.agentfs, tmp_path / "full", by=workspace.person).manifest.size
    assert full < bare + 100_000
    assert workspace.cache.get("3") == values["3"]
    workspace.close()
    restore_backup(tmp_path / "full", tmp_path / "again", by=workspace.person)
    again = opened(tmp_path / "again")
    assert again.cache.get("3") is None
    assert again.cache.status()[Tier.RECENT].size == 0
    assert again.cache.put("3", values["3"])
    again.close()
