"""The cache: values by name, looked for in memory, in AgentFS and among files, and promoted where they are used."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.agentfs.database import Database
from core.cache.bounds import SMALL, CacheBounds
from core.cache.catalogue import Number
from core.cache.disk import Arrival, DiskTiers, Placed
from core.cache.memory import Held, MemoryTier
from core.cache.notes import Notes
from core.cache.status import CacheCheck, CacheStatus, Tier, TierStatus
from core.errors import BailiwickError
from core.ids import sha256_hex

_log = logging.getLogger(__name__)
FOLDER = "cache"
SWEEP_SECONDS = 300.0
_GROWTH = 16 * 1024 * 1024
_HITS = {Tier.MEMORY: Number.MEMORY_HITS, Tier.RECENT: Number.RECENT_HITS, Tier.FILES: Number.FILES_HITS}

MemoryReading = Callable[[], tuple[int, int]]
"""Bytes of memory that are left, and all that there are."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was found, and in which tier; ``age`` is the seconds since it came from the remote."""

    data: bytes
    sha256: str
    tier: Tier
    age: float


class MultiTierCache:
    """Three tiers. Safe from any thread; several processes may share a workspace's.

    It holds only what a remote gave, in the form in which it gave it: what is sealed there is sealed here. Nothing
    depends on it: what cannot be kept or read is simply not there, and ``status`` says why. A value that was put is
    whole after a crash, or absent; one whose bytes do not fit its hash is dropped, never answered.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        bounds: CacheBounds,
        *,
        memory: MemoryReading | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Values lie in ``database`` and in ``folder``, which is made when it is needed.

        The memory tier leaves room to others as far as ``memory`` tells what is left.
        """
        self.bounds = bounds
        self._notes = Notes()
        self._memory = MemoryTier(bounds.memory)
        self._disk = DiskTiers(database, folder, bounds, self._notes)
        self._read_memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._tick = 0
        self._grown = 0
        self._swept = 0.0
        self._problem = ""

    def get(self, name: str, sha256: str = "") -> bytes | None:
        """The value under ``name``; ``None`` when there is none, or none of that ``sha256``."""
        kept = self.find(name, sha256)
        return kept.data if kept is not None else None

    def find(self, name: str, sha256: str = "", *, max_age: float | None = None) -> Kept | None:
        """As ``get``, telling where it was.

        A content of that ``sha256`` is found by any name and however old it is; without one, ``None`` is answered too
        when the value came from the remote more than ``max_age`` seconds ago.
        """
        held = self._memory.get(name)
        if held is None or sha256 not in ("", held.sha256):
            held = self._memory.get(sha256)
        if held is not None and (sha256 or self._is_young(held.kept_at, max_age)):
            self._used(held.sha256)
            return self._hit(Tier.MEMORY, held)
        with self._tolerant():
            placed = self._place(name, sha256, max_age)
            if placed is not None and (read := self._disk.read(placed.found)) is not None:
                tier, data = read
                held = Held(data, placed.found.sha256, placed.found.kept_at)
                is_risen = tier is Tier.FILES and len(data) <= self._disk.small
                self._used(held.sha256, promote=data if is_risen else None)
                self._hold(name if placed.is_named else held.sha256, held)
                return self._hit(tier, held)
        self._notes.count(Number.MISSES)
        return None

    def copy_to(self, name: str, target: Path, sha256: str = "", *, max_age: float | None = None) -> str | None:
        """Write the value to ``target``, with constant memory where it is large; the answer is its hash, if it was had.

        Raises OSError when ``target`` cannot be written.
        """
        placed: Placed | None = None
        with self._tolerant():
            placed = self._place(name, sha256, max_age)
        if placed is None or placed.found.data is not None or placed.found.size <= SMALL:
            kept = self.find(name, sha256, max_age=max_age)
            if kept is None:
                return None
            target.write_bytes(kept.data)
            return kept.sha256
        if not self._disk.copy(placed.found, target):
            self._notes.count(Number.MISSES)
            return None
        self._used(placed.found.sha256)
        self._notes.count(Number.FILES_HITS)
        return placed.found.sha256

    def put(self, name: str, data: bytes, sha256: str = "") -> bool:
        """Keep ``data`` under ``name``; False when they are not what ``sha256`` says, or could not be kept anywhere."""
        return sha256 in ("", sha256_hex(data)) and self.put_many({name: data}) == 1

    def put_many(self, values: Mapping[str, bytes]) -> int:
        """Keep values by name, together; the answer is how many could be kept.

        What is small goes to memory at once, what is larger when it is read again.
        """
        moment = self._next_tick()
        held = {name: Held(data, sha256_hex(data), moment) for name, data in values.items()}
        arrivals: list[Arrival] = []
        kept: set[str] = set()
        try:
            with self._tolerant(keeping=True):
                for name, each in held.items():
                    if (arrival := self._disk.arrival(name, each.data, each.sha256, len(each.data))) is not None:
                        arrivals.append(arrival)
                lost = held.keys() - {arrival.name for arrival in arrivals}
                self._take_in(arrivals, moment, forgotten=lost)
                kept = held.keys() - lost
        finally:
            self._disk.discard(arrivals)
        for name, each in held.items():
            self._memory.drop(name)
            if name not in kept or len(each.data) <= SMALL:
                self._hold(name, each)
        return sum(name in kept or self._memory.get(name) is not None for name in held)

    def put_file(self, name: str, source: Path, sha256: str) -> bool:
        """As ``put``, of a file's content, with constant memory."""
        arrivals: list[Arrival] = []
        kept = False
        try:
            with self._tolerant(keeping=True):
                size = source.stat().st_size
                if size <= SMALL:
                    return self.put(name, source.read_bytes(), sha256)
                if (arrival := self._disk.arrival(name, source, sha256, size)) is None:
                    return False
                arrivals.append(arrival)
                if arrival.unnamed is None or arrival.unnamed.sha256 != sha256:
                    return False
                self._take_in(arrivals, self._next_tick())
                kept = True
        finally:
            self._disk.discard(arrivals)
        self._memory.drop(name)
        return kept

    def forget(self, name: str) -> None:
        """Keep nothing under ``name``: what the remote gave was not what it should have been, or is another by now."""
        self._memory.drop(name)
        with self._tolerant():
            self._disk.forget(name)

    def pin(self, name: str) -> None:
        """Never let the value under ``name`` give way, nor what is put under it later.

        Raises NotFound when there is none, InvalidInput when what is pinned would not fit.
        """
        self._disk.pin(name)

    def unpin(self, name: str) -> None:
        """Let the value under ``name`` give way again."""
        self._disk.unpin(name)

    def pinned(self) -> list[str]:
        """What is pinned, by name."""
        return self._disk.catalogue.pinned_names()

    def clear(self) -> int:
        """Keep only what is pinned; the answer is how much was forgotten."""
        names = self._disk.catalogue.unpinned_names()
        for name in names:
            self.forget(name)
        self.sweep()
        return len(names)

    def tidy(self) -> None:
        """Write what reading left to be written, fit the memory that others leave, sweep: about once a second."""
        if not self._notes.is_empty:
            self.flush()
        if self._memory.size:
            self._fit_memory()
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            self.sweep()

    def flush(self) -> None:
        """Write what reading left to be written."""
        with self._tolerant():
            self._take_in([], self._next_tick())

    def sweep(self) -> int:
        """Delete files that nobody knows of: what killed processes left; the answer is how many."""
        swept = 0
        with self._tolerant():
            swept += self._disk.sweep()
        return swept

    def check(self) -> CacheCheck:
        """Read everything on the disk and drop what is damaged. Raises what reading the database raises."""
        return self._disk.check()

    def close(self) -> None:
        """Write what is left to be written. Nothing may be called any more."""
        if not self._notes.is_empty:
            self.flush()
        self._memory.clear()

    def count_offline(self) -> None:
        """A read was answered from here because the remote was not reached."""
        self._notes.count(Number.OFFLINE)

    def status(self) -> CacheStatus:
        """What is kept, and of what use it was; reads a few rows. Raises what reading the database raises."""
        self._notes.count(Number.MEMORY_EVICTIONS, self._memory.take_evictions())
        numbers = self._disk.catalogue.numbers()
        numbers.update(self._notes.counts())
        pinned, pinned_bytes = self._disk.catalogue.pinned()
        memory, recent, files = self._memory, self.bounds.recent, self.bounds.files
        held = {
            Tier.MEMORY: (memory.entries, memory.size, memory.allowed),
            Tier.RECENT: (numbers[Number.RECENT_ENTRIES], numbers[Number.RECENT_BYTES], recent),
            Tier.FILES: (numbers[Number.FILES_ENTRIES], numbers[Number.FILES_BYTES], files),
        }
        gone = (Number.MEMORY_EVICTIONS, Number.RECENT_EVICTIONS, Number.FILES_EVICTIONS)
        return CacheStatus(
            tuple(
                TierStatus(tier, *held[tier], numbers[_HITS[tier]], numbers[evictions])
                for tier, evictions in zip(Tier, gone, strict=True)
            ),
            numbers[Number.MISSES],
            numbers[Number.DAMAGED],
            numbers[Number.OFFLINE],
            pinned,
            pinned_bytes,
            self._problem,
        )

    def _place(self, name: str, sha256: str, max_age: float | None) -> Placed | None:
        placed = self._disk.find(name, sha256)
        return placed if placed is not None and (sha256 or self._is_young(placed.found.kept_at, max_age)) else None

    def _is_young(self, kept_at: int, max_age: float | None) -> bool:
        # What seems to come from the future was kept under a clock that was wrong, so its age is not known.
        return max_age is None or -1 <= self._clock() - kept_at / 1e6 <= max_age

    def _hit(self, tier: Tier, held: Held) -> Kept:
        self._notes.count(_HITS[tier])
        return Kept(held.data, held.sha256, tier, max(0.0, self._clock() - held.kept_at / 1e6))

    def _used(self, sha256: str, *, promote: bytes | None = None) -> None:
        if self._notes.used(sha256, self._next_tick(), promote=promote):
            self.flush()

    def _hold(self, name: str, held: Held) -> None:
        self._memory.put(name, held)
        self._grown += len(held.data)
        if self._grown > _GROWTH:
            self._grown = 0
            self._fit_memory()

    def _fit_memory(self) -> None:
        if self._read_memory is not None:
            try:
                self._memory.fit(*self._read_memory())
            except Exception:  # noqa: BLE001 - a system that does not tell its memory is no reason to fail a read
                _log.debug("the memory that is left could not be read", exc_info=True)

    def _take_in(self, arrivals: list[Arrival], moment: int, *, forgotten: Iterable[str] = ()) -> None:
        self._notes.count(Number.MEMORY_EVICTIONS, self._memory.take_evictions())
        gathered = self._notes.take()
        try:
            self._disk.take_in(gathered, arrivals, moment, forgotten=forgotten)
        except BaseException:
            self._notes.give_back(gathered)
            raise

    def _next_tick(self) -> int:
        """This moment in microseconds since the epoch, later than any before."""
        with self._lock:
            self._tick = max(self._tick + 1, int(self._clock() * 1e6))
            return self._tick

    @contextmanager
    def _tolerant(self, *, keeping: bool = False) -> Iterator[None]:
        """What goes wrong inside is logged, and nobody's failure; while ``keeping``, ``status`` tells of it."""
        try:
            yield
        except (BailiwickError, OSError) as error:
            _log.info("the cache does without: %s", error)
            if keeping:
                self._problem = error.message if isinstance(error, BailiwickError) else f"{type(error).__name__}."
        else:
            if keeping:
                self._problem = ""
