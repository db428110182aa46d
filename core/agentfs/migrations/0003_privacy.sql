-- Sealed content lies in contents or files/ alone, as an age file under the hash of its sealed bytes.

ALTER TABLE items ADD COLUMN sensitive TEXT NOT NULL DEFAULT 'unknown'
    CHECK (sensitive IN ('', 'secret', 'pattern', 'unknown'));
ALTER TABLE items ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN agent_id TEXT;
UPDATE items SET agent_id = substr(path, 8, instr(substr(path, 8), '/') - 1) WHERE path LIKE 'agents/%/state/%';
UPDATE items SET agent_id = (SELECT agent_id FROM sessions WHERE sessions.id = items.id) WHERE kind = 'session';
UPDATE items SET agent_id = (SELECT from_agent FROM agent_communications m WHERE m.id = items.id) WHERE kind = 'message';
CREATE INDEX items_to_classify ON items (position) WHERE sensitive = 'unknown' AND deleted = 0;
CREATE INDEX items_sensitive ON items (position) WHERE sensitive <> '' AND deleted = 0;
CREATE INDEX items_sealed ON items (kind) WHERE sealed = 1 AND deleted = 0;

-- state_value is '' where the value is sealed, and message_content likewise.
ALTER TABLE agent_states ADD COLUMN level TEXT NOT NULL DEFAULT 'private';
ALTER TABLE agent_states ADD COLUMN sensitive TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE agent_states ADD COLUMN sealed_sha256 TEXT;
ALTER TABLE state_history ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state_history ADD COLUMN sensitive TEXT NOT NULL DEFAULT 'unknown';
CREATE INDEX state_history_to_classify ON state_history (state_id) WHERE sensitive = 'unknown' AND sha256 IS NOT NULL;
ALTER TABLE agent_communications ADD COLUMN level TEXT NOT NULL DEFAULT 'private';
ALTER TABLE agent_communications ADD COLUMN sensitive TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE agent_communications ADD COLUMN sealed_sha256 TEXT;
CREATE INDEX agent_communications_sealed ON agent_communications (sequence) WHERE sealed_sha256 IS NOT NULL;

-- What owners said about single items: shared with somebody, or with opted_out kept from a team.
CREATE TABLE shares (
    item_id TEXT NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    audience TEXT NOT NULL CHECK (audience IN ('agent', 'team', 'public')),
    name TEXT NOT NULL DEFAULT '',
    in_full INTEGER NOT NULL DEFAULT 0,
    opted_out INTEGER NOT NULL DEFAULT 0,
    shared_by TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (item_id, audience, name)
) WITHOUT ROWID;

-- Whom nothing was given: what was asked for, by whom, and the rule that said no. Hashes and names of rules only.
CREATE INDEX audit_refusals ON audit (position) WHERE action = 'access.deny';
