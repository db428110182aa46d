"""How well search finds: query = a function's first docstring sentence, target = its passage without that sentence.

    uv run python benchmarks/retrieval.py [PACKAGE …]

Prints recall@10 and MRR for words, vectors and both. The packages must not have been used while tuning.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

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
from core.model import DocumentContent, Passage, SearchMode
from core.search.query import Query
from core.search.service import SearchService

PACKAGES = (
    "requests",
    "hypothesis",
    "huggingface-hub",
    "fsspec",
    "urllib3",
    "packaging",
    "filelock",
    "httpx",
    "jinja2",
)
SENTENCE = re.compile(r"(.+?[.!?])(?=\s|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence, and the document and symbol it was taken from."""

    text: str
    document: int
    title: str


def split(passage: Passage) -> tuple[str, str] | None:
    """The first docstring sentence of a function's passage and the text without it."""
    if not passage.text.startswith(("def ", "async def ")):
        return None
    signature, gap, docstring = passage.text.partition("\n\n")
    match = SENTENCE.match(docstring)
    if not gap or match is None:
        return None
    sentence = " ".join(match[1].split())
    if len(sentence.split()) < 5 or "```" in sentence:
        return None
    return sentence, f"{signature}\n\n{docstring[match.end() :].strip()}".rstrip()


def pose(contents: list[DocumentContent], count: int) -> tuple[list[Question], list[DocumentContent]]:
    """Choose ``count`` functions with sentences that occur once, and take the sentences out of their passages."""
    found = [
        (sentence, document, ordinal, rest)
        for document, content in enumerate(contents)
        for ordinal, passage in enumerate(content.passages)
        if (parts := split(passage)) is not None
        for sentence, rest in [parts]
    ]
    frequency = Counter(sentence for sentence, *_ in found)
    unique = [each for each in found if frequency[each[0]] == 1]
    chosen = random.Random(7).sample(unique, min(count, len(unique)))
    passages = [list(content.passages) for content in contents]
    for _, document, ordinal, rest in chosen:
        passages[document][ordinal] = replace(passages[document][ordinal], text=rest)
    changed = [replace(content, passages=tuple(each)) for content, each in zip(contents, passages, strict=True)]
    return [
        Question(sentence, document, contents[document].passages[ordinal].title)
        for sentence, document, ordinal, _ in chosen
    ], changed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="*", default=list(PACKAGES))
    parser.add_argument("--questions", type=int, default=400)
    arguments = parser.parse_args()
    questions, contents = pose(read_packages(arguments.packages), arguments.questions)
    passages = sum(len(content.passages) for content in contents)
    print(f"{len(questions)} questions among {passages:,} passages of {', '.join(arguments.packages)}")
    with tempfile.TemporaryDirectory() as folder:
        service = build(Path(folder), contents)
        print("\n| legs | recall@1 | recall@10 | MRR | median ms |\n|---|---|---|---|---|")
        for mode in (SearchMode.TEXT, SearchMode.VECTOR, SearchMode.HYBRID):
            print(measure(service, questions, mode))


def build(folder: Path, contents: list[DocumentContent]) -> SearchService:
    """Index ``contents`` with vectors."""
    index = DocumentIndex(folder / "documents.duckdb", threads=2, memory_mb=512)
    words = WordsIndex(folder / "words")
    documents = [
        IndexedDocument(f"{number:05}", content, "libraries/x", 0, "", now()) for number, content in enumerate(contents)
    ]
    for start in range(0, len(documents), 50):
        batch = documents[start : start + 50]
        applied = index.apply(batch, [], start + 1)
        words.apply(applied.passages, [], (applied.store_id, start + 1))
    embedder = Embedder(lambda: resolve_model(cache_folder()), threads=2)
    model = embedder.load()
    index.use_model(model)
    while pending := index.pending(512):
        vectors = embedder.embed_passages([each.text for each in pending])
        hashes = [each.text_sha256 for each in pending]
        index.store_vectors(model.key, dict(zip(hashes, vectors, strict=True)))
    return SearchService(Corpus(Partition(index, words)), embedder, lambda: "")


def measure(service: SearchService, questions: list[Question], mode: SearchMode) -> str:
    """One row of the table."""
    first = ten = 0
    reciprocal = 0.0
    times = []
    for question in questions:
        started = time.perf_counter()
        answer = service.search(Query(question.text, mode=mode, limit=10))
        times.append((time.perf_counter() - started) * 1000)
        wanted = (f"{question.document:05}", question.title)
        ranked = enumerate(answer.hits, start=1)
        rank = next((number for number, hit in ranked if (hit.document_id, hit.title) == wanted), 0)
        first += rank == 1
        ten += rank > 0
        reciprocal += 1 / rank if rank else 0
    count = len(questions)
    middle = sorted(times)[count // 2]
    return f"| {mode} | {first / count:.3f} | {ten / count:.3f} | {reciprocal / count:.3f} | {middle:.1f} |"


if __name__ == "__main__":
    main()
