"""The default remote: a plain folder, on a disk, a share or a stick; it needs no account and no server."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeVar

from core.errors import ObjectMissing, ObjectTooLarge, RemoteRefused, RemoteUnreachable, StorageFull
from core.remote.meter import OperationMeter, PriceClass
from core.remote.store import AT_MOST, PLAIN, ObjectFacts, ObjectInfo, Progress, checked_key

_CHUNK = 1024 * 1024
_UNFINISHED = "temp/unfinished"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_GONE = (errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ENODEV)
Answer = TypeVar("Answer")


class FolderStore:
    """Objects as files. Put-if-absent is a finished file that is linked to its name, which one of several wins.

    Safe from any thread and any number of processes and machines that see the folder. How objects are stored (facts) is
    not kept: a folder has no headers. Links are never followed, so nothing outside the folder is read or written.
    """

    def __init__(self, root: Path) -> None:
        """Raises RemoteUnreachable when the folder is not there: a stick that is not plugged in is not an empty one."""
        self.root = root
        self.name = str(root)
        self.read_only = False
        self.meter = OperationMeter()
        if not root.is_dir():
            raise RemoteUnreachable(f"The remote folder {root} is not there.", "Plug it in, mount it, or make it.")

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """As ``ObjectStore.put_if_absent``; on the disk when this returns."""
        return self._measured(
            PriceClass.A, key, lambda path: self._write(path, data, progress, replace=False), _size(data)
        )

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """As ``ObjectStore.put``; on the disk when this returns."""
        self._measured(PriceClass.A, key, lambda path: self._write(path, data, progress, replace=True), _size(data))

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

        def read(path: Path) -> bytes:
            with _opened(path) as file:
                size = os.fstat(file.fileno()).st_size
                wanted = max(0, size - first) if length is None else min(length, max(0, size - first))
                _check_size(key, wanted, at_most)
                file.seek(first)
                pieces, done = [], 0
                while done < wanted and (piece := file.read(min(_CHUNK, wanted - done))):
                    pieces.append(piece)
                    done += len(piece)
                    if progress is not None:
                        progress(done, wanted)
                return b"".join(pieces)

        return self._measured(PriceClass.B, key, read)

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """As ``ObjectStore.get_to``."""

        def read(path: Path) -> str:
            digest = hashlib.sha256()
            with _opened(path) as file, target.open("wb") as written:
                size, done = os.fstat(file.fileno()).st_size, 0
                _check_size(key, size, at_most)
                while piece := file.read(_CHUNK):
                    digest.update(piece)
                    written.write(piece)
                    done += len(piece)
                    _check_size(key, done, at_most)
                    if progress is not None:
                        progress(done, size)
            return digest.hexdigest()

        return self._measured(PriceClass.B, key, read)

    def head(self, key: str) -> ObjectInfo | None:
        """As ``ObjectStore.head``; a folder keeps no hashes."""

        def look(path: Path) -> ObjectInfo | None:
            try:
                return _info(key, path)
            except (FileNotFoundError, NotADirectoryError):
                if not self.root.is_dir():
                    raise
                return None

        return self._measured(PriceClass.B, key, look)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """As ``ObjectStore.list``."""

        def look() -> list[ObjectInfo]:
            if not self.root.is_dir():
                raise FileNotFoundError
            infos: list[ObjectInfo] = []
            for key in self._keys(prefix, after):
                with contextlib.suppress(FileNotFoundError):
                    infos.append(_info(key, self.root / key))
                if len(infos) >= limit:
                    break
            return infos

        return self._timed(PriceClass.A, look)

    def delete(self, keys: Sequence[str]) -> None:
        """As ``ObjectStore.delete``."""
        for key in keys:
            self._measured(PriceClass.FREE, key, self._unlink)

    def close(self) -> None:
        """There is nothing to close."""

    def _keys(self, prefix: str, after: str) -> Iterator[str]:
        """The keys that begin with ``prefix`` and come after ``after``, in order; no folder is read without need."""
        start = prefix.rpartition("/")[0]
        if _inside(self.root, self.root / start):
            yield from self._keys_in(f"{start}/" if start else "", prefix, after)

    def _keys_in(self, folder: str, prefix: str, after: str) -> Iterator[str]:
        names: list[str] = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    names.append(f"{entry.name}/")
                elif entry.is_file(follow_symlinks=False):
                    names.append(entry.name)
        for name in sorted(names):
            key = folder + name
            if not name.endswith("/"):
                if key > after and key.startswith(prefix):
                    yield key
            elif (key > after or after.startswith(key)) and (key.startswith(prefix) or prefix.startswith(key)):
                yield from self._keys_in(key, prefix, after)

    def _write(self, path: Path, data: bytes | Path, progress: Progress | None, *, replace: bool) -> bool:
        if not replace and os.path.lexists(path):
            return False
        self._make(path.parent)
        # What a process leaves here that dies is swept as everything under temp/ is.
        unfinished = self.root / _UNFINISHED
        self._make(unfinished)
        if not _inside(self.root, unfinished):
            raise RemoteRefused(f"{_UNFINISHED} is a link that leads out of the remote folder.", "Remove it there.")
        temporary = unfinished / f"{os.getpid()}.{os.urandom(6).hex()}"
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                _copy(data, file, progress)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(temporary, path)
            else:
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    return False
                except OSError as error:
                    if error.errno not in _NO_LINKS:
                        raise
                    raise RemoteRefused(
                        f"The file system of {self.root} knows no hard links, which keep two writers apart.",
                        "Use a folder on another file system.",
                    ) from None
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _make(self, folder: Path) -> None:
        """Make a folder of ours with those on the way to it, on the disk when this returns."""
        missing = []
        while folder != self.root and not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):
                each.mkdir(mode=0o700)
                _sync(each.parent)
            if not each.is_dir():
                raise RemoteRefused(f"{each} in the remote folder is no folder.", "Move it away.")

    @staticmethod
    def _unlink(path: Path) -> None:
        # Its folder stays: another device may be about to write there.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def _measured(self, price: PriceClass, key: str, action: Callable[[Path], Answer], up: int = 0) -> Answer:
        checked_key(key)
        path = self.root / key

        def act() -> Answer:
            if not _inside(self.root, path.parent):
                raise RemoteRefused(f"{key} lies behind a link that leads out of the remote folder.")
            return action(path)

        return self._timed(price, act, key, up)

    def _timed(self, price: PriceClass, action: Callable[[], Answer], key: str = "", up: int = 0) -> Answer:
        started = time.perf_counter()
        answered = True
        down = 0
        try:
            answer = action()
            down = len(answer) if isinstance(answer, bytes) else 0
            return answer
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not self.root.is_dir():
                answered = False
                raise RemoteUnreachable(f"The remote folder {self.root} is gone.", "Plug it in or mount it.") from None
            raise ObjectMissing(f"There is no {key} in the remote.") from None
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull("The disk of the remote folder is full.", "Free some space there.") from None
            if error.errno in _GONE:
                answered = False
                raise RemoteUnreachable(f"The remote folder {self.root} does not answer.", "Is it mounted?") from None
            raise RemoteRefused(
                f"The remote folder refused ({os.strerror(error.errno or 0)}).", f"May you write {self.root}?"
            ) from None
        finally:
            self.meter.count(price, (time.perf_counter() - started) * 1000, up=up, down=down, answered=answered)


def _inside(root: Path, folder: Path) -> bool:
    """Whether no link on the way leads elsewhere; what is not there yet is inside."""
    here = root
    for part in folder.relative_to(root).parts:
        here /= part
        if here.is_symlink():
            return False
    return True


def _size(data: bytes | Path) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return open(descriptor, "rb")


def _copy(data: bytes | Path, file: BinaryIO, progress: Progress | None) -> None:
    if isinstance(data, bytes):
        file.write(data)
        if progress is not None:
            progress(len(data), len(data))
        return
    with data.open("rb") as source:
        size, done = os.fstat(source.fileno()).st_size, 0
        while piece := source.read(_CHUNK):
            file.write(piece)
            done += len(piece)
            if progress is not None:
                progress(done, size)


def _check_size(key: str, size: int, at_most: int) -> None:
    if size > at_most:
        raise ObjectTooLarge(f"{key} in the remote has {size:,} bytes; at most {at_most:,} are read.")


def _info(key: str, path: Path) -> ObjectInfo:
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(path)
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
