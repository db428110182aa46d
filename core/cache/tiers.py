"""The cache: values by name, looked for in memory, in AgentFS and among files, and promoted where they are used."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.agentfs.database import Database, translated
from core.cache.bounds import SMALL, CacheBounds
from core.cache.catalogue import Catalogue, Found, Number
from core.cache.files import LEFT_SECONDS, FileTier, Unnamed
from core.cache.memory import Held, MemoryTier
from core.cache.notes import Notes
from core.cache.status import CacheCheck, CacheStatus, Tier, TierStatus
from core.errors import BailiwickError, InvalidInput, NotFound
from core.ids import sha256_hex

_log = logging.getLogger(__name__)
FOLDER = "cache"
LARGEST_SHARE = 16
LARGEST_FILE_SHARE = 2
"""One value takes at most this part of the files' bound, and more where it came as a file, which somebody asked for."""
SWEEP_SECONDS = 300.0
_BATCH = 64
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


@dataclass(frozen=True, slots=True)
class _Arrival:
    """Something to be kept: as ``data`` in AgentFS, or as the file ``unnamed``."""

    name: str
    sha256: str
    size: int
    data: bytes | None
    unnamed: Unnamed | None


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
        """Values lie in ``database`` and in ``folder``, which is made when it is needed."""
        self.bounds = bounds
        self._database = database
        self._catalogue = Catalogue(database)
        self._files = FileTier(folder)
        self._memory = MemoryTier(bounds.memory)
        self._notes = Notes()
        self._read_memory = memory
        self._clock = clock
        self._lock = threading.Lock()
        self._tick = 0
        self._grown = 0
        self._swept = 0.0
        self._problem = ""

    # Reading

    def get(self, name: str, sha256: str = "") -> bytes | None:
        """The value under ``name``; ``None`` when there is none, or none of that ``sha256``."""
        kept = self.find(name, sha256)
        return kept.data if kept is not None else None

    def find(self, name: str, sha256: str = "", *, max_age: float | None = None) -> Kept | None:
        """As ``get``, telling where it was; ``None`` too when it came from the remote over ``max_age`` seconds ago.

        A content of that ``sha256`` is found by any name.
        """
        held = self._memory.get(name)
        if held is not None and sha256 in ("", held.sha256) and self._is_young(held.kept_at, max_age):
            return self._hit(Tier.MEMORY, held)
        found: tuple[Tier, Held] | None = None
        with self._tolerant():
            found = self._find_on_disk(name, sha256, max_age)
        if found is None:
            self._notes.count(Number.MISSES)
            return None
        tier, held = found
        self._hold(name, held)
        return self._hit(tier, held)

    def copy_to(self, name: str, target: Path, sha256: str = "", *, max_age: float | None = None) -> str | None:
        """Write the value to ``target``, with constant memory where it is large; the answer is its hash, if it was had.

        Raises OSError when ``target`` cannot be written.
        """
        place: Found | None = None
        with self._tolerant():
            place = self._place(name, sha256, max_age)
        if place is None or not place.is_file or place.is_recent or place.size <= SMALL:
            kept = self.find(name, sha256, max_age=max_age)
            if kept is None:
                return None
            target.write_bytes(kept.data)
            return kept.sha256
        if not self._files.copy(place.sha256, target):
            self._drop(place.sha256, file=True)
            self._notes.count(Number.MISSES)
            return None
        self._used(place.sha256)
        self._notes.count(Number.FILES_HITS)
        return place.sha256

    # Keeping

    def put(self, name: str, data: bytes, sha256: str = "") -> bool:
        """Keep ``data`` under ``name``; False when they are not what ``sha256`` says, or could not be kept anywhere."""
        return self.put_many({name: data}) == 1 if sha256 in ("", sha256_hex(data)) else False

    def put_many(self, values: Mapping[str, bytes]) -> int:
        """Keep values by name, together; the answer is how many could be kept.

        What is small goes to memory at once, what is larger when it is read again.
        """
        arrivals: list[_Arrival] = []
        held: dict[str, Held] = {}
        moment = self._next_tick()
        kept: set[str] = set()
        try:
            with self._tolerant(keeping=True):
                for name, data in values.items():
                    held[name] = Held(data, sha256_hex(data), moment)
                    if (arrival := self._arrival(name, data, held[name].sha256, len(data))) is not None:
                        arrivals.append(arrival)
                lost = held.keys() - {arrival.name for arrival in arrivals}
                self._take_in(arrivals, moment, forgotten=lost)
                kept = held.keys() - lost
        finally:
            self._discard(arrivals)
        for name, value in held.items():
            self._memory.drop(name)
            if name not in kept or len(value.data) <= SMALL:
                self._hold(name, value)
        return sum(name in kept or self._memory.get(name) is not None for name in held)

    def put_file(self, name: str, source: Path, sha256: str) -> bool:
        """As ``put``, of a file's content, with constant memory."""
        arrivals: list[_Arrival] = []
        kept = False
        try:
            with self._tolerant(keeping=True):
                size = source.stat().st_size
                if size <= SMALL:
                    return self.put(name, source.read_bytes(), sha256)
                arrival = self._arrival(name, source, sha256, size)
                if arrival is None:
                    return False
                arrivals.append(arrival)
                if arrival.unnamed is None or arrival.unnamed.sha256 != sha256:
                    return False
                self._take_in(arrivals, self._next_tick())
                kept = True
        finally:
            self._discard(arrivals)
        self._memory.drop(name)
        return kept

    def forget(self, name: str) -> None:
        """Keep nothing under ``name``: what the remote gave was not what it should have been, or is another by now."""
        self._memory.drop(name)
        with self._tolerant(), self._database.transaction() as connection:
            self._remove_unnamed(connection, self._catalogue.forget(connection, name))

    # Pinning

    def pin(self, name: str) -> None:
        """Never let the value under ``name`` give way, nor what is put under it later.

        Raises NotFound when there is none, InvalidInput when what is pinned would not fit.
        """
        with self._database.transaction() as connection:
            found = self._catalogue.find(name)
            if found is None:
                raise NotFound(f"{name} is not in the cache.", "Fetch it first.")
            self._catalogue.set_pinned(connection, name, True)
            _, size = self._catalogue.pinned(connection)
            if size > self.bounds.files:
                raise InvalidInput(
                    f"With {name} there would be {size:,} bytes pinned; the cache has room for {self.bounds.files:,}.",
                    "Unpin something, or raise cache.files_mb.",
                )

    def unpin(self, name: str) -> None:
        """Let the value under ``name`` give way again."""
        with self._database.transaction() as connection:
            self._catalogue.set_pinned(connection, name, False)

    def pinned(self) -> list[str]:
        """What is pinned, by name."""
        return self._catalogue.pinned_names()

    # Upkeep

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
            for path in self._files.left():
                path.unlink(missing_ok=True)
                swept += 1
            if not (names := self._files.names()):
                return swept
            with self._database.transaction() as connection:
                names.difference_update(self._catalogue.file_hashes(connection))
                for sha256 in names:
                    with suppress(FileNotFoundError):
                        if time.time() - self._files.path(sha256).stat().st_mtime > LEFT_SECONDS:
                            self._files.remove(sha256)
                            swept += 1
        return swept

    def check(self) -> CacheCheck:
        """Read everything on the disk and drop what is damaged. Raises what reading the database raises."""
        entries = size = damaged = 0
        after = ""
        while batch := self._catalogue.contents(after, _BATCH):
            after = batch[-1].sha256
            for found in batch:
                entries, size = entries + 1, size + found.size
                recent = found.is_recent and (found.data is None or sha256_hex(found.data) != found.sha256)
                file = found.is_file and self._files.read(found.sha256) is None
                if recent or file:
                    damaged += 1
                    self._drop(found.sha256, recent=recent, file=file)
        return CacheCheck(entries, size, damaged)

    def close(self) -> None:
        """Write what is left to be written. Nothing may be called any more."""
        if not self._notes.is_empty:
            self.flush()
        self._memory.clear()

    def status(self) -> CacheStatus:
        """What is kept, and of what use it was; reads a few rows. Raises what reading the database raises."""
        self._notes.count(Number.MEMORY_EVICTIONS, self._memory.take_evictions())
        numbers = self._catalogue.numbers()
        numbers.update(self._notes.counts())
        pinned, pinned_bytes = self._catalogue.pinned()
        memory = TierStatus(
            Tier.MEMORY,
            self._memory.entries,
            self._memory.size,
            self._memory.allowed,
            numbers[Number.MEMORY_HITS],
            numbers[Number.MEMORY_EVICTIONS],
        )
        recent = TierStatus(
            Tier.RECENT,
            numbers[Number.RECENT_ENTRIES],
            numbers[Number.RECENT_BYTES],
            self.bounds.recent,
            numbers[Number.RECENT_HITS],
            numbers[Number.RECENT_EVICTIONS],
        )
        files = TierStatus(
            Tier.FILES,
            numbers[Number.FILES_ENTRIES],
            numbers[Number.FILES_BYTES],
            self.bounds.files,
            numbers[Number.FILES_HITS],
            numbers[Number.FILES_EVICTIONS],
        )
        return CacheStatus(
            (memory, recent, files),
            numbers[Number.MISSES],
            numbers[Number.DAMAGED],
            numbers[Number.OFFLINE],
            pinned,
            pinned_bytes,
            self._problem,
        )

    def count_offline(self) -> None:
        """A read was answered from here because the remote was not reached."""
        self._notes.count(Number.OFFLINE)

    # Inside

    def _find_on_disk(self, name: str, sha256: str, max_age: float | None) -> tuple[Tier, Held] | None:
        found = self._place(name, sha256, max_age)
        if found is None:
            return None
        if found.data is not None:
            if sha256_hex(found.data) == found.sha256:
                self._used(found.sha256)
                return Tier.RECENT, Held(found.data, found.sha256, found.kept_at)
            self._drop(found.sha256, recent=True)
        if not found.is_file:
            return None
        data = self._files.read(found.sha256)
        if data is None:
            self._drop(found.sha256, file=True)
            return None
        self._used(found.sha256, promote=data if len(data) <= SMALL else None)
        return Tier.FILES, Held(data, found.sha256, found.kept_at)

    def _place(self, name: str, sha256: str, max_age: float | None) -> Found | None:
        found = self._catalogue.find(name)
        if sha256 and (found is None or found.sha256 != sha256):
            return self._catalogue.find_content(sha256)
        return found if found is not None and self._is_young(found.kept_at, max_age) else None

    def _is_young(self, kept_at: int, max_age: float | None) -> bool:
        # What seems to come from the future was kept under a clock that was wrong, so its age is not known.
        return max_age is None or -1 <= self._clock() - kept_at / 1e6 <= max_age

    def _hit(self, tier: Tier, held: Held) -> Kept:
        self._notes.count(_HITS[tier])
        if tier is Tier.MEMORY:
            self._used(held.sha256)
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

    def _arrival(self, name: str, data: bytes | Path, sha256: str, size: int) -> _Arrival | None:
        """What is to be kept, as a file written already unless it is small; ``None`` when it is too large."""
        if isinstance(data, bytes) and size <= min(SMALL, self.bounds.recent):
            return _Arrival(name, sha256, size, data, None)
        share = LARGEST_SHARE if isinstance(data, bytes) else LARGEST_FILE_SHARE
        if size > self.bounds.files // share:
            return None
        with translated(self._database.path):
            return _Arrival(name, sha256, size, None, self._files.write(data))

    def _take_in(self, arrivals: list[_Arrival], moment: int, *, forgotten: Iterable[str] = ()) -> None:
        """Write down what was gathered, keep ``arrivals``, keep nothing under the names ``forgotten``, at once."""
        self._notes.count(Number.MEMORY_EVICTIONS, self._memory.take_evictions())
        gathered = self._notes.take()
        try:
            with self._database.transaction() as connection:
                self._catalogue.touch(connection, gathered.used)
                self._catalogue.add(connection, gathered.counts)
                for sha256, data in gathered.promoted.items():
                    self._catalogue.promote(connection, sha256, data)
                for arrival in arrivals:
                    self._keep(connection, arrival, moment)
                for name in forgotten:
                    self._remove_unnamed(connection, self._catalogue.forget(connection, name))
                self._make_room(connection)
        except BaseException:
            self._notes.give_back(gathered)
            raise

    def _keep(self, connection: sqlite3.Connection, arrival: _Arrival, moment: int) -> None:
        if arrival.unnamed is not None:
            self._files.name(arrival.unnamed)
        self._catalogue.keep(connection, arrival.sha256, arrival.size, moment, data=arrival.data)
        replaced = self._catalogue.put(connection, arrival.name, arrival.sha256, arrival.size, moment)
        self._remove_unnamed(connection, replaced)
        if self._catalogue.is_pinned(connection, arrival.sha256):
            _, size = self._catalogue.pinned(connection)
            if size > self.bounds.files:
                self._catalogue.set_pinned(connection, arrival.name, False)
                _log.warning("%s has grown too large to stay pinned in the cache", arrival.name)

    def _remove_unnamed(self, connection: sqlite3.Connection, sha256: str | None) -> None:
        if sha256 is not None:
            self._catalogue.release(connection, sha256, recent=True, file=True)
            self._files.remove(sha256)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Bring both tiers under their bounds: small values that were not used for long become files, files go.

        Files are deleted inside the transaction, so that nobody puts the same content back in between.
        """
        numbers = self._catalogue.numbers(connection)
        over = numbers[Number.RECENT_BYTES] - self.bounds.recent
        while over > 0:
            moved = 0
            for found in self._catalogue.recent_in_order(connection, _BATCH):
                if over - moved <= 0:
                    break
                if self._become_file(connection, found):
                    moved += found.size
            if not moved:
                break
            over -= moved
        over = self._catalogue.numbers(connection)[Number.FILES_BYTES] - self.bounds.files
        while over > 0 and (batch := self._catalogue.files_in_order(connection, _BATCH)):
            for found in batch:
                if over <= 0:
                    break
                self._catalogue.release(connection, found.sha256, file=True)
                self._files.remove(found.sha256)
                self._catalogue.add(connection, {Number.FILES_EVICTIONS: 1})
                over -= found.size

    def _become_file(self, connection: sqlite3.Connection, found: Found) -> bool:
        """Move a small value to the files; one that cannot be written there goes, unless it is pinned."""
        if not found.is_file and found.data is not None:
            try:
                self._files.name(self._files.write(found.data))
                self._catalogue.keep(connection, found.sha256, found.size, 0)
            except OSError:
                if self._catalogue.is_pinned(connection, found.sha256):
                    return False
        self._catalogue.release(connection, found.sha256, recent=True)
        self._catalogue.add(connection, {Number.RECENT_EVICTIONS: 1})
        return True

    def _drop(self, sha256: str, *, recent: bool = False, file: bool = False) -> None:
        """Drop what is damaged or missing. A file that is gone was deleted: that is no damage."""
        is_damage = recent or self._files.is_there(sha256)
        with self._tolerant(), self._database.transaction() as connection:
            self._catalogue.release(connection, sha256, recent=recent, file=file)
            if file:
                self._files.remove(sha256)
        if is_damage:
            self._notes.count(Number.DAMAGED)
            _log.warning("a damaged entry of the cache was dropped: %s", sha256)

    def _discard(self, arrivals: list[_Arrival]) -> None:
        for arrival in arrivals:
            if arrival.unnamed is not None:
                with suppress(OSError):
                    self._files.discard(arrival.unnamed)

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
