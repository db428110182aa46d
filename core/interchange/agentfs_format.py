"""The AgentFS file format, version 0.4: the tables its SDKs make, and ours beside them, which they pass over.

``tool_calls`` is written in the form the SDKs ship, which has a ``status``; readers of the specification's form, which
has none, read it by name. No triggers, generated columns, full-text tables or auto-vacuum: some versions of the SDKs
refuse a file with one.
"""

from __future__ import annotations

CHUNK_BYTES = 4096
SCHEMA_VERSION = "0.4"
ROOT_INODE = 1
FOLDER_MODE = 0o40755
FILE_TYPE = 0o100000
FOLDER_TYPE = 0o040000
LINK_TYPE = 0o120000
TYPE_MASK = 0o170000

TABLES = """
CREATE TABLE kv_store (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    created_at INTEGER DEFAULT (unixepoch()),
    updated_at INTEGER DEFAULT (unixepoch())
);
CREATE INDEX idx_kv_store_created_at ON kv_store (created_at);

CREATE TABLE tool_calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    parameters TEXT,
    result TEXT,
    error TEXT,
    status TEXT NOT NULL DEFAULT 'pending',
    started_at INTEGER NOT NULL,
    completed_at INTEGER,
    duration_ms INTEGER
);
CREATE INDEX idx_tool_calls_name ON tool_calls (name);
CREATE INDEX idx_tool_calls_started_at ON tool_calls (started_at);

CREATE TABLE fs_config (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE fs_inode (
    ino INTEGER PRIMARY KEY AUTOINCREMENT,
    mode INTEGER NOT NULL,
    nlink INTEGER NOT NULL DEFAULT 0,
    uid INTEGER NOT NULL DEFAULT 0,
    gid INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    atime INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL,
    rdev INTEGER NOT NULL DEFAULT 0,
    atime_nsec INTEGER NOT NULL DEFAULT 0,
    mtime_nsec INTEGER NOT NULL DEFAULT 0,
    ctime_nsec INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE fs_dentry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    parent_ino INTEGER NOT NULL,
    ino INTEGER NOT NULL,
    UNIQUE (parent_ino, name)
);
CREATE INDEX idx_fs_dentry_parent ON fs_dentry (parent_ino, name);
CREATE TABLE fs_data (
    ino INTEGER NOT NULL,
    chunk_index INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (ino, chunk_index)
);
CREATE TABLE fs_symlink (ino INTEGER PRIMARY KEY, target TEXT NOT NULL);

CREATE TABLE bailiwick_export (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE bailiwick_states (
    key TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    critical INTEGER NOT NULL,
    expires_at TEXT
);
CREATE TABLE bailiwick_calls (
    id INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    completed_at TEXT,
    duration_ms INTEGER,
    parameters_sha256 TEXT,
    result_sha256 TEXT
);
"""
