"""An engine at work, and a folder of documents to give to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ingestion import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path / "workspace")
    made.ingester.start()
    yield made
    made.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "guide").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "tea"\nversion = "2.0"\n')
    (folder / "a.md").write_text("# Apple\n\nRed.\n")
    (folder / "guide" / "b.rst").write_text("Berry\n=====\n\nBlue.\n")
    (folder / "c.py").write_text('"""Cherry."""\n')
    return folder
