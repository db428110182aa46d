"""The real model: equal to FastEmbed's own answers, independent of batches; vectors kept and found again."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from indexing import vector_of

from core.errors import ModelUnavailable
from core.index.embedder import Embedder
from core.index.model_files import ModelFiles, ModelOrigin
from core.index.vector_cache import VectorCache

TEXTS = [
    "How to boil water in a kettle.",
    "def boil(water: float) -> None\n\nBoils the water.",
    "x",
    "A bicycle has two wheels. " * 30,
    "A lamp shines. " * 7,
    "The kettle heats water until it boils.",
]


def test_vectors_equal_fastembeds_own(embedder: Embedder, model_files: ModelFiles) -> None:
    from fastembed import TextEmbedding

    bare = TextEmbedding(model_files.name, specific_model_path=str(model_files.folder), threads=1)
    bare.model.tokenizer.enable_truncation(256)  # type: ignore[attr-defined]
    expected = np.array([next(iter(bare.embed([text]))) for text in TEXTS])
    assert np.abs(embedder.embed_passages(TEXTS) - expected).max() < 1e-4


def test_vectors_do_not_depend_on_order_or_company(embedder: Embedder) -> None:
    together = embedder.embed_passages(TEXTS)
    turned = embedder.embed_passages(TEXTS[::-1])[::-1]
    assert np.abs(together - turned).max() < 1e-4
    assert np.abs(embedder.embed_query(TEXTS[0]) - together[0]).max() < 1e-4
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    assert embedder.embed_passages([]).shape == (0, 384)


def test_near_in_meaning_is_near_in_space(embedder: Embedder) -> None:
    vectors = embedder.embed_passages(TEXTS)
    similarity = vectors @ vectors[0]
    assert similarity[5] > 0.7
    assert similarity[5] > max(similarity[3], similarity[4])


def test_a_text_is_read_to_256_tokens(embedder: Embedder) -> None:
    long = "water " * 254
    assert np.abs(embedder.embed_query(long + "kettle " * 500) - embedder.embed_query(long)).max() < 1e-5
    short = "water " * 100
    assert np.abs(embedder.embed_query(short + "kettle " * 50) - embedder.embed_query(short)).max() > 1e-3


def test_a_query_is_answered_during_a_batch(embedder: Embedder) -> None:
    answered = threading.Event()
    expected = embedder.embed_query("kettle")

    def work() -> None:
        embedder.embed_passages(["some words about kettles and lamps " * 20] * 96)

    batch = threading.Thread(target=work)
    batch.start()
    while batch.is_alive():
        assert np.abs(embedder.embed_query("kettle") - expected).max() < 1e-5
        answered.set()
    batch.join()
    assert answered.is_set()


def test_a_missing_model_is_remembered_until_retried() -> None:
    calls = []

    def resolve() -> ModelFiles:
        calls.append(1)
        raise ModelUnavailable("There is no model.", "Install one.")

    embedder = Embedder(resolve, threads=1)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="no model"):
            embedder.load()
    assert len(calls) == 1
    embedder.retry()
    with pytest.raises(ModelUnavailable):
        embedder.embed_query("x")
    assert len(calls) == 2


def test_an_unusable_model_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    files = ModelFiles(tmp_path, "sentence-transformers/all-MiniLM-L6-v2", 384, "0" * 64, ModelOrigin.FOLDER)
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        Embedder(lambda: files, threads=1).load()


def test_kept_vectors_are_found_by_model_and_text(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path / "vectors.db")
    cache.put_many("m", {"a": vector_of("a"), "b": vector_of("b")})
    found = cache.get_many("m", ["a", "b", "c"])
    assert set(found) == {"a", "b"}
    assert np.array_equal(found["a"], vector_of("a"))
    assert cache.get_many("other", ["a"]) == {}
    with pytest.raises(ValueError, match="zero"):
        cache.put_many("m", {"z": np.zeros(384, np.float32)})
    cache.close()
    again = VectorCache(tmp_path / "vectors.db")
    assert set(again.get_many("m", ["a", "b"])) == {"a", "b"}
    again.close()


def test_a_damaged_cache_is_started_anew(tmp_path: Path) -> None:
    (tmp_path / "vectors.db").write_bytes(b"garbage" * 5000)
    cache = VectorCache(tmp_path / "vectors.db")
    assert cache.get_many("m", ["a"]) == {}
    cache.put_many("m", {"a": vector_of("a")})
    assert set(cache.get_many("m", ["a"])) == {"a"}
    cache.close()
