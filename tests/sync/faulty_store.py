"""A real folder that answers late, twice, wrongly or not at all, as a given source of chance decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from core.errors import RemoteUnreachable
from core.remote.folder import FolderStore
from core.remote.store import AT_MOST, PLAIN, ObjectFacts, ObjectInfo, Progress


class Fault(StrEnum):
    """What becomes of one request."""

    LOST = "lost"
    """It never arrives, and nobody answers."""
    UNANSWERED = "unanswered"
    """It is done, and the answer is lost."""
    LATE = "late"
    """Nobody answers; it arrives while a later request is answered."""
    REFUSED = "refused"
    """409, 429, 500 or 503, more often than the store asks again."""
    TRUNCATED = "truncated"
    """The body ends early."""
    WRONG = "wrong"
    """One bit of the body is another."""


PUTS = (Fault.LOST, Fault.UNANSWERED, Fault.LATE, Fault.REFUSED)
GETS = (Fault.LOST, Fault.REFUSED, Fault.TRUNCATED, Fault.WRONG)
LOOKS = (Fault.LOST, Fault.REFUSED)
_LANDS = 0.3


class FaultyStore:
    """Faults befall ``rate`` of the requests; at 0 all is well. Safe from any thread."""

    def __init__(self, inner: FolderStore, source: random.Random) -> None:
        self.inner = inner
        self.rate = 0.0
        self.name = inner.name
        self.read_only = False
        self.meter = inner.meter
        self.faults = 0
        self._source = source
        self._late: list[tuple[str, bytes]] = []
        self._lock = threading.Lock()

    def reseed(self, seed: int) -> None:
        """From here on ``seed`` decides."""
        self._source = random.Random(seed)

    def settle(self) -> None:
        """Everything that was late arrives."""
        with self._lock:
            arriving, self._late = self._late, []
        for key, data in arriving:
            self.inner.put_if_absent(key, data)

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """As ``ObjectStore.put_if_absent``."""
        fault = self._fault(PUTS)
        if fault is Fault.LATE:
            with self._lock:
                self._late.append((key, data if isinstance(data, bytes) else data.read_bytes()))
        if fault in (None, Fault.UNANSWERED):
            done = self.inner.put_if_absent(key, data, facts, progress)
            if fault is None:
                return done
        raise _unreachable(fault)

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """As ``ObjectStore.put``; never late, for it would undo what was put after it."""
        fault = self._fault((Fault.LOST, Fault.UNANSWERED, Fault.REFUSED))
        if fault in (None, Fault.UNANSWERED):
            self.inner.put(key, data, facts, progress)
        if fault is not None:
            raise _unreachable(fault)

    def get(
        self,
        key: str,
        *,
        first: int = 0,
        length: int | None = None,
        at_most: int = AT_MOST,
        progress: Progress | None = None,
    ) -> bytes:
        """As ``ObjectStore.get``."""
        fault = self._fault(GETS)
        if fault in (Fault.LOST, Fault.REFUSED):
            raise _unreachable(fault)
        data = self.inner.get(key, first=first, length=length, at_most=at_most, progress=progress)
        if not data or fault is None:
            return data
        with self._lock:
            at = self._source.randrange(len(data))
        if fault is Fault.TRUNCATED:
            return data[:at]
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """As ``ObjectStore.get_to``."""
        if (fault := self._fault(LOOKS)) is not None:
            raise _unreachable(fault)
        return self.inner.get_to(key, target, at_most=at_most, progress=progress)

    def head(self, key: str) -> ObjectInfo | None:
        """As ``ObjectStore.head``."""
        if (fault := self._fault(LOOKS)) is not None:
            raise _unreachable(fault)
        return self.inner.head(key)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """As ``ObjectStore.list``."""
        if (fault := self._fault(LOOKS)) is not None:
            raise _unreachable(fault)
        return self.inner.list(prefix, after=after, limit=limit)

    def delete(self, keys: Sequence[str]) -> None:
        """As ``ObjectStore.delete``."""
        if (fault := self._fault(LOOKS)) is not None:
            raise _unreachable(fault)
        self.inner.delete(keys)

    def close(self) -> None:
        """As ``ObjectStore.close``."""
        self.inner.close()

    def _fault(self, kinds: Sequence[Fault]) -> Fault | None:
        arriving: list[tuple[str, bytes]] = []
        with self._lock:
            if self.rate <= 0:
                return None
            for each in list(self._late):
                if self._source.random() < _LANDS:
                    self._late.remove(each)
                    arriving.append(each)
            fault = self._source.choice(kinds) if self._source.random() < self.rate else None
            self.faults += fault is not None
        for key, data in arriving:
            self.inner.put_if_absent(key, data)
        return fault


def _unreachable(fault: Fault | None) -> RemoteUnreachable:
    return RemoteUnreachable(f"The remote does not answer ({fault}).", "Try again.")
