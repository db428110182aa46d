"""The two writes of the document index, each inside a transaction of the caller: documents come, vectors come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from core.index.filters import normalise_name
from core.index.rows import IndexedDocument, WordsPassage
from core.index.vectors import DIMENSION, SIGN_WORDS, Vector, Vectors, checked_vectors, normalised, sign_words
from core.model import JSONValue

_VECTOR_TYPE = pa.list_(pa.float32(), DIMENSION)
_SIGN_NAMES = [f"s{word}" for word in range(SIGN_WORDS)]
# Above about forty values DuckDB stops using the index of an IN list and scans instead.
_SLOTS_PER_QUERY = 32

_INSERT_DOCUMENTS = """
INSERT INTO documents BY NAME
SELECT * REPLACE (CAST(metadata AS JSON) AS metadata) FROM fresh_documents
"""
_INSERT_PASSAGES = "INSERT INTO passages BY NAME SELECT * FROM fresh_passages"
_DELETE_PASSAGES = "DELETE FROM passages WHERE document_id IN (SELECT id FROM gone)"
_DELETE_DOCUMENTS = "DELETE FROM documents WHERE id IN (SELECT id FROM gone)"
_KNOWN_SLOTS = """
SELECT max(slot) FROM passages
WHERE model_key = ? AND text_sha256 IN (SELECT text_sha256 FROM fresh_hashes) GROUP BY text_sha256
"""
_USAGE = "SELECT id, access_count, last_accessed FROM documents WHERE id IN (SELECT id FROM gone)"
_WANTED_SLOTS = """
SELECT slot, document_id, text_sha256 FROM passages
WHERE text_sha256 IN (SELECT text_sha256 FROM fresh_hashes) AND model_key IS DISTINCT FROM ?
"""
_STORE_VECTORS = """
UPDATE passages SET model_key = ?, embedding = v.embedding,
    s0 = v.s0, s1 = v.s1, s2 = v.s2, s3 = v.s3, s4 = v.s4, s5 = v.s5
FROM fresh_vectors v WHERE passages.slot = v.slot
"""
_COMPLETE_SLOTS = """
SELECT document_id, list(slot) FROM passages WHERE document_id IN (SELECT id FROM touched)
GROUP BY document_id HAVING count(*) = count(*) FILTER (model_key = ?)
"""
_VECTOR_DOCUMENTS = "SELECT DISTINCT document_id FROM passages WHERE model_key = ?"
_STORE_DOCUMENT_VECTORS = "UPDATE documents SET embedding = v.embedding FROM fresh_means v WHERE documents.id = v.id"


def text_sha256(text: str) -> str:
    """The hexadecimal hash under which a passage's vector is found again."""
    return hashlib.sha256(text.encode()).hexdigest()


