"""Reusable parts of the dashboard."""
