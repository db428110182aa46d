"""Search over the plain and the sealed partition answers as one index with all their documents would."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.agentfs.database import now
from core.crypto.keys import Subkey
from core.crypto.secret import Secret
from core.index.corpus import Corpus
from core.index.documents import DocumentIndex
from core.index.embedder import Embedder
from core.index.partition import Partition
from core.index.rows import IndexedDocument
from core.index.sealed_partition import SealedPartition
from core.index.words import WordsIndex
from core.model import DocumentContent, Filters, Hit, Match, Passage, SearchMode
from core.search.query import Query
from core.search.service import SearchService

COMMON = ["the", "of", "with", "water", "and", "light", "for", "button", "turn", "hour"]
RARE = ["kettle", "lantern", "bicycle", "wheel", "trumpet"]
QUERIES = (
    "kettle",
    "turn the kettle",
    "the light of the lantern",
    "bicycle OR wheel",
    '"wheel trumpet"',
    "getTrumpetHour",
)


class Library:
    """The same documents twice: together in one index, and the sealed ones in a partition of their own."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        self._key = Subkey("1", Secret(bytes(range(32))))
        self.whole = Partition(*self._files(folder / "whole"))
        self.plain = Partition(*self._files(folder / "plain"))
        self.sealed = SealedPartition(
            folder, lambda: self._key, threads=1, memory_mb=128, announce=lambda sentence: None
        )
        self.opened = self.sealed.open()
        assert self.opened is not None

    def add(self, plain: Sequence[IndexedDocument], sealed: Sequence[IndexedDocument]) -> None:
        """Bring them in, with a vector for each text."""
        assert self.opened is not None
        for partition, documents in (
            (self.whole, [*plain, *sealed]),
            (self.plain, plain),
            (self.opened, sealed),
        ):
            partition.index.use_model(self._embedder.load())
            applied = partition.index.apply(documents, [], 1)
            partition.words.apply(applied.passages, [], (applied.store_id, 1))
            pending = partition.index.pending(10_000)
            vectors = {each.text_sha256: vector_of(each.text_sha256) for each in pending}
            partition.index.store_vectors(self._embedder.load().key, vectors)

    def answers(self, query: Query) -> tuple[tuple[Hit, ...], tuple[Hit, ...]]:
        """What one index finds, and what two partitions find."""
        one = SearchService(Corpus(self.whole), self._embedder, lambda: "")
        two = SearchService(Corpus(self.plain, self.sealed), self._embedder, lambda: "")
        assert two.search(query).notes == one.search(query).notes
        return one.search(query).hits, two.search(query).hits

    def close(self) -> None:
        self.sealed.close()
        for partition in (self.whole, self.plain):
            partition.words.close()
            partition.index.close()

    @staticmethod
    def _files(folder: Path) -> tuple[DocumentIndex, WordsIndex]:
        return DocumentIndex(folder / "d.duckdb", threads=1, memory_mb=128), WordsIndex(folder / "words")


def vector_of(digest: str) -> np.ndarray:
    vector = np.random.default_rng(int(digest[:8], 16)).standard_normal(384).astype(np.float32)
    normalised: np.ndarray = vector / np.linalg.norm(vector)
    return normalised


def document(name: str, *texts: str, library: str = "lib", version: str = "1") -> IndexedDocument:
    passages = tuple(Passage(f"{name}.part{number}", (name,), text, 1) for number, text in enumerate(texts))
    content = DocumentContent(name, "python", library, version, f"/{name}", passages, {})
    return IndexedDocument(name, content, name, 1, "", now())


@pytest.fixture
def library(tmp_path: Path, embedder: Embedder) -> Iterator[Library]:
    made = Library(tmp_path, embedder)
    yield made
    made.close()


def corpus(documents: int, seed: int) -> list[IndexedDocument]:
    """Texts of common words, in every third a rare one."""
    generator = random.Random(seed)

    def text(number: int) -> str:
        words = generator.choices(COMMON, k=24)
        if number % 3 == 0:
            words[generator.randrange(20)] = generator.choice(RARE)
        return " ".join(words)

    return [document(f"d{seed}x{number}", *(text(number + part) for part in range(3))) for number in range(documents)]


@pytest.mark.parametrize("mode", SearchMode)
def test_two_partitions_answer_as_one_index(library: Library, mode: SearchMode) -> None:
    library.add(corpus(40, 1), corpus(5, 2))
    for text in QUERIES:
        one, two = library.answers(Query(text, mode=mode, limit=8))
        if mode is SearchMode.VECTOR:
            assert two == one
        else:
            # Only the mean length of a text is of each partition alone, so near scores may change places.
            assert len(two) == len(one)
            assert {hit.id for hit in one[:4]} <= {hit.id for hit in two}


def test_slots_of_both_are_told_apart_and_filters_hold_in_both(library: Library) -> None:
    library.add(
        [
            document("plain", "kettle one", library="alpha", version="1"),
            document("other", "kettle two", library="beta"),
        ],
        [document("sealed", "kettle three", library="alpha", version="1.1"), document("own", "lamp", library="secret")],
    )
    found = {hit.document_id: hit for hit in library.answers(Query("kettle"))[1]}
    assert {name: hit.text for name, hit in found.items() if name != "own"} == {
        "plain": "kettle one",
        "other": "kettle two",
        "sealed": "kettle three",
    }
    for filters in (
        Filters(library="alpha"),
        Filters(library="secret"),
        Filters(library="alpha", version="1.1"),
        Filters(where=(("source", "/sealed"),)),
        Filters(library="nothing"),
    ):
        for mode in SearchMode:
            one, two = library.answers(Query("kettle", filters, mode))
            assert {hit.document_id for hit in two} == {hit.document_id for hit in one}
    exact = library.answers(Query("kettle", Filters(library="alpha", version="1.1")))[1]
    assert [(hit.document_id, hit.matched.version) for hit in exact] == [("sealed", Match.EXACT)]


def test_a_rare_word_is_as_rare_in_a_small_partition(library: Library) -> None:
    texts = [f"turn the {'button' if number % 20 == 0 else 'wheel'} of the lamp {number}" for number in range(120)]
    library.add(
        [document(f"p{number}", text) for number, text in enumerate(texts)],
        [document("sealed", "the trumpet lies on the shelf")],
    )
    for text in ("trumpet button", "turn the trumpet", "trumpet OR button"):
        one, two = library.answers(Query(text, mode=SearchMode.TEXT))
        assert (one[0].document_id, two[0].document_id) == ("sealed", "sealed")
        assert two[0].text_rank == 1


def test_scores_among_its_own_passages_are_its_own_scores(library: Library) -> None:
    library.add(corpus(12, 3), [])
    words = library.plain.words
    for text in (*QUERIES, "retry_with_kettle", "KETTLE Lantern's", "+kettle -lantern", "kettle AND ("):
        alone = words.search(text, Filters(), None, 50)
        among = words.search(text, Filters(), None, 50, among=words.term_counts(text))
        assert dict(among[0]) == pytest.approx(dict(alone[0]), rel=1e-4)
        assert among[1] == alone[1]


def test_a_document_that_is_on_its_way_from_one_to_the_other_is_shown_once(library: Library) -> None:
    library.add([document("moving", "kettle", "lamp")], [])
    library.add([], [document("moving", "kettle", "lamp")])
    hits = library.answers(Query("kettle lamp"))[1]
    assert sorted(hit.text for hit in hits) == ["kettle", "lamp"]
