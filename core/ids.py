"""Identifiers and content hashes, made in one way everywhere."""

from __future__ import annotations

import hashlib
import os
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def sha256_hex(data: bytes) -> str:
    """The lower-case hexadecimal SHA-256 (64 characters) of ``data``."""
    return hashlib.sha256(data).hexdigest()


def new_id() -> str:
    """A new 26-character identifier that sorts by creation time to the millisecond.

    The layout is that of a ULID (48 bits of milliseconds, 80 random bits, Crockford base 32), in lower case.
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def stable_id(*parts: str) -> str:
    """A 16-character identifier derived from ``parts``: the same parts give the same identifier on every machine."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
