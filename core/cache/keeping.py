"""Which objects of a remote are kept, and for how long they answer without being asked for again."""

from __future__ import annotations

import re
from dataclasses import dataclass

HINT_SECONDS = 60.0
UNPROVEN_SECONDS = 3600.0
_BLOB = re.compile(r"\.bailiwick/blobs/[^/]+/[0-9a-f]{2}/([0-9a-f]{64})")
_UNPROVEN = re.compile(r"\.bailiwick/(segments|snapshots)/.+|libraries/[^/]+/[^/]+/v[^/]+/.+")
_HINTS = frozenset({"libraries/index.json"})


@dataclass(frozen=True, slots=True)
class Keeping:
    """How one object is kept: ``seconds`` is how long it answers, ``None`` for ever.

    ``sha256`` is the hash that its name proves, empty where the name proves none.
    """

    seconds: float | None
    sha256: str = ""


def keeping(key: str) -> Keeping | None:
    """How the object ``key`` is kept, ``None`` when it is not: what is new there has to be seen at once. Pure.

    Blobs are named by their hash, so they hold for ever. Segments, snapshots and published versions never change
    either, but for what a bad answer or a correction made of them: so they are read anew after an hour. The index of
    libraries is a hint and holds for a minute. Log entries, keys and devices are not kept.
    """
    if blob := _BLOB.fullmatch(key):
        return Keeping(None, blob[1])
    if _UNPROVEN.fullmatch(key):
        return Keeping(UNPROVEN_SECONDS)
    return Keeping(HINT_SECONDS) if key in _HINTS else None
