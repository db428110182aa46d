"""What several rooms' tests share: the real embedding model, prepared once per machine."""

from __future__ import annotations

import pytest

from core.config import cache_folder
from core.index.embedder import Embedder
from core.index.model_files import ModelFiles, resolve_model


@pytest.fixture(scope="session")
def model_files() -> ModelFiles:
    """The files of the real model."""
    return resolve_model(cache_folder())


@pytest.fixture(scope="session")
def embedder(model_files: ModelFiles) -> Embedder:
    """The real model, loaded."""
    loaded = Embedder(lambda: model_files, threads=1)
    loaded.load()
    return loaded
