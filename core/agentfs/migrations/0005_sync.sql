-- How far this device is in the log of each area: seq is the last commit taken in, hash that of its stored bytes.
CREATE TABLE sync_areas (
    area TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'team', 'shared')),
    name TEXT NOT NULL DEFAULT '',
    seq INTEGER NOT NULL DEFAULT 0,
    hash TEXT NOT NULL DEFAULT '',
    scanned INTEGER NOT NULL DEFAULT 0,
    synced_at TEXT,
    problem TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- What both sides agreed on last, by path: the base of every comparison. present = 0: version is known, but its content
-- is not here; then here is the version that both sides agreed on before, NULL where there was none.
CREATE TABLE sync_base (
    area TEXT NOT NULL REFERENCES sync_areas (area) ON DELETE CASCADE,
    path TEXT NOT NULL,
    version TEXT NOT NULL,
    kind TEXT NOT NULL,
    item_id TEXT NOT NULL,
    header TEXT NOT NULL,
    content TEXT NOT NULL DEFAULT '',
    object TEXT NOT NULL DEFAULT '',
    first INTEGER NOT NULL DEFAULT 0,
    length INTEGER NOT NULL DEFAULT 0,
    encoding TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '',
    size INTEGER NOT NULL DEFAULT 0,
    seq INTEGER NOT NULL,
    present INTEGER NOT NULL DEFAULT 1,
    here TEXT,
    PRIMARY KEY (area, path)
) WITHOUT ROWID;
CREATE INDEX sync_base_by_content ON sync_base (area, content);
CREATE INDEX sync_base_by_object ON sync_base (area, object);
CREATE INDEX sync_base_not_fetched ON sync_base (area, size) WHERE present = 0;

-- The outbox: what changed here and is not in the log yet.
CREATE TABLE sync_pending (
    area TEXT NOT NULL REFERENCES sync_areas (area) ON DELETE CASCADE,
    path TEXT NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    since TEXT NOT NULL,
    PRIMARY KEY (area, path)
) WITHOUT ROWID;

-- The commits that this device tried to put, noted before it did: its own, whatever became of the request. The device's
-- id does not tell that, for an older copy of the workspace has it too.
CREATE TABLE sync_tried (
    area TEXT NOT NULL REFERENCES sync_areas (area) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (area, seq, id)
) WITHOUT ROWID;

-- Every commit that was taken in, as it lies in the remote, so that a lost or exchanged one is noticed and put back.
CREATE TABLE sync_commits (
    area TEXT NOT NULL REFERENCES sync_areas (area) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    device TEXT NOT NULL,
    at TEXT NOT NULL,
    changes INTEGER NOT NULL,
    raw BLOB,
    PRIMARY KEY (area, seq)
) WITHOUT ROWID;
CREATE INDEX sync_commits_by_device ON sync_commits (device, at);

-- The devices that wrote commits, with the newest audit head that each showed.
CREATE TABLE sync_devices (
    device TEXT PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    user TEXT NOT NULL DEFAULT '',
    signing_key TEXT NOT NULL DEFAULT '',
    audit_position INTEGER NOT NULL DEFAULT 0,
    audit_hash TEXT NOT NULL DEFAULT '',
    last_commit_at TEXT,
    problem TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- Audit heads as they were seen, so that a trail that was cut off or rewritten shows.
CREATE TABLE sync_audit_heads (
    device TEXT NOT NULL,
    area TEXT NOT NULL,
    seq INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (device, area, seq)
) WITHOUT ROWID;
CREATE INDEX sync_audit_heads_by_position ON sync_audit_heads (device, position);

-- While everything sealed is sealed again under the identity of a remote that is joined: under which hash it lies anew.
CREATE TABLE resealed (
    old TEXT PRIMARY KEY,
    new TEXT NOT NULL,
    identity TEXT NOT NULL
) WITHOUT ROWID;

-- Where an agent lives: the id of another device of the user, with what that device and the agent are called there;
-- empty for those that live here. position is the journal's at the last change that the other devices have to hear of.
ALTER TABLE agents ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN device_name TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN home_name TEXT NOT NULL DEFAULT '';
ALTER TABLE agents ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
CREATE INDEX agents_by_position ON agents (position);
-- A position of their own for the agents that were here before.
INSERT INTO sqlite_sequence (name, seq) SELECT 'journal', 0
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'journal') AND EXISTS (SELECT 1 FROM agents);
UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'journal' AND EXISTS (SELECT 1 FROM agents);
UPDATE agents SET position = (SELECT seq FROM sqlite_sequence WHERE name = 'journal') WHERE type <> 'person';

-- Content versions as synchronising compares them, of what an item was at a journal position, under an identity's key.
CREATE TABLE item_versions (
    item_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    identity TEXT NOT NULL,
    version TEXT NOT NULL
) WITHOUT ROWID;

-- What synchronising did and cost, as any process may show it. body is the JSON of a run, a sample or a choice.
CREATE TABLE sync_history (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    noun TEXT NOT NULL CHECK (noun IN ('run', 'network', 'strategy')),
    at TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX sync_history_by_noun ON sync_history (noun, position);
CREATE TABLE sync_usage (
    month TEXT PRIMARY KEY,
    class_a INTEGER NOT NULL DEFAULT 0,
    class_b INTEGER NOT NULL DEFAULT 0,
    free INTEGER NOT NULL DEFAULT 0,
    bytes_up INTEGER NOT NULL DEFAULT 0,
    bytes_down INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
-- What happens now; number grows with every change, so that other processes notice.
CREATE TABLE sync_live (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    number INTEGER NOT NULL,
    at TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;

-- What was read from the remote and is kept to be read again: names, each with the hash of its content. Moments are
-- microseconds since the epoch. What is pinned stays named when its content is lost.
CREATE TABLE cache_names (
    name TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    kept_at INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX cache_names_by_content ON cache_names (sha256);
CREATE INDEX cache_pinned ON cache_names (sha256, size) WHERE pinned = 1;
-- Where each content lies: in cache_bytes (is_recent), under cache/ by its hash (is_file), or both.
CREATE TABLE cache_contents (
    sha256 TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    used INTEGER NOT NULL,
    is_recent INTEGER NOT NULL DEFAULT 0,
    is_file INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX cache_recent_by_use ON cache_contents (used) WHERE is_recent = 1;
CREATE INDEX cache_files_by_use ON cache_contents (used) WHERE is_file = 1;
-- Apart from the rest, so that noting a use does not write the bytes anew.
CREATE TABLE cache_bytes (
    sha256 TEXT PRIMARY KEY REFERENCES cache_contents (sha256) ON DELETE CASCADE,
    bytes BLOB NOT NULL
);
-- How much each tier holds, and how often it was of use.
CREATE TABLE cache_numbers (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- Objects that a commit announced for deletion, since when this device knows that.
CREATE TABLE sync_collected (
    area TEXT NOT NULL REFERENCES sync_areas (area) ON DELETE CASCADE,
    object TEXT NOT NULL,
    known_at TEXT NOT NULL,
    PRIMARY KEY (area, object)
) WITHOUT ROWID;

-- What was unshared and may still lie in the remote: deleted once the log says so.
CREATE TABLE sync_taken_back (
    area TEXT NOT NULL REFERENCES sync_areas (area) ON DELETE CASCADE,
    path TEXT NOT NULL,
    object TEXT NOT NULL,
    PRIMARY KEY (area, path, object)
) WITHOUT ROWID;
