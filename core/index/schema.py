"""The tables of ``documents.duckdb``.

``documents`` has the columns of strategy.md, then ours; ``language_key`` and ``library_key`` are the spellings that
filters compare. A passage's row is found by ``slot``, which is dense and never reused. The file is derived, so another
schema version is not migrated but rebuilt.
"""

from __future__ import annotations

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


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables of an empty file, at journal position 0, in one transaction."""
    connection.execute("BEGIN")
    connection.execute(_TABLES)
    for key, value in (
        ("schema_version", SCHEMA_VERSION),
        ("store_id", new_id()),
        ("position", "0"),
        ("next_slot", "0"),
        ("model_key", ""),
    ):
        connection.execute("INSERT INTO meta VALUES (?, ?)", [key, value])
    connection.execute("COMMIT")


def read_meta(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """All keys of ``meta``."""
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def write_meta(connection: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    """Change one key of ``meta``."""
    connection.execute("UPDATE meta SET value = ? WHERE key = ?", [value, key])
