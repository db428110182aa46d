"""Bailiwick's data plane: everything it keeps, finds and shares, with no screen attached."""

__version__ = "0.1.0"
