"""Identifiers and content hashes, made in one way everywhere."""

from __future__ import annotations

import hashlib
import os
import re
import time

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile("[0-7][0-9a-hjkmnp-tv-z]{25}|[0-9a-f]{16}")


def sha256_hex(data: bytes) -> str:
    """The lower-case hexadecimal SHA-256 (64 characters) of ``data``."""
    return hashlib.sha256(data).hexdigest()


def looks_like_id(text: str) -> bool:
    """Whether ``text`` has the form of what ``new_id`` or ``stable_id`` makes, in whichever case."""
    return bool(_ID.fullmatch(text.lower()))


def new_id() -> str:
    """A new 26-character identifier that sorts by creation time to the millisecond.

    The layout is that of a ULID (48 bits of milliseconds, 80 random bits, Crockford base 32), in lower case.
    """
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def stable_id(*parts: str) -> str:
    """A 16-character identifier derived from ``parts``: the same parts give the same identifier on every machine."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
