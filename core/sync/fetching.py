"""Gets content out of the remote: pieces that lie together in one request, each compared with its hash."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.errors import ObjectMissing, ObjectTooLarge, SealBroken
from core.ids import sha256_hex
from core.remote.store import ObjectStore
from core.sync.commit import Place
from core.sync.moving import UNWATCHED, Watch
from core.sync_model import Direction

AT_ONCE = 8
NEAR = 256 * 1024
"""Bytes between two pieces that are read along rather than asked for twice."""
LARGEST_READ = 64 * 1024 * 1024
LARGEST_CONTENT = 1024 * 1024 * 1024
"""Bytes of one content as it is stored, whatever a commit claims."""


@dataclass(frozen=True, slots=True)
class Span:
    """Pieces of one object that are read together."""

    key: str
    first: int
    end: int
    places: tuple[Place, ...]


def spans(places: Iterable[Place]) -> list[Span]:
    """The requests by which ``places`` are read: as few as possible, without reading much that nobody wants."""
    by_key: dict[str, list[Place]] = defaultdict(list)
    for place in set(places):
        by_key[place.key].append(place)
    found: list[Span] = []
    for key, wanted in sorted(by_key.items()):
        group: list[Place] = []
        end = 0
        for place in sorted(wanted, key=lambda each: (each.first, each.length)):
            if group and (place.first > end + NEAR or place.first + place.length - group[0].first > LARGEST_READ):
                found.append(Span(key, group[0].first, end, tuple(group)))
                group, end = [], 0
            group.append(place)
            end = max(end, place.first + place.length)
        found.append(Span(key, group[0].first, end, tuple(group)))
    return found


class Fetcher:
    """Reads stored bytes of one area. Safe from any thread."""

    def __init__(self, store: ObjectStore, area: str, watch: Watch = UNWATCHED) -> None:
        self._store = store
        self._area = area
        self._watch = watch

    def fetch(self, places: Iterable[Place]) -> tuple[dict[Place, bytes], dict[Place, str]]:
        """The stored bytes of each place, and of those that could not be had a sentence that says why.

        Raises what the store raises but for what is wrong with single objects, and SyncCancelled.
        """
        wanted = spans(places)
        had: dict[Place, bytes] = {}
        lacking: dict[Place, str] = {}
        with ThreadPoolExecutor(min(AT_ONCE, max(1, len(wanted)))) as pool:
            for span, data in zip(wanted, pool.map(self._read, wanted), strict=True):
                for place in span.places:
                    piece = data[place.first - span.first :][: place.length] if isinstance(data, bytes) else b""
                    if isinstance(data, str):
                        lacking[place] = data
                    elif sha256_hex(piece) != place.sha256:
                        lacking[place] = f"{place.key} is not what was sent."
                    else:
                        had[place] = piece
        return had, lacking

    def _read(self, span: Span) -> bytes | str:
        self._watch.check()
        size = span.end - span.first
        try:
            with self._watch.transfer(self._area, span.key, Direction.DOWN, size) as progress:
                return self._store.get(
                    span.key, first=span.first, length=size, at_most=min(size, LARGEST_CONTENT), progress=progress
                )
        except ObjectMissing:
            return f"{span.key} is missing in the remote."
        except (ObjectTooLarge, SealBroken) as error:
            return error.message


def batches(places: list[Place], most_bytes: int = LARGEST_READ) -> Iterator[list[Place]]:
    """``places`` in their order, cut where their bytes would take too much memory at once."""
    batch: list[Place] = []
    size = 0
    for place in places:
        if batch and size + place.length > most_bytes:
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += place.length
    if batch:
        yield batch
