"""What reading leaves to be written: uses, promotions and counts, gathered so that a read waits for no write."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from core.cache.catalogue import Number

MOST_USES = 256
MOST_BYTES = 1024 * 1024


@dataclass(slots=True)
class Gathered:
    """By the hash of a content: when it was used last, and the bytes of small ones that are to be in AgentFS too."""

    used: dict[str, int] = field(default_factory=dict)
    promoted: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[Number] = field(default_factory=Counter)
    size: int = 0

    @property
    def is_much(self) -> bool:
        """Whether it is time to write it."""
        return len(self.used) >= MOST_USES or self.size >= MOST_BYTES


class Notes:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gathered = Gathered()

    def count(self, number: Number, count: int = 1) -> None:
        """Count something."""
        if not count:
            return
        with self._lock:
            self._gathered.counts[number] += count

    def used(self, sha256: str, moment: int, *, promote: bytes | None = None) -> bool:
        """A content was used; with ``promote`` it is to be among the small ones. The answer: whether it is much now."""
        with self._lock:
            self._gathered.used[sha256] = moment
            if promote is not None and sha256 not in self._gathered.promoted:
                self._gathered.promoted[sha256] = promote
                self._gathered.size += len(promote)
            return self._gathered.is_much

    def counts(self) -> Counter[Number]:
        """What was counted and is not written yet."""
        with self._lock:
            return self._gathered.counts.copy()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        with self._lock:
            return not (self._gathered.used or self._gathered.counts)

    def take(self) -> Gathered:
        """Everything gathered, to be written by the caller."""
        with self._lock:
            gathered, self._gathered = self._gathered, Gathered()
            return gathered

    def give_back(self, gathered: Gathered) -> None:
        """It could not be written: keep the counts for the next time."""
        with self._lock:
            self._gathered.counts.update(gathered.counts)