def utc_naive(moment: datetime) -> datetime:
    """A moment as DuckDB's TIMESTAMP holds it: UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def replace_documents(
    connection: duckdb.DuckDBPyConnection,
    documents: Sequence[IndexedDocument],
    removed: Sequence[str],
    first_slot: int,
    model_key: str,
) -> tuple[list[WordsPassage], int]:
    """Put ``documents`` in place of what they were, their passages at new slots from ``first_slot``; drop ``removed``.

    A passage whose text already has a vector of ``model_key`` keeps it. Answers the new passages and how many
    kept one.
    """
    passages = _passage_columns(documents, first_slot)
    known = _known_vectors(connection, passages["text_sha256"], model_key) if model_key else {}
    _register(connection, "gone", {"id": [document.id for document in documents] + list(removed)})
    usage = {key: (count, last) for key, count, last in connection.execute(_USAGE).fetchall()}
    connection.execute(_DELETE_PASSAGES)
    connection.execute(_DELETE_DOCUMENTS)
    if documents:
        connection.register("fresh_documents", _document_table(documents, usage))
        connection.execute(_INSERT_DOCUMENTS)
    if passages["slot"]:
        connection.register("fresh_passages", _passage_table(passages, known, model_key))
        connection.execute(_INSERT_PASSAGES)
    if known:
        _complete_documents(connection, [document.id for document in documents], model_key)
    reused = sum(digest in known for digest in passages["text_sha256"])
    names = ("slot", "document_id", "title", "text", "language_key", "library_key", "version")
    return [WordsPassage(*values) for values in zip(*(passages[name] for name in names), strict=True)], reused


def store_vectors(connection: duckdb.DuckDBPyConnection, model_key: str, vectors: Mapping[str, Vector]) -> int:
    """Give every passage whose text has one of the hashes its vector; answers how many passages that were.

    Raises:
        ValueError: a vector has another dimension, is zero or is not finite.
    """
    digests = list(vectors)
    array = checked_vectors(list(vectors.values()))
    row_of = {digest: row for row, digest in enumerate(digests)}
    _register(connection, "fresh_hashes", {"text_sha256": digests})
    wanted = connection.execute(_WANTED_SLOTS, [model_key]).fetchall()
    if not wanted:
        return 0
    chosen = array[[row_of[digest] for _, _, digest in wanted]]
    columns = {"slot": pa.array([slot for slot, _, _ in wanted], pa.int64()), **_vector_columns(chosen)}
    connection.register("fresh_vectors", pa.table(columns))
    connection.execute(_STORE_VECTORS, [model_key])
    _complete_documents(connection, sorted({document_id for _, document_id, _ in wanted}), model_key)
    return len(wanted)


def renew_document_vectors(connection: duckdb.DuckDBPyConnection, model_key: str) -> None:
    """Give documents complete under ``model_key`` its vector, and take from all others that of another model."""
    connection.execute("UPDATE documents SET embedding = NULL WHERE embedding IS NOT NULL")
    _complete_documents(
        connection, [row[0] for row in connection.execute(_VECTOR_DOCUMENTS, [model_key]).fetchall()], model_key
    )


def select_by_slots(connection: duckdb.DuckDBPyConnection, statement: str, slots: Sequence[int]) -> pa.Table:
    """Run ``statement``, which ends in ``slot IN``, for all ``slots`` through their index."""
    tables = []
    for start in range(0, len(slots), _SLOTS_PER_QUERY):
        part = slots[start : start + _SLOTS_PER_QUERY]
        marks = ", ".join("?" * len(part))
        tables.append(connection.execute(f"{statement} ({marks})", list(part)).to_arrow_table())
    return pa.concat_tables(tables)


def vectors_of(table: pa.Table, name: str) -> Vectors:
    """A column of vectors as an array of shape (n, 384)."""
    flat = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    array: Vectors = flat.reshape(-1, DIMENSION)
    return array


def _register(connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, Sequence[str]]) -> None:
    connection.register(name, pa.table({key: pa.array(values, pa.string()) for key, values in columns.items()}))


def _known_vectors(connection: duckdb.DuckDBPyConnection, digests: Sequence[str], model_key: str) -> dict[str, Vector]:
    _register(connection, "fresh_hashes", {"text_sha256": digests})
    slots = [slot for (slot,) in connection.execute(_KNOWN_SLOTS, [model_key]).fetchall()]
    if not slots:
        return {}
    table = select_by_slots(connection, "SELECT text_sha256, embedding FROM passages WHERE slot IN", slots)
    return dict(zip(table["text_sha256"].to_pylist(), vectors_of(table, "embedding"), strict=True))


def _complete_documents(connection: duckdb.DuckDBPyConnection, touched: Sequence[str], model_key: str) -> None:
    """Give documents all of whose passages have a vector their own: the normalised mean."""
    _register(connection, "touched", {"id": touched})
    ids, means = [], []
    for document_id, slots in connection.execute(_COMPLETE_SLOTS, [model_key]).fetchall():
        table = select_by_slots(connection, "SELECT embedding FROM passages WHERE slot IN", slots)
        mean = normalised(vectors_of(table, "embedding")).mean(axis=0, dtype=np.float64)
        # Opposite passages cancel out; such a document has no direction of its own.
        if np.linalg.norm(mean) > 1e-6:
            ids.append(document_id)
            means.append(mean)
    if ids:
        columns = {"id": pa.array(ids, pa.string()), "embedding": vector_array(normalised(np.array(means)))}
        connection.register("fresh_means", pa.table(columns))
        connection.execute(_STORE_DOCUMENT_VECTORS)


def vector_array(vectors: Vectors) -> pa.Array:
    """Vectors as the Arrow column that DuckDB takes for FLOAT[384]."""
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), DIMENSION)


def _vector_columns(vectors: Vectors) -> dict[str, pa.Array]:
    signs = sign_words(vectors)
    columns = {name: pa.array(signs[:, word].copy(), pa.uint64()) for word, name in enumerate(_SIGN_NAMES)}
    return {"embedding": vector_array(vectors), **columns}


def _passage_columns(documents: Sequence[IndexedDocument], first_slot: int) -> dict[str, list[Any]]:
    names = ("slot", "document_id", "ordinal", "title", "heading_path", "text", "line", "text_sha256")
    origin = ("language", "library", "version", "language_key", "library_key")
    columns: dict[str, list[Any]] = {name: [] for name in (*names, *origin)}
    slot = first_slot
    for document in documents:
        content = document.content
        keys = (normalise_name(content.language), normalise_name(content.library))
        for ordinal, passage in enumerate(content.passages):
            values = (
                slot,
                document.id,
                ordinal,
                passage.title,
                list(passage.heading_path),
                passage.text,
                passage.line,
                text_sha256(passage.embedding_text),
                content.language,
                content.library,
                content.version,
                *keys,
            )
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
            slot += 1
    return columns


def _passage_table(columns: Mapping[str, list[Any]], known: Mapping[str, Vector], model_key: str) -> pa.Table:
    types = {"slot": pa.int64(), "ordinal": pa.int32(), "line": pa.int32(), "heading_path": pa.list_(pa.string())}
    arrays = {name: pa.array(values, types.get(name, pa.string())) for name, values in columns.items()}
    digests = columns["text_sha256"]
    found = [known.get(digest) for digest in digests]
    arrays["model_key"] = pa.array([model_key if vector is not None else None for vector in found], pa.string())
    arrays["embedding"] = pa.array(found, _VECTOR_TYPE)
    with_vector = [row for row, vector in enumerate(found) if vector is not None]
    signs = sign_words(np.array([found[row] for row in with_vector], np.float32)) if with_vector else None
    for word, name in enumerate(_SIGN_NAMES):
        values: list[int | None] = [None] * len(digests)
        if signs is not None:
            for row, sign in zip(with_vector, signs[:, word].tolist(), strict=True):
                values[row] = sign
        arrays[name] = pa.array(values, pa.uint64())
    return pa.table(arrays)


def _document_table(documents: Sequence[IndexedDocument], usage: Mapping[str, tuple[int, datetime | None]]) -> pa.Table:
    rows = []
    for document in documents:
        content = document.content
        count, last = usage.get(document.id, (0, None))
        described: dict[str, JSONValue] = {
            **content.metadata,
            "language": content.language,
            "library": content.library,
            "version": content.version,
            "source": content.source,
        }
        rows.append(
            {
                "id": document.id,
                "title": content.title,
                "content": "\n\n".join(passage.text for passage in content.passages),
                "metadata": json.dumps(described, ensure_ascii=False, allow_nan=False),
                "r2_location": document.r2_location,
                "file_size_bytes": document.file_size_bytes,
                "checksum": document.checksum,
                "created_at": utc_naive(document.created_at),
                "access_count": count,
                "last_accessed": last,
                "language": content.language,
                "library": content.library,
                "version": content.version,
                "language_key": normalise_name(content.language),
                "library_key": normalise_name(content.library),
                "source": content.source,
                "passage_count": len(content.passages),
            }
        )
    types = {
        "file_size_bytes": pa.int64(),
        "access_count": pa.int32(),
        "passage_count": pa.int32(),
        "created_at": pa.timestamp("us"),
        "last_accessed": pa.timestamp("us"),
    }
    return pa.table({name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in rows[0]})
