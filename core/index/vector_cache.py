"""Vectors by model and text hash, in a file of their own: a lost index embeds nothing twice. Derived and disposable."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.errors import WorkspaceUnusable
from core.index.vectors import DIMENSION, Vector, checked_vectors

_log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    model TEXT NOT NULL, sha256 TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (model, sha256)
) WITHOUT ROWID
"""
_OF_ANY_MODEL = """
WITH RECURSIVE models (model) AS (
    SELECT min(model) FROM vectors
    UNION ALL
    SELECT (SELECT min(model) FROM vectors WHERE model > models.model) FROM models WHERE models.model IS NOT NULL
)
SELECT v.model, v.sha256, v.vector
FROM models CROSS JOIN json_each(?) wanted CROSS JOIN vectors v ON v.model = models.model AND v.sha256 = wanted.value
"""


class VectorCache:
    """``vectors.db``. Safe from any thread. A file that cannot be used is started anew; a failure is only a miss."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = self._open()

    def get_many(self, model_key: str, digests: Iterable[str]) -> dict[str, Vector]:
        """The vectors of ``model_key`` that are there, by text hash; each a float32 array of shape (384,)."""
        wanted = json.dumps(list(digests))
        with self._lock:
            try:
                rows = self._connection.execute(
                    "SELECT sha256, vector FROM vectors WHERE model = ? AND sha256 IN (SELECT value FROM json_each(?))",
                    (model_key, wanted),
                ).fetchall()
            except sqlite3.Error:
                self._start_anew()
                return {}
        found = {digest: np.frombuffer(data, np.float32) for digest, data in rows if len(data) == 4 * DIMENSION}
        return {digest: vector for digest, vector in found.items() if np.isfinite(vector).all() and vector.any()}

    def put_many(self, model_key: str, vectors: Mapping[str, Vector]) -> None:
        """Keep ``vectors`` by text hash; raises ValueError for a zero or non-finite one."""
        array = checked_vectors(list(vectors.values()))
        rows = [(model_key, digest, row.tobytes()) for digest, row in zip(vectors, array, strict=True)]
        with self._lock:
            try:
                with self._connection:
                    self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            except sqlite3.Error:
                _log.warning("vectors could not be kept beside the index", exc_info=True)

    def put_missing(self, model_key: str, vectors: Mapping[str, Vector]) -> None:
        """As ``put_many``, for vectors that somebody else made: one that is here already stays."""
        known = self.get_many(model_key, vectors)
        self.put_many(model_key, {digest: vector for digest, vector in vectors.items() if digest not in known})

    def models_of(self, digests: Iterable[str]) -> list[tuple[str, int]]:
        """The models that have vectors of the texts, and of how many: the one that has most of them first."""
        wanted = json.dumps(sorted(set(digests)))
        with self._lock:
            try:
                rows = self._connection.execute(_OF_ANY_MODEL, (wanted,)).fetchall()
            except sqlite3.Error:
                self._start_anew()
                return []
        return Counter(model for model, _, _ in rows).most_common()

    def keep_only(self, batches: Iterable[Sequence[str]], should_stop: Callable[[], bool]) -> bool:
        """Write the file anew with the vectors of the text hashes in ``batches`` alone: of others no trace is left.

        Says whether it was done, which it is not when ``should_stop`` says so. Others go on using the file meanwhile;
        what they put into it may be lost. Where copying fails nothing at all is kept; raises WorkspaceUnusable when not
        even that can be done.
        """
        fresh_path = self._path.with_name(f"{self._path.name}.new")
        _remove(fresh_path)
        try:
            fresh = _connect(fresh_path)
            try:
                for batch in batches:
                    if should_stop():
                        return False
                    with self._lock:
                        rows = self._connection.execute(_OF_ANY_MODEL, (json.dumps(batch),)).fetchall()
                    with fresh:
                        fresh.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", rows)
            finally:
                fresh.close()
            with self._lock:
                self._connection.close()
                _remove(self._path)
                os.replace(fresh_path, self._path)
                self._connection = self._open()
        except (sqlite3.Error, OSError):
            # At the end of the process the file may be closed meanwhile.
            if should_stop():
                return False
            self._forget_all()
        return True

    def _forget_all(self) -> None:
        try:
            with self._lock:
                self._start_anew()
        except (sqlite3.Error, OSError):
            raise WorkspaceUnusable(
                f"{self._path} cannot be written.", "Delete it, or check its permissions."
            ) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self._path)
        except sqlite3.Error:
            _remove(self._path)
            return _connect(self._path)

    def _start_anew(self) -> None:
        _log.warning("%s is unusable and is started anew", self._path.name)
        self._connection.close()
        _remove(self._path)
        self._connection = _connect(self._path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
        connection.execute("SELECT model, sha256, vector FROM vectors LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
