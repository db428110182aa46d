"""Synchronising: commit logs in a remote, what is sent and received, strategies, joining, checking and mending."""
