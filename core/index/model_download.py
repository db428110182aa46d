"""FastEmbed's own download of the model, in a process of its own.

There its progress bars and log lines reach no terminal, it can be stopped, and the hub's short time limits, which are
read once at import, concern nobody else. Run as ``python -m core.index.model_download CACHE``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from core.errors import ModelUnavailable

_REACHED = "reached"
_REACH_SECONDS = 10
_DOWNLOAD_SECONDS = 1800
_HUB_LIMITS = {"HF_HUB_ETAG_TIMEOUT": "4", "HF_HUB_DOWNLOAD_TIMEOUT": "15", "HF_HUB_DISABLE_TELEMETRY": "1"}
_OFFLINE = {"1", "TRUE", "YES", "ON"}


def download(target: Path, hint: str) -> None:
    """Let FastEmbed download the model into the cache ``target``; an offline machine learns it within ten seconds.

    Raises:
        ModelUnavailable: the hub cannot be reached, or ``HF_HUB_OFFLINE`` forbids it; ``hint`` says what else to do.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in _OFFLINE:
        raise ModelUnavailable("There is no embedding model here, and HF_HUB_OFFLINE forbids to download it.", hint)
    process = subprocess.Popen(
        [sys.executable, "-m", "core.index.model_download", str(target)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**_HUB_LIMITS, **os.environ},
    )
    assert process.stdout is not None
    with process, process.stdout:
        limit = threading.Timer(_REACH_SECONDS, process.kill)
        limit.start()
        reached = process.stdout.readline().strip() == _REACHED
        limit.cancel()
        if not reached:
            process.kill()
            raise ModelUnavailable("The embedding model cannot be downloaded: its hub does not answer.", hint)
        try:
            code = process.wait(_DOWNLOAD_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
    if code != 0:
        raise ModelUnavailable("The download of the embedding model broke off.", "Try again; it resumes.")


def _run(cache: str) -> None:
    from fastembed.text.pooled_normalized_embedding import PooledNormalizedEmbedding
    from huggingface_hub import constants, model_info

    from core.index.model_files import MODEL_NAME

    description = PooledNormalizedEmbedding._get_model_description(MODEL_NAME)
    model_info(str(description.sources.hf), timeout=constants.HF_HUB_ETAG_TIMEOUT)
    sys.stdout.write(f"{_REACHED}\n")
    sys.stdout.flush()
    PooledNormalizedEmbedding.download_model(description, cache, retries=2)


if __name__ == "__main__":
    _run(sys.argv[1])
