CREATE TABLE items (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('public', 'team', 'private')),
    sha256 TEXT NOT NULL,
    base_sha256 TEXT,
    critical INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    deleted INTEGER NOT NULL DEFAULT 0,
    position INTEGER NOT NULL UNIQUE
);
CREATE INDEX items_by_sha256 ON items (sha256) WHERE deleted = 0;

CREATE TABLE contents (
    sha256 TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE journal (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id TEXT NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('put', 'delete')),
    sha256 TEXT NOT NULL,
    base_sha256 TEXT,
    at TEXT NOT NULL
);

CREATE TABLE queue (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    task TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    error TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    finished_at TEXT
);
CREATE INDEX queue_waiting ON queue (position) WHERE state IN ('waiting', 'running');

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('path', 'package')),
    name TEXT NOT NULL UNIQUE,
    location TEXT NOT NULL,
    language TEXT NOT NULL,
    library TEXT NOT NULL,
    version TEXT NOT NULL,
    added_at TEXT NOT NULL
);

CREATE TABLE source_files (
    source_id TEXT NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    item_id TEXT,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    problem TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (source_id, path)
) WITHOUT ROWID;

CREATE TABLE item_usage (
    item_id TEXT PRIMARY KEY REFERENCES items (id) ON DELETE CASCADE,
    access_count INTEGER NOT NULL DEFAULT 0,
    last_accessed TEXT NOT NULL
) WITHOUT ROWID;
