-- Which agent the hooks of a client speak for in a project, whose folder is known by its hash alone.
CREATE TABLE hook_agents (
    client TEXT NOT NULL,
    project_sha256 TEXT NOT NULL,
    agent_id TEXT NOT NULL REFERENCES agents (id),
    PRIMARY KEY (client, project_sha256)
) WITHOUT ROWID;

-- external_id is what the client calls the call; summary is redacted, and empty where nothing may be said.
ALTER TABLE tool_calls ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE tool_calls ADD COLUMN external_id TEXT;
ALTER TABLE tool_calls ADD COLUMN summary TEXT NOT NULL DEFAULT '';
CREATE INDEX tool_calls_by_external_id ON tool_calls (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX tool_calls_running ON tool_calls (agent_id, started_at) WHERE completed_at IS NULL;

-- Calls whose summary is still to be read from the client's transcript.
CREATE TABLE summaries_due (
    call_id TEXT PRIMARY KEY REFERENCES tool_calls (id),
    transcript TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
