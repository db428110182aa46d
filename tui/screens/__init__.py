"""The screens that lie over the dashboard: help, add, confirm, too small."""
