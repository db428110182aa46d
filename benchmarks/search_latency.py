"""Search latency at 5,000 and 50,000 passages: the whole search, per mode and filter.

    uv run python benchmarks/search_latency.py

The texts are documentation of installed packages, repeated as needed; the vectors are random unit vectors, because
embedding 50,000 passages takes half an hour and the time of a search does not depend on what they mean.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from corpus import read_packages

from core.agentfs.database import now
from core.config import cache_folder
from core.index.corpus import Corpus
from core.index.documents import DocumentIndex
from core.index.embedder import Embedder
from core.index.model_files import resolve_model
from core.index.partition import Partition
from core.index.rows import IndexedDocument
from core.index.words import WordsIndex
from core.model import DocumentContent, Filters, SearchMode
from core.search.query import Query
from core.search.service import SearchService

PACKAGES = ("rich", "click", "psutil", "textual")
QUERIES = (
    "how to draw a progress bar",
    "current memory of a process",
    "register a command with options",
    "scroll a widget to a region",
    "parse markup into text",
)


def build(folder: Path, contents: list[DocumentContent], size: int, embedder: Embedder) -> SearchService:
    """An index of ``size`` passages."""
    index = DocumentIndex(folder / "documents.duckdb", threads=1, memory_mb=256)
    words = WordsIndex(folder / "words")
    model = embedder.load()
    index.use_model(model)
    generator = np.random.default_rng(1)
    count = number = 0
    while count < size:
        batch = []
        for _ in range(100):
            content = contents[number % len(contents)]
            copy = number // len(contents)
            passages = tuple(replace(each, text=f"{each.text}\n{copy}") for each in content.passages)
            renamed = replace(content, passages=passages, version=f"{content.version}.{copy}")
            batch.append(IndexedDocument(f"{number:08}", renamed, "libraries/x", 0, "", now()))
            count += len(passages)
            number += 1
        applied = index.apply(batch, [], number)
        words.apply(applied.passages, [], (applied.store_id, number))
        while pending := index.pending(2000):
            vectors = generator.standard_normal((len(pending), 384)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            hashes = [each.text_sha256 for each in pending]
            index.store_vectors(model.key, dict(zip(hashes, vectors, strict=True)))
    return SearchService(Corpus(Partition(index, words)), embedder, lambda: "")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    embedder = Embedder(lambda: resolve_model(cache_folder()), threads=1)
    embedder.load()
    contents = read_packages(PACKAGES)
    print("| passages | search | median ms | p95 ms | path |\n|---|---|---|---|---|")
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            service = build(Path(folder), contents, size, embedder)
            for label, mode, filters in (
                ("words", SearchMode.TEXT, Filters()),
                ("vectors", SearchMode.VECTOR, Filters()),
                ("both", SearchMode.HYBRID, Filters()),
                ("both, one library", SearchMode.HYBRID, Filters(library="rich")),
                ("both, where format=python", SearchMode.HYBRID, Filters(where=(("format", "python"),))),
            ):
                times, path = [], ""
                for number in range(arguments.runs):
                    query = Query(QUERIES[number % len(QUERIES)], filters, mode, 10)
                    started = time.perf_counter()
                    path = service.search(query).path
                    times.append((time.perf_counter() - started) * 1000)
                high = sorted(times)[int(len(times) * 0.95) - 1]
                print(f"| {size:,} | {label} | {statistics.median(times):.1f} | {high:.1f} | {path} |", flush=True)


if __name__ == "__main__":
    main()
