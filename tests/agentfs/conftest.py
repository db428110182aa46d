"""A workspace's truth, opened anew for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.agentfs.agentfs import AgentFS


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    """An empty workspace with the policy as it is by itself."""
    opened = AgentFS(tmp_path)
    yield opened
    opened.close()
