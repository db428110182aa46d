"""The ONNX model built once from published weights, and checked every time it is used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from core.errors import BailiwickError, ModelUnavailable, StorageFull
from core.index.storage_errors import is_full

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS_FILE = "model.safetensors"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_FILES = (TOKENIZER_FILE, "tokenizer_config.json", "config.json", "special_tokens_map.json")

_MANIFEST = "model.onnx.sha256"
_BUILD_SECONDS = 300
_CHUNK = 1 << 20


def file_sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file, read in pieces that never hold the interpreter lock for long."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def build_folder(cache_dir: Path) -> Path:
    """Where the built model is kept under ``cache_dir``."""
    return cache_dir / "models" / f"all-MiniLM-L6-v2-{WEIGHTS_SHA256[:8]}"


def intact_build(cache_dir: Path) -> Path | None:
    """The folder of the built model if it is complete and its model file has the recorded hash, else ``None``."""
    folder = build_folder(cache_dir)
    try:
        recorded = (folder / _MANIFEST).read_text("ascii").strip()
        complete = all((folder / name).is_file() for name in TOKENIZER_FILES)
        return folder if complete and file_sha256(folder / MODEL_FILE) == recorded else None
    except (OSError, UnicodeDecodeError):
        return None


def build(weights: Path, cache_dir: Path, hint: str, say: Callable[[str], None]) -> Path:
    """Build the model from ``weights`` (its tokenizer files beside it) and answer its folder.

    The folder appears whole or not at all; of two processes that build at once, both end with an intact folder.
    ``hint`` is what to do when the weights are damaged.

    Raises:
        ModelUnavailable: the weights are damaged, or building failed.
        StorageFull: there is no room under ``cache_dir``.
    """
    _check_weights(weights, hint)
    say("Preparing the embedding model from its published weights; this is done once.")
    folder = build_folder(cache_dir)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            fresh = Path(scratch) / folder.name
            fresh.mkdir()
            for name in TOKENIZER_FILES:
                shutil.copyfile(weights.parent / name, fresh / name)
            _write_onnx(weights, fresh / MODEL_FILE, hint)
            (fresh / _MANIFEST).write_text(file_sha256(fresh / MODEL_FILE) + "\n", "ascii")
            _put_in_place(fresh, folder, Path(scratch) / "replaced", cache_dir)
    except OSError as error:
        if is_full(error):
            raise StorageFull(
                f"The disk of {cache_dir} is full; the embedding model needs 90 MB there.", "Free some space."
            ) from error
        raise ModelUnavailable(
            f"The embedding model cannot be kept in {folder.parent}: {error.strerror}.", "Check its permissions."
        ) from error
    return folder


def _check_weights(weights: Path, hint: str) -> None:
    try:
        digest = file_sha256(weights)
    except OSError as error:
        raise ModelUnavailable(f"The model file {weights} cannot be read: {error.strerror}.", hint) from error
    if digest != WEIGHTS_SHA256:
        raise ModelUnavailable(
            f"The model file {weights} is damaged: its SHA-256 begins with {digest[:12]}"
            f" instead of {WEIGHTS_SHA256[:12]}.",
            hint,
        )


def _write_onnx(weights: Path, target: Path, hint: str) -> None:
    command = [sys.executable, "-m", "core.index.minilm_graph", str(weights), str(target)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailable("Preparing the embedding model took too long and was stopped.", "Try again.") from error
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        if last and is_full(last[0]):
            raise StorageFull(f"The disk of {target.parent} is full; the embedding model needs 90 MB.", "Free space.")
        raise ModelUnavailable("The embedding model could not be built from its weights.", hint)


def _put_in_place(fresh: Path, folder: Path, replaced: Path, cache_dir: Path) -> None:
    """Rename ``fresh`` to ``folder``; what stands there stays if another process made it intact, else goes."""
    for _ in range(3):
        try:
            os.replace(fresh, folder)
            return
        except OSError as error:
            if is_full(error) or not folder.exists():
                raise
        if intact_build(cache_dir) is not None:
            return
        with contextlib.suppress(FileNotFoundError):
            os.replace(folder, replaced)
    raise BailiwickError(f"The model folder {folder} cannot be replaced.", f"Delete {folder} and start again.")
