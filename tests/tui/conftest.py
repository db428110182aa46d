"""What several tests of the dashboard share."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


@pytest.fixture
def universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have this process read clocks in UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
