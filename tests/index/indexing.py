"""Documents and indexes for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.agentfs.database import now
from core.index.documents import DocumentIndex
from core.index.rows import IndexedDocument
from core.index.vectors import ModelIdentity, Vector
from core.index.writes import text_sha256
from core.model import DocumentContent, JSONValue, Passage

MODEL = ModelIdentity("test/model", 384, "0" * 64)
OTHER = ModelIdentity("test/other", 384, "1" * 64)


def document(
    name: str,
    *texts: str,
    language: str = "python",
    library: str = "lib",
    version: str = "1",
    metadata: dict[str, JSONValue] | None = None,
) -> IndexedDocument:
    """A document of one passage for each text."""
    passages = tuple(Passage(f"{name}.part{number}", (name,), text, number + 1) for number, text in enumerate(texts))
    content = DocumentContent(name, language, library, version, f"/src/{name}.py", passages, metadata or {})
    return IndexedDocument(name, content, f"libraries/{name}", 10, "c", now())


def open_index(folder: Path) -> DocumentIndex:
    """An index using the test's model."""
    index = DocumentIndex(folder / "documents.duckdb", threads=1, memory_mb=256)
    index.use_model(MODEL)
    return index


def digest_of(title: str, text: str) -> str:
    """The hash under which a passage's vector is kept."""
    return text_sha256(f"{title}\n{text}")


def vector_of(seed: object) -> Vector:
    """A unit vector that belongs to ``seed``."""
    generator = np.random.default_rng(abs(hash(str(seed))) % 2**32)
    vector: Vector = generator.standard_normal(384).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return vector


def fill(index: DocumentIndex) -> dict[str, Vector]:
    """Give every pending passage the vector that belongs to its hash; answers them."""
    made: dict[str, Vector] = {}
    while pending := index.pending(100):
        vectors = {each.text_sha256: vector_of(each.text_sha256) for each in pending}
        index.store_vectors(MODEL.key, vectors)
        made.update(vectors)
    return made
