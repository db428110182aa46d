"""The document index against plain numpy, under filters, replacement, other models and many threads."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import numpy as np
import pytest
from indexing import MODEL, OTHER, digest_of, document, fill, open_index, vector_of

from core.errors import BailiwickError
from core.index.documents import DocumentIndex
from core.index.filters import normalise_name
from core.index.rows import IndexedDocument
from core.model import Filters

ODD_KEYS = ["plain", "a.b", 'quo"te', "$dollar", "*", "sl/ash", "til~de", "$.language", "ключ", "a b"]


def corpus() -> list[IndexedDocument]:
    return [
        document(
            f"d{number}",
            *(f"text {number} {part}" for part in range(5)),
            language=("python", "Rust")[number % 2],
            library=("alpha_one", "Beta.Two", "gamma")[number % 3],
            version=("1", "2", "")[number % 3],
            metadata={ODD_KEYS[number % len(ODD_KEYS)]: f"v{number % 4}"},
        )
        for number in range(24)
    ]


FILTERS = [
    Filters(),
    Filters(language="rust"),
    Filters(library="ALPHA-ONE"),
    Filters(library="beta_two", language="python"),
    Filters(version="2"),
    Filters(language="rust", library="gamma", version="1"),
    *(Filters(where=((key, "v1"),)) for key in ODD_KEYS),
    Filters(where=(("language", "Rust"), ("source", "/src/d3.py"))),
    Filters(where=(("no' OR 1=1 --", "x"),)),
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_exact_ranking_equals_numpy_under_any_filter(tmp_path: Path, filters: Filters) -> None:
    index = open_index(tmp_path)
    documents = corpus()
    index.apply(documents, [], 1)
    made = fill(index)
    query = vector_of("query")
    found, candidates = index.rank_exact(query, MODEL.key, filters, 10)
    rows = index.passages_by_slot([slot for slot, _ in found])
    expected = []
    for each in documents:
        content = each.content
        described = {
            **content.metadata,
            "language": content.language,
            "library": content.library,
            "version": content.version,
            "source": content.source,
        }
        matches = (
            (not filters.language or normalise_name(filters.language) == normalise_name(content.language))
            and (not filters.library or normalise_name(filters.library) == normalise_name(content.library))
            and (not filters.version or filters.version == content.version)
            and all(described.get(key) == value for key, value in filters.where)
        )
        if matches:
            expected += [
                (float(made[digest_of(passage.title, passage.text)] @ query), passage.title)
                for passage in content.passages
            ]
    expected.sort(reverse=True)
    assert candidates == len(expected)
    assert [rows[slot].title for slot, _ in found] == [title for _, title in expected[:10]]
    assert [similarity for _, similarity in found] == pytest.approx([score for score, _ in expected[:10]], abs=1e-5)
    ids = index.matching_document_ids(filters)
    assert sorted({title.partition(".")[0] for _, title in expected}) == sorted(ids)
    index.close()


def test_replacing_and_removing_leaves_exactly_what_is_there(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    first = index.apply([document("a", "one", "two"), document("b", "three")], [], 1)
    fill(index)
    second = index.apply([document("a", "two", "four")], ["b"], 2)
    slots = [passage.slot for passage in (*first.passages, *second.passages)]
    assert len(set(slots)) == len(slots)
    assert index.position == 2
    assert index.counts().passages == 2
    fill(index)
    found, candidates = index.rank_exact(vector_of("q"), MODEL.key, Filters(), 10)
    assert candidates == len(found) == 2
    assert {row.text for row in index.passages_by_slot([slot for slot, _ in found]).values()} == {"two", "four"}
    index.close()


def test_unchanged_text_keeps_its_vector_and_new_text_waits(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply([document("a", "one", "two")], [], 1)
    fill(index)
    applied = index.apply([document("a", "one", "changed")], [], 2)
    assert applied.reused == 1
    assert [each.text for each in index.pending(10)] == ["a.part1\nchanged"]
    assert index.counts().pending == 1
    index.close()


def test_pending_is_newest_first_and_each_text_once(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply([document("old", "one", "two")], [], 1)
    index.apply([document("new", "three")], [], 2)
    assert [each.text.partition("\n")[2] for each in index.pending(10)] == ["three", "two", "one"]
    twin = document("twin", "same")
    index.apply([twin, document("twin2", "x")], [], 3)
    texts = [each.text for each in index.pending(100)]
    assert len(texts) == len(set(texts))
    index.close()


def test_vectors_of_another_model_are_never_mixed(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply([document("a", "one")], [], 1)
    fill(index)
    index.use_model(OTHER)
    assert index.counts().pending == 1
    assert index.rank_exact(vector_of("q"), OTHER.key, Filters(), 5) == ([], 0)
    digest = digest_of("a.part0", "one")
    index.store_vectors(OTHER.key, {digest: vector_of("other")})
    assert index.rank_exact(vector_of("q"), MODEL.key, Filters(), 5) == ([], 0)
    found, _ = index.rank_exact(vector_of("other"), OTHER.key, Filters(), 5)
    assert found[0][1] == pytest.approx(1.0, abs=1e-5)
    index.close()


def document_vectors(folder: Path) -> dict[str, tuple[float, ...] | None]:
    with duckdb.connect(str(folder / "documents.duckdb"), read_only=True) as connection:
        return dict(connection.execute("SELECT id, embedding FROM documents").fetchall())


def test_a_documents_own_vector_follows_the_model(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply([document("whole", "one"), document("part", "two", "three")], [], 1)
    fill(index)
    other = vector_of("other")
    index.store_vectors(OTHER.key, {digest_of("whole.part0", "one"): other, digest_of("part.part0", "two"): other})
    index.use_model(OTHER)
    index.close()
    vectors = document_vectors(tmp_path)
    assert vectors["whole"] == pytest.approx(other, abs=1e-5)
    assert vectors["part"] is None


@pytest.mark.parametrize(
    "vector", [np.zeros(384, np.float32), np.full(384, np.nan, np.float32), np.ones(383, np.float32)]
)
def test_a_useless_vector_is_refused_and_nothing_of_the_batch_is_kept(tmp_path: Path, vector: object) -> None:
    index = open_index(tmp_path)
    index.apply([document("a", "one", "two")], [], 1)
    good, bad = digest_of("a.part0", "one"), digest_of("a.part1", "two")
    with pytest.raises(ValueError, match="vector 1"):
        index.store_vectors(MODEL.key, {good: vector_of("x"), bad: vector})  # type: ignore[dict-item]
    assert index.counts().pending == 2
    index.close()


def test_the_source_documents_hybrid_query_runs_on_real_rows(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply(
        [
            document("serve", "listen", "accept", language="rust", library="tokio"),
            document("other", "nothing", language="rust", library="serde"),
        ],
        [],
        1,
    )
    made = fill(index)
    index.close()
    mean = np.mean([made[digest_of(f"serve.part{n}", t)] for n, t in enumerate(("listen", "accept"))], axis=0)
    with duckdb.connect(str(tmp_path / "documents.duckdb")) as connection:
        rows = connection.execute(
            """
            SELECT id, title, metadata, array_cosine_similarity(embedding, ?::FLOAT[384]) as similarity
            FROM documents
            WHERE (metadata->>'language') = 'rust'
              AND (metadata->>'library') = 'tokio'
            ORDER BY similarity DESC
            LIMIT 10
            """,
            [mean.tolist()],
        ).fetchall()
        columns = {row[0] for row in connection.execute("DESCRIBE documents").fetchall()}
        norm = connection.execute(
            "SELECT sqrt(list_sum([x * x for x in embedding::FLOAT[]])) FROM documents"
        ).fetchone()
    assert [row[0] for row in rows] == ["serve"]
    assert rows[0][3] == pytest.approx(1.0, abs=1e-5)
    assert norm is not None
    assert norm[0] == pytest.approx(1.0, abs=1e-5)
    assert columns >= {
        *("id", "title", "content", "embedding", "metadata", "r2_location", "file_size_bytes", "checksum"),
        *("created_at", "access_count", "last_accessed"),
    }


def test_eight_threads_search_while_one_writes(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply([document("base", "always here")], [], 1)
    fill(index)
    failures: list[BaseException] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                found, _ = index.rank_exact(vector_of("q"), MODEL.key, Filters(library="lib"), 5)
                assert found
                index.passages_by_slot([slot for slot, _ in found])
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(15):
        index.apply([document(f"d{number % 4}", f"text {number}", "more")], [], number + 2)
        fill(index)
    done.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert index.counts().passages == 9
    index.close()


def test_a_closed_index_says_so(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.close()
    with pytest.raises(BailiwickError, match="closed"):
        index.counts()


def test_two_indexes_of_one_file_in_two_processes_are_refused(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from pathlib import Path; from core.index.documents import DocumentIndex;"
        "i = DocumentIndex(Path(sys.argv[1]), threads=1, memory_mb=256); print('open', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "documents.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(BailiwickError, match="held by"):
        DocumentIndex(path, threads=1, memory_mb=256)
    holder.stdin.close()
    holder.wait()
