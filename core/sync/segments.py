"""Many commits in one object, so that a device that was away for long catches up with few requests.

An object ``.bailiwick/segments/<area>/<first>-<last>`` holds the stored bytes of 256 commits, each after its length in
4 bytes, big end first. It is made by any device, once; the log itself stays, and what is in a segment is checked as if
it had been read from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from core.errors import ObjectMissing, ObjectTooLarge, RemoteUnreachable
from core.remote.store import ObjectStore
from core.sync.commit import LARGEST_COMMIT

SEGMENT = 256
LARGEST_SEGMENT = 64 * 1024 * 1024


def segment_key(area: str, first: int) -> str:
    """The key of the segment that begins with commit ``first``."""
    return f".bailiwick/segments/{area}/{first:012d}-{first + SEGMENT - 1:012d}"


def read_segment(store: ObjectStore, area: str, first: int) -> list[bytes]:
    """The stored bytes of the commits from ``first`` on; none where there is no such segment, or no whole one."""
    try:
        data = store.get(segment_key(area, first), at_most=LARGEST_SEGMENT)
    except (ObjectMissing, ObjectTooLarge):
        return []
    commits: list[bytes] = []
    at = 0
    while at + 4 <= len(data) and len(commits) < SEGMENT:
        length = int.from_bytes(data[at : at + 4], "big")
        if length > LARGEST_COMMIT or at + 4 + length > len(data):
            return []
        commits.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return commits if len(commits) == SEGMENT and at == len(data) else []


def write_segment(store: ObjectStore, area: str, first: int, commits: Sequence[bytes]) -> None:
    """Put the segment of ``commits`` where there is none; that it may fail harms nobody."""
    data = b"".join(len(each).to_bytes(4, "big") + each for each in commits)
    if len(commits) == SEGMENT and len(data) <= LARGEST_SEGMENT:
        with contextlib.suppress(RemoteUnreachable):
            store.put_if_absent(segment_key(area, first), data)
