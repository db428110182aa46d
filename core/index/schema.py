"""The tables of ``documents.duckdb``, and of ``documents-sealed.duckdb`` alike.

``documents`` has the columns of strategy.md, then ours; ``language_key`` and ``library_key`` are the spellings that
filters compare. A passage's row is found by ``slot``, which is dense and never reused. The file is derived, so another
schema version is not migrated but rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import duckdb

from core.ids import new_id

SCHEMA_VERSION = "1"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE documents (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    content TEXT,
    embedding FLOAT[384],
    metadata JSON,
    r2_location TEXT NOT NULL,
    file_size_bytes BIGINT,
    checksum TEXT,
    created_at TIMESTAMP,
    access_count INTEGER DEFAULT 0,
    last_accessed TIMESTAMP,
    language TEXT NOT NULL,
    library TEXT NOT NULL,
    version TEXT NOT NULL,
    language_key TEXT NOT NULL,
    library_key TEXT NOT NULL,
    source TEXT NOT NULL,
    passage_count INTEGER NOT NULL
);
CREATE TABLE passages (
    slot BIGINT NOT NULL,
    document_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    title TEXT NOT NULL,
    heading_path TEXT[] NOT NULL,
    text TEXT NOT NULL,
    line INTEGER NOT NULL,
    text_sha256 TEXT NOT NULL,
    language TEXT NOT NULL,
    library TEXT NOT NULL,
    version TEXT NOT NULL,
    language_key TEXT NOT NULL,
    library_key TEXT NOT NULL,
    model_key TEXT,
    embedding FLOAT[384],
    s0 UBIGINT, s1 UBIGINT, s2 UBIGINT, s3 UBIGINT, s4 UBIGINT, s5 UBIGINT
);
CREATE INDEX passages_slot ON passages (slot);
"""


class Remains(StrEnum):
    """What may still lie, deleted, between the rows of a plain file and of the files derived with it."""

    NONE = ""
    """Nothing that is sealed now."""
    SEALED = "sealed"
    """Something that is sealed now."""
    UNKNOWN = "unknown"
    """Whatever lay in older files, beside which this one was started anew."""


def first_meta(remains: Remains) -> dict[str, str]:
    """The ``meta`` of a new file, at journal position 0."""
    return {
        "schema_version": SCHEMA_VERSION,
        "store_id": new_id(),
        "position": "0",
        "next_slot": "0",
        "model_key": "",
        "remains": remains,
    }


def create_tables(connection: duckdb.DuckDBPyConnection, meta: Mapping[str, str]) -> None:
    """Create the tables of an empty file, with ``meta``, in one transaction."""
    connection.execute("BEGIN")
    connection.execute(_TABLES)
    for key, value in meta.items():
        write_meta(connection, key, value)
    connection.execute("COMMIT")


def read_meta(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """All keys of ``meta``."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def write_meta(connection: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    """Change one key of ``meta``, or add it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, str(value)])
