"""AgentFS: the SQLite truth of a workspace. Every process may open it; nothing acknowledged is lost."""
