"""Interchange: an agent's states and calls as a file of the AgentFS format 0.4, and such files as states and calls."""
