"""What several rooms' tests share: the real embedding model, prepared once per machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from core.config import cache_folder
from core.index.embedder import Embedder
from core.index.model_files import ModelFiles, resolve_model


@pytest.fixture(scope="session", autouse=True)
def own_config_folder() -> Iterator[None]:
    """Key files that tests make by sealing something lie in a folder of their own, not in the user's."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if "BAILIWICK_HOME" not in os.environ:
            patch.setenv("XDG_CONFIG_HOME", folder)
        yield


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
