"""A workspace with key files of its own, and an empty one to import into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from tests.interchange.foreign import ADA


@pytest.fixture
def agentfs(tmp_path: Path) -> Iterator[AgentFS]:
    opened = _opened(tmp_path / "workspace", tmp_path / "keys")
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[AgentFS]:
    """A second workspace."""
    opened = _opened(tmp_path / "other", tmp_path / "other-keys")
    yield opened
    opened.close()


def _opened(root: Path, keys: Path) -> AgentFS:
    return AgentFS(root, None, ADA, replace(privacy_settings(root, user="ada"), key_files=keys))
