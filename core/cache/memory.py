"""The memory tier: the values used last, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from core.cache.bounds import memory_allowed

OVERHEAD = 400
"""Bytes that an entry takes besides its name and its value, roughly."""
LARGEST_SHARE = 8
"""One value takes at most this part of the tier, so that reading a large one does not empty it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A value with its SHA-256; ``kept_at`` is when it came from the remote, in microseconds since the epoch."""

    data: bytes
    sha256: str
    kept_at: int


class MemoryTier:
    """Safe from any thread."""

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._allowed = bound
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._size = 0
        self._evictions = 0

    def get(self, name: str) -> Held | None:
        """What is held under ``name``; it counts as used."""
        with self._lock:
            held = self._held.get(name)
            if held is not None:
                self._held.move_to_end(name)
            return held

    def put(self, name: str, held: Held) -> None:
        """Hold ``held`` under ``name``, unless it is too large; what was used longest ago gives way."""
        with self._lock:
            self._drop(name)
            size = _size(name, held)
            if size > self._allowed // LARGEST_SHARE:
                return
            self._held[name] = held
            self._size += size
            self._evict()

    def drop(self, name: str) -> None:
        """Hold nothing under ``name``."""
        with self._lock:
            self._drop(name)

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._held.clear()
            self._size = 0

    def fit(self, available: int, total: int) -> None:
        """Take as much as a machine allows of whose memory ``available`` bytes of ``total`` are left."""
        with self._lock:
            self._allowed = memory_allowed(self.bound, self._size, available, total)
            self._evict()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    @property
    def allowed(self) -> int:
        """The most bytes held at present: ``bound``, or less while others need the memory."""
        return self._allowed

    @property
    def entries(self) -> int:
        """How many values are held."""
        return len(self._held)

    def take_evictions(self) -> int:
        """How many gave way since this was last asked."""
        with self._lock:
            count, self._evictions = self._evictions, 0
            return count

    def _drop(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            self._size -= _size(name, held)

    def _evict(self) -> None:
        while self._size > self._allowed and self._held:
            name, held = self._held.popitem(last=False)
            self._size -= _size(name, held)
            self._evictions += 1


def _size(name: str, held: Held) -> int:
    return len(held.data) + len(name) + OVERHEAD
