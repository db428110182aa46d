"""What was read from the remote, kept in three tiers: in memory, in AgentFS, and as files."""
