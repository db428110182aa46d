"""Reading objects of S3: what is cut off goes on where it was, and what is large comes in several ranges at once."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.errors import ObjectTooLarge, RemoteRefused, RemoteUnreachable
from core.remote.meter import PriceClass
from core.remote.s3_errors import BeyondEnd, unanswered_error
from core.remote.store import Progress

if TYPE_CHECKING:
    from core.remote.s3 import S3Store

RANGE = 16 * 1024 * 1024
_AT_ONCE = 4
_CHUNK = 256 * 1024
_CUTS = 3
_CONTENT_RANGE = re.compile(r"bytes \d+-\d+/(\d+)")
Sink = Callable[[bytes, int, "Whole"], None]
"""Takes the next bytes of what was asked for, how many there are with them, and the object they are of."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The object that was read from: its bytes, and the tag that is another when it was replaced meanwhile."""

    size: int
    tag: str


def read(store: S3Store, key: str, first: int, length: int | None, at_most: int, sink: Sink) -> Whole:
    """Give ``sink`` the object, or ``length`` (not 0) bytes of it from ``first``.

    Raises as ``ObjectStore.get``, and ObjectMissing's BeyondEnd where the object ends before ``first``.
    """
    whole: Whole | None = None
    wanted, done, cuts = -1, 0, 0
    while done != wanted:
        begin = first + done
        ranged = bool(begin) or length is not None
        last = "" if length is None else first + length - 1
        asked: dict[str, Any] = {"Range": f"bytes={begin}-{last}"} if ranged else {}
        before, started = done, time.perf_counter()
        answer = store.request(PriceClass.B, "get_object", counted=False, **asked, **store.named(key))
        body, lost = answer["Body"], ""
        try:
            here, size = _told(answer, ranged=ranged, name=store.name)
            found = Whole(size, str(answer.get("ETag", "")))
            if whole is None:
                whole, wanted = found, here
                _check(key, size if length is None and not first else here, at_most)
            elif found != whole or here != wanted - done:
                raise RemoteRefused(f"{key} in the remote changed while it was read.", "Try again.")
            while done < wanted and (piece := bytes(body.read(min(_CHUNK, wanted - done)))):
                done += len(piece)
                sink(piece, done, whole)
        except Exception as error:
            unanswered = unanswered_error(error, store.name)
            if unanswered is None:
                raise
            lost = unanswered.message
        finally:
            body.close()
            store.count(PriceClass.B, started, down=done - before, answered=not lost)
        if done != wanted:
            cuts = cuts + 1 if done == before else 1
            if cuts == _CUTS:
                raise RemoteUnreachable(lost or f"{key} was cut off on its way from {store.name}.", "Try again.")
            store.pause(cuts)
    return whole or Whole(0, "")


def download(store: S3Store, key: str, target: Path, at_most: int, progress: Progress | None) -> str:
    """Write the object to ``target``; the answer is its SHA-256. Raises as ``ObjectStore.get_to``."""
    with target.open("w+b") as file:
        written = _Written(file, key, at_most, progress)
        try:
            whole = read(store, key, 0, RANGE, RANGE, written.at(0))
        except BeyondEnd:
            return hashlib.sha256().hexdigest()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            left = deque(range(RANGE, whole.size, RANGE))
            waiting: deque[Future[Whole]] = deque()
            digest = hashlib.sha256()
            hashed = 0
            try:
                while True:
                    while left and len(waiting) < _AT_ONCE:
                        begin = left.popleft()
                        waiting.append(pool.submit(read, store, key, begin, RANGE, RANGE, written.at(begin)))
                    hashed = written.hash_from(hashed, min(hashed + RANGE, whole.size), digest)
                    if not waiting:
                        break
                    if waiting.popleft().result() != whole:
                        raise RemoteRefused(f"{key} in the remote changed while it was read.", "Try again.")
            except BaseException as reason:
                written.stop(reason)
                for each in waiting:
                    each.cancel()
                raise
        return digest.hexdigest()


class _Written:
    """A file that several ranges are written to."""

    def __init__(self, file: BinaryIO, key: str, at_most: int, progress: Progress | None) -> None:
        self._file = file
        self._key = key
        self._at_most = at_most
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0
        self._stopped: BaseException | None = None

    def at(self, begin: int) -> Sink:
        """What takes the range from ``begin``."""

        def write(piece: bytes, done: int, whole: Whole) -> None:
            _check(self._key, whole.size, self._at_most)
            os.pwrite(self._file.fileno(), piece, begin + done - len(piece))
            with self._lock:
                if self._stopped is not None:
                    raise self._stopped
                self._done += len(piece)
                if self._progress is not None:
                    try:
                        self._progress(self._done, whole.size)
                    except BaseException as reason:
                        self._stopped = reason
                        raise

        return write

    def stop(self, reason: BaseException) -> None:
        """Let every range end with its next piece."""
        with self._lock:
            self._stopped = self._stopped or reason

    def hash_from(self, begin: int, end: int, digest: hashlib._Hash) -> int:
        """Add what was written between ``begin`` and ``end``, which is the answer."""
        while begin < end:
            piece = os.pread(self._file.fileno(), min(_CHUNK, end - begin), begin)
            digest.update(piece)
            begin += len(piece)
        return end


def _told(answer: dict[str, Any], *, ranged: bool, name: str) -> tuple[int, int]:
    """How many bytes come, and how many the object has."""
    here = int(answer.get("ContentLength", -1))
    size = here
    if ranged:
        found = _CONTENT_RANGE.fullmatch(str(answer.get("ContentRange", "")))
        size = int(found.group(1)) if found else -1
    if here < 0 or size < here:
        raise RemoteRefused(f"The remote {name} cannot send parts of objects.", "Use another store.")
    return here, size


def _check(key: str, size: int, at_most: int) -> None:
    if size > at_most:
        raise ObjectTooLarge(f"{key} in the remote has {size:,} bytes; at most {at_most:,} are read.")
