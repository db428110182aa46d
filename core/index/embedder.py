"""Turns texts into vectors with FastEmbed, in batches of like length."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from core.errors import ModelUnavailable
from core.index.model_files import ModelFiles
from core.index.vectors import ModelIdentity, Vector, Vectors, checked_vectors, normalised

if TYPE_CHECKING:
    from fastembed import TextEmbedding

TOKENS = 256
BATCH_TOKENS = 2048
LARGEST_BATCH = 32


class Embedder:
    """The embedding model. Safe from any thread: a query does not wait behind a batch of passages.

    ``resolve`` finds the model's files when they are first needed; it may take seconds.
    """

    def __init__(self, resolve: Callable[[], ModelFiles], threads: int) -> None:
        self._resolve = resolve
        self._threads = threads
        self._lock = threading.Lock()
        self._model: TextEmbedding | None = None
        self._identity: ModelIdentity | None = None
        self._failure: ModelUnavailable | None = None

    @property
    def identity(self) -> ModelIdentity | None:
        """Which model is loaded, if one is."""
        return self._identity

    def load(self) -> ModelIdentity:
        """Load the model unless it is; raises ModelUnavailable, again at once until ``retry``."""
        with self._lock:
            if self._identity is not None:
                return self._identity
            if self._failure is not None:
                raise self._failure
            try:
                files = self._resolve()
                self._model = self._open(files)
            except ModelUnavailable as failure:
                self._failure = failure
                raise
            self._identity = ModelIdentity(files.name, files.dimension, files.weights_sha256)
            return self._identity

    def retry(self) -> None:
        """Look for the model again at the next ``load``."""
        with self._lock:
            self._failure = None

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """The normalised vectors of ``texts`` in their order, shape (n, 384); each text is read to 256 tokens.

        Raises ModelUnavailable without a model, ValueError when a vector is zero or not finite.
        """
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        vectors: Vectors = np.zeros((len(texts), 384), np.float32)
        for batch in _batches(order, texts):
            vectors[batch] = self._embed([texts[number] for number in batch])
        return normalised(checked_vectors(vectors)) if len(texts) else vectors

    def embed_query(self, text: str) -> Vector:
        """The normalised vector of ``text``, shape (384,); raises as ``embed_passages``."""
        vector: Vector = normalised(checked_vectors(self._embed([text])))[0]
        return vector

    def _embed(self, texts: Sequence[str]) -> Vectors:
        if self._model is None:
            self.load()
        assert self._model is not None
        rows: Vectors = np.array(list(self._model.embed(texts, batch_size=len(texts))), np.float32)
        return rows

    def _open(self, files: ModelFiles) -> TextEmbedding:
        # Imported here: FastEmbed takes more than half a second.
        from fastembed import TextEmbedding

        try:
            model = TextEmbedding(
                files.name, specific_model_path=str(files.folder), threads=self._threads, **_SESSION_OPTIONS
            )
            # Its own configuration lets through 512 tokens; the model was trained with 256.
            cast("Any", model.model).tokenizer.enable_truncation(TOKENS)
        except Exception as error:  # noqa: BLE001 - onnxruntime raises classes of its own for whatever is wrong with a file
            raise ModelUnavailable(
                f"The embedding model in {files.folder} cannot be loaded ({type(error).__name__}).",
                "Delete that folder; `bailiwick doctor` looks again.",
            ) from None
        return model


_SESSION_OPTIONS: dict[str, Any] = {}


def _batches(order: Sequence[int], texts: Sequence[str]) -> list[list[int]]:
    """Cut ``order`` (short texts first) so that no batch pads to more than about 2,048 tokens."""
    batches: list[list[int]] = []
    current: list[int] = []
    for number in order:
        # Four characters are about one token; the longest of a batch is its last.
        tokens = min(TOKENS, len(texts[number]) // 4 + 2)
        if current and (len(current) >= LARGEST_BATCH or tokens * (len(current) + 1) > BATCH_TOKENS):
            batches.append(current)
            current = []
        current.append(number)
    return [*batches, current] if current else batches
