"""The document index: what is searched, by vector and by filter. Derived from AgentFS, so it may be deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from core.agentfs.items import Usage
from core.index.compaction import copy_database
from core.index.encryption import Encryption
from core.index.filters import document_condition, passage_condition
from core.index.rows import (
    Applied,
    IndexedDocument,
    PassageRow,
    PendingPassage,
    WordsPassage,
)
from core.index.schema import Remains, read_meta, write_meta
from core.index.store import DocumentStore
from core.index.vectors import ModelIdentity, Vector
from core.index.writes import renew_document_vectors, replace_documents, store_vectors, utc_naive, vector_array
from core.model import Filters, IndexCounts

_WANTED_PASSAGES = """
SELECT p.slot, p.document_id, p.ordinal, p.title, p.heading_path, p.text, p.line, p.text_sha256,
    p.language, p.library, p.version, d.title, d.source
FROM passages p JOIN documents d ON d.id = p.document_id
WHERE p.slot IN (SELECT slot FROM wanted)
"""
_PENDING = """
SELECT slot, title || chr(10) || text, text_sha256 FROM passages
WHERE model_key IS DISTINCT FROM ? ORDER BY slot DESC LIMIT ?
"""


class DocumentIndex:
    """``documents.duckdb``, or its encrypted sister. Safe from any thread; writes are serialised, and readers do not
    wait for them. Once it is closed everything raises IndexClosed.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        memory_mb: int,
        encryption: Encryption | None = None,
        remains: Remains = Remains.NONE,
    ) -> None:
        """Open or create ``path``; see DocumentStore for the arguments and what it raises. An unusable file is moved
        aside.
        """
        self._store = DocumentStore(path, threads=threads, memory_mb=memory_mb, encryption=encryption, remains=remains)
        self._lock = threading.Lock()
        self._model_key = self._meta()["model_key"]
        self._pending: int | None = None

    @property
    def rebuilt_reason(self) -> str:
        """Why the file was started anew when it was opened; empty when it was not."""
        return self._store.rebuilt

    @property
    def store_id(self) -> str:
        """Names this file's generation: slots mean nothing in another."""
        return self._store.store_id

    @property
    def position(self) -> int:
        """The journal position that has been applied."""
        return int(self._meta()["position"])

    @property
    def next_slot(self) -> int:
        """The slot the next passage will get."""
        return int(self._meta()["next_slot"])

    @property
    def remains(self) -> Remains:
        """What may still lie between the rows of this file and of those derived with it."""
        return Remains(self._meta().get("remains", Remains.NONE))

    @property
    def model_key(self) -> str:
        """Whose vectors count; empty before the first ``use_model``."""
        return self._model_key

    def close(self) -> None:
        """Write everything into the one file and let go of it."""
        self._store.close()

    def use_model(self, model: ModelIdentity) -> None:
        """From now on vectors are of ``model``; those of another count as missing."""
        with self._store.transaction() as connection:
            if read_meta(connection)["model_key"] != model.key:
                write_meta(connection, "model_key", model.key)
                renew_document_vectors(connection, model.key)
        self._model_key = model.key
        self._pending = None

    def apply(
        self, upserts: Sequence[IndexedDocument], removed: Sequence[str], position: int, *, sealed: bool = False
    ) -> Applied:
        """Bring in ``upserts`` in place of their former selves, drop ``removed``, and remember ``position``: all or
        nothing. A passage whose text has a vector already keeps it. ``sealed`` says that something which is dropped
        must leave no trace, and so ``remains`` until ``rewrite``.
        """
        with self._store.transaction() as connection:
            first_slot = int(read_meta(connection)["next_slot"])
            passages, reused = replace_documents(connection, upserts, removed, first_slot, self._model_key)
            write_meta(connection, "next_slot", str(first_slot + len(passages)))
            write_meta(connection, "position", str(position))
            if sealed:
                write_meta(connection, "remains", Remains.SEALED)
        self._pending = None
        return Applied(self._store.store_id, tuple(passages), reused)

    def store_vectors(self, model_key: str, vectors: Mapping[str, Vector]) -> int:
        """Give every passage with one of the text hashes its vector; answers how many passages that were.

        Raises ValueError for a vector of another dimension, a zero or a non-finite one.
        """
        with self._store.transaction() as connection:
            stored = store_vectors(connection, model_key, vectors)
        with self._lock:
            if self._pending is not None and model_key == self._model_key:
                self._pending = max(0, self._pending - stored)
        return stored

    def pending(self, limit: int) -> list[PendingPassage]:
        """Passages without a vector of the current model, the newest first, each text once."""
        with self._store.reader() as connection:
            rows = connection.execute(_PENDING, [self._model_key, limit]).fetchall()
        unique: dict[str, PendingPassage] = {}
        for slot, text, digest in rows:
            unique.setdefault(digest, PendingPassage(slot, text, digest))
        return list(unique.values())

    def pending_count(self) -> int:
        """How many passages have no vector of the current model."""
        with self._lock:
            known = self._pending
        if known is None:
            with self._store.reader() as connection:
                statement = "SELECT count(*) FROM passages WHERE model_key IS DISTINCT FROM ?"
                known = _number(connection.execute(statement, [self._model_key]).fetchone())
            with self._lock:
                self._pending = known
        return known

    def counts(self) -> IndexCounts:
        """How much is in the index."""
        with self._store.reader() as connection:
            documents = _number(connection.execute("SELECT count(*) FROM documents").fetchone())
            passages = _number(connection.execute("SELECT count(*) FROM passages").fetchone())
        return IndexCounts(documents, passages, self.pending_count())

    def rank_exact(
        self, vector: Vector, model_key: str, filters: Filters, limit: int
    ) -> tuple[list[tuple[int, float]], int]:
        """The ``limit`` matching passages nearest to ``vector`` with their cosine similarity, and how many matched."""
        condition = passage_condition(filters)
        where = f"model_key = ? AND {condition.sql}"
        with self._store.reader() as connection:
            # Only constant fragments are put together here; all that was typed is a parameter.
            counted = connection.execute(
                f"SELECT count(*) FROM passages WHERE {where}",  # noqa: S608
                [model_key, *condition.parameters],
            ).fetchone()
            # As a parameter, a list of 384 numbers takes DuckDB 23 ms to bind; as an Arrow table it takes none.
            connection.register("asked", pa.table({"vector": vector_array(vector.reshape(1, -1))}))
            rows = connection.execute(
                "SELECT slot, array_cosine_similarity(embedding, vector) AS similarity"  # noqa: S608
                f" FROM passages, asked WHERE {where} ORDER BY similarity DESC, slot LIMIT ?",
                [model_key, *condition.parameters, limit],
            ).fetchall()
        return [(int(slot), float(similarity)) for slot, similarity in rows], _number(counted)

    def matching_document_ids(self, filters: Filters) -> list[str]:
        """The documents that match."""
        condition = document_condition(filters)
        with self._store.reader() as connection:
            statement = f"SELECT id FROM documents WHERE {condition.sql}"  # noqa: S608 - constant fragments
            rows = connection.execute(statement, list(condition.parameters)).fetchall()
        return [str(row[0]) for row in rows]

    def passages_by_slot(self, slots: Sequence[int]) -> dict[int, PassageRow]:
        """Those of ``slots`` that still exist."""
        if not slots:
            return {}
        with self._store.reader() as connection:
            connection.register("wanted", pa.table({"slot": pa.array(slots, pa.int64())}))
            rows = connection.execute(_WANTED_PASSAGES).fetchall()
        return {row[0]: _passage(row) for row in rows}

    def holding(self, document_ids: Sequence[str]) -> set[str]:
        """Those of ``document_ids`` that are in the index."""
        if not document_ids:
            return set()
        with self._store.reader() as connection:
            connection.register("asked", pa.table({"id": pa.array(document_ids, pa.string())}))
            rows = connection.execute("SELECT id FROM documents WHERE id IN (SELECT id FROM asked)").fetchall()
        return {str(row[0]) for row in rows}

    def text_hashes(self, after_slot: int, limit: int) -> list[tuple[int, str]]:
        """The slots above ``after_slot``, in their order, with the hash of their text."""
        with self._store.reader() as connection:
            return connection.execute(
                "SELECT slot, text_sha256 FROM passages WHERE slot > ? ORDER BY slot LIMIT ?", [after_slot, limit]
            ).fetchall()

    def rewrite(self, should_stop: Callable[[], bool]) -> bool:
        """Write the file anew with nothing but its rows, so that what was deleted is gone; says whether it was done.

        Everything keeps its slot, and ``remains`` is empty afterwards. Other writers wait meanwhile.
        """
        fresh = self._store.path.with_name(f"{self._store.path.name}.new")
        with self._store.writing():
            with self._store.reader() as connection:
                if not copy_database(connection, fresh, {"remains": Remains.NONE}, should_stop):
                    return False
            self._store.replace_with(fresh)
        return True

    def origins(self) -> list[tuple[str, str, str]]:
        """Every language, library and version there is, as written."""
        with self._store.reader() as connection:
            return connection.execute("SELECT DISTINCT language, library, version FROM documents").fetchall()

    def words_passages(self, after_slot: int, limit: int) -> list[WordsPassage]:
        """Passages with a slot above ``after_slot`` in the order of their slots, for the words index."""
        with self._store.reader() as connection:
            rows = connection.execute(
                "SELECT slot, document_id, title, text, language_key, library_key, version FROM passages"
                " WHERE slot > ? ORDER BY slot LIMIT ?",
                [after_slot, limit],
            ).fetchall()
        return [WordsPassage(*row) for row in rows]

    def record_access(self, usage: Mapping[str, Usage]) -> None:
        """Take over what is known of how often documents were opened."""
        rows = [(each.access_count, utc_naive(each.last_accessed), key) for key, each in usage.items()]
        if rows:
            with self._store.transaction() as connection:
                connection.executemany("UPDATE documents SET access_count = ?, last_accessed = ? WHERE id = ?", rows)

    def _meta(self) -> dict[str, str]:
        with self._store.reader() as connection:
            return read_meta(connection)


def _passage(row: tuple[object, ...]) -> PassageRow:
    slot, document_id, ordinal, title, heading_path, *rest = row
    assert isinstance(heading_path, list)
    return PassageRow(slot, document_id, ordinal, title, tuple(heading_path), *rest)  # type: ignore[arg-type]


def _number(row: tuple[object, ...] | None) -> int:
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]
