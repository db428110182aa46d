"""What a vector is here: 384 float32 components of one model, never zero, never mixed with another model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

DIMENSION = 384
SIGN_WORDS = DIMENSION // 64

Vector: TypeAlias = NDArray[np.float32]
"""One vector of shape (384,)."""
Vectors: TypeAlias = NDArray[np.float32]
"""Vectors as rows, of shape (n, 384)."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights made a vector; ``weights_sha256`` is hexadecimal."""

    name: str
    dimension: int
    weights_sha256: str

    @property
    def key(self) -> str:
        """What is stored beside every vector."""
        return f"{self.name.rsplit('/', 1)[-1]}-{self.dimension}-{self.weights_sha256[:16]}"

    @classmethod
    def of_key(cls, key: str) -> ModelIdentity:
        """An identity that has this key: its weights' hash is the beginning alone. Raises ValueError for no key."""
        name, dimension, weights = key.rsplit("-", 2)
        return cls(name, int(dimension), weights)


def checked_vectors(vectors: Sequence[Vector] | Vectors) -> Vectors:
    """The vectors as one float32 array of shape (n, 384).

    Raises:
        ValueError: one has another dimension, is zero or is not finite; it is named by its index.
    """
    for index, vector in enumerate(vectors):
        if np.shape(vector) != (DIMENSION,):
            raise ValueError(f"vector {index} has the shape {np.shape(vector)} instead of ({DIMENSION},)")
    array = np.asarray(vectors, dtype=np.float32).reshape(-1, DIMENSION)
    if (infinite := np.flatnonzero(~np.isfinite(array).all(axis=1))).size:
        raise ValueError(f"vector {infinite[0]} is not finite")
    if (zero := np.flatnonzero(~array.any(axis=1))).size:
        raise ValueError(f"vector {zero[0]} is zero")
    return array


def normalised(vectors: Vectors) -> Vectors:
    """Each row divided by its Euclidean length, which must not be zero."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Vectors = (vectors / lengths).astype(np.float32)
    return scaled


def sign_words(vectors: Vectors) -> NDArray[np.uint64]:
    """The sign sketch of each row, shape (n, 6): bit ``i % 64`` of word ``i // 64`` is 1 where component ``i`` > 0."""
    bits = np.packbits(vectors > 0, axis=1, bitorder="little")
    return np.ascontiguousarray(bits).view("<u8").astype(np.uint64)
