"""A workspace that hooks speak to, opened anew for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the client that these tests may run in."""
    for name in ("BAILIWICK_AGENT", "CLAUDE_PROJECT_DIR", "BAILIWICK_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    """An empty workspace of Ada's."""
    root = tmp_path / "w"
    opened = AgentFS(root, privacy=privacy_settings(root, user="ada"))
    yield opened
    opened.close()
