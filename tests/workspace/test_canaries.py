"""A secret that comes in through every door lies in plain in no file that Bailiwick writes, nor in what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engines import idle, opened, until

from core.agentfs.backup import write_backup
from core.events import Event
from core.model import SearchMode
from core.search.query import Query
from tests.agentfs.canaries import files_with, hand_in, new_canary
from tui.logs import start_logging


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BAILIWICK_HOME", raising=False)


def test_a_secret_lies_in_plain_nowhere(tmp_path: Path) -> None:
    canary, heard = new_canary(), list[Event]()
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "deploy.md").write_text(f"# Deploying the lighthouse\n\nRun it with `TOKEN={canary}`.\n")
    root = tmp_path / "w"
    with opened(root) as workspace:
        workspace.bus.subscribe(heard.append)
        start_logging(root)
        workspace.add_path(str(documents))
        said = hand_in(workspace, canary)
        idle(workspace)
        hits = workspace.search(Query("lighthouse", mode=SearchMode.TEXT)).hits
        assert [canary in hit.text for hit in hits] == [True]
        until(lambda: (root / "audit-head.json").exists(), "the signature")
        assert files_with(root, canary) == []
        write_backup(workspace.agentfs, tmp_path / "backup.tar.gz", by=workspace.person)
    subprocess.run(["tar", "xzf", "backup.tar.gz"], cwd=tmp_path, check=True)
    (documents / "deploy.md").unlink()
    assert files_with(tmp_path, canary) == []
    assert canary not in repr(heard)
    assert all(canary not in each for each in said)


def test_a_crash_says_nothing_of_it(tmp_path: Path) -> None:
    canary = new_canary()
    ended = subprocess.run(
        [sys.executable, "-m", "tui", "state", "put", "scout", f"key {canary}", f'{{"token": "{canary}"', "--json"],
        env={"PATH": "/usr/bin", "BAILIWICK_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert canary not in ended.stdout + ended.stderr
    assert files_with(tmp_path, canary) == []
