-- Values are TEXT where strategy.md writes JSON or TIMESTAMP: SQLite would turn the JSON text 1.0 into the number 1.

CREATE INDEX items_documents ON items (position) WHERE kind = 'document';

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    capabilities TEXT NOT NULL DEFAULT '{}',
    status TEXT NOT NULL DEFAULT 'inactive' CHECK (status IN ('inactive', 'active', 'busy', 'error')),
    created_at TEXT NOT NULL,
    last_activity TEXT NOT NULL,
    owner TEXT NOT NULL,
    admission TEXT NOT NULL CHECK (admission IN ('admitted', 'waiting', 'retired')),
    waiting_since INTEGER,
    current_tool TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    door TEXT NOT NULL DEFAULT '',
    client TEXT NOT NULL DEFAULT '',
    key_sha256 TEXT NOT NULL,
    state_bytes INTEGER NOT NULL DEFAULT 0,
    retired_at TEXT
);
CREATE UNIQUE INDEX agents_by_name ON agents (name) WHERE admission <> 'retired';

CREATE TABLE agent_states (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    state_key TEXT NOT NULL,
    state_value TEXT,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    kind TEXT NOT NULL,
    critical INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    expires_at TEXT,
    UNIQUE (agent_id, state_key)
);
CREATE INDEX agent_states_expiring ON agent_states (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE state_history (
    state_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    operation TEXT NOT NULL CHECK (operation IN ('put', 'delete', 'expire', 'restore')),
    sha256 TEXT,
    kind TEXT NOT NULL,
    critical INTEGER NOT NULL,
    actor TEXT NOT NULL,
    session_id TEXT,
    at TEXT NOT NULL,
    restored_from INTEGER,
    PRIMARY KEY (state_id, version)
) WITHOUT ROWID;
CREATE INDEX state_history_by_content ON state_history (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX state_history_by_session ON state_history (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE agent_communications (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    from_agent TEXT REFERENCES agents (id),
    to_agent TEXT REFERENCES agents (id),
    message_type TEXT NOT NULL,
    message_content TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'delivered', 'read', 'acknowledged')),
    to_type TEXT,
    importance TEXT NOT NULL DEFAULT 'normal' CHECK (importance IN ('low', 'normal', 'high', 'urgent')),
    thread_id TEXT NOT NULL,
    reply_to TEXT,
    verified INTEGER NOT NULL DEFAULT 1,
    session_id TEXT
);
CREATE INDEX agent_communications_by_sender ON agent_communications (from_agent, sequence);
CREATE INDEX agent_communications_by_recipient ON agent_communications (to_agent, sequence) WHERE to_agent IS NOT NULL;
CREATE INDEX agent_communications_by_thread ON agent_communications (thread_id, sequence);
CREATE INDEX agent_communications_by_type ON agent_communications (message_type, sequence);
CREATE INDEX agent_communications_by_session ON agent_communications (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE message_receipts (
    agent_id TEXT NOT NULL REFERENCES agents (id),
    sequence INTEGER NOT NULL REFERENCES agent_communications (sequence),
    queued_at TEXT NOT NULL,
    delivered_at TEXT,
    read_at TEXT,
    acknowledged_at TEXT,
    PRIMARY KEY (agent_id, sequence)
) WITHOUT ROWID;
CREATE INDEX message_receipts_by_message ON message_receipts (sequence);
CREATE INDEX message_receipts_unread ON message_receipts (agent_id, sequence) WHERE read_at IS NULL;

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    resource TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('shared', 'exclusive')),
    reason TEXT NOT NULL DEFAULT '',
    seconds INTEGER NOT NULL,
    acquired_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    session_id TEXT,
    ended_at TEXT,
    ended_because TEXT NOT NULL DEFAULT ''
);
CREATE INDEX leases_held ON leases (agent_id, expires_at) WHERE ended_at IS NULL;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    external_id TEXT,
    title TEXT NOT NULL DEFAULT '',
    started_at TEXT NOT NULL,
    ended_at TEXT,
    door TEXT NOT NULL DEFAULT '',
    client TEXT NOT NULL DEFAULT '',
    UNIQUE (agent_id, external_id)
);
CREATE INDEX sessions_by_agent ON sessions (agent_id, started_at);

CREATE TABLE tool_calls (
    id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    session_id TEXT,
    tool TEXT NOT NULL,
    started_at TEXT NOT NULL,
    completed_at TEXT,
    duration_ms INTEGER,
    error TEXT NOT NULL DEFAULT '',
    parameters_sha256 TEXT,
    result_sha256 TEXT,
    door TEXT NOT NULL DEFAULT ''
);
CREATE INDEX tool_calls_by_agent ON tool_calls (agent_id, started_at);
CREATE INDEX tool_calls_by_session ON tool_calls (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
);

CREATE TABLE audit (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    at TEXT NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('agent', 'person', 'engine')),
    actor TEXT NOT NULL,
    verified INTEGER NOT NULL,
    door TEXT NOT NULL,
    session_id TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT NOT NULL,
    journal INTEGER UNIQUE,
    hash TEXT NOT NULL
);
CREATE INDEX audit_by_actor ON audit (actor, position);
CREATE INDEX audit_by_subject ON audit (subject, position);
CREATE INDEX audit_by_action ON audit (action, position);

-- What was archived to a file: the chain goes on through it.
CREATE TABLE audit_segments (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    first_journal INTEGER,
    last_journal INTEGER,
    last_hash TEXT NOT NULL,
    file TEXT NOT NULL,
    file_sha256 TEXT NOT NULL
);

-- Changes up to here were made before there was an audit trail.
INSERT INTO settings (key, value, updated_at)
SELECT 'audit.since_journal', coalesce(max(position), 0), strftime('%Y-%m-%dT%H:%M:%fZ') FROM journal;

CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;
CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit
WHEN OLD.position > (SELECT coalesce(max(last), 0) FROM audit_segments)
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;
CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
WHEN NEW.position <= (SELECT coalesce(max(last), 0) FROM audit_segments)
    OR EXISTS (SELECT 1 FROM audit WHERE position = NEW.position OR journal = NEW.journal)
BEGIN
    SELECT raise(ABORT, 'the audit trail is append-only');
END;
