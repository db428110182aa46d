-- What a person has chosen of an open conflict so far, on this device alone; an age file where the conflict is sealed.
CREATE TABLE conflict_drafts (
    conflict_id TEXT PRIMARY KEY,
    data BLOB NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0,
    saved_at TEXT NOT NULL
) WITHOUT ROWID;
