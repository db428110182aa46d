"""Small files that are complete under their name or not there at all, and private ones read with care."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.crypto.secret import Secret
from core.errors import BailiwickError, InvalidInput, NotFound, StorageFull, Unreachable, WorkspaceUnusable

_TEMPORARY = ".new-"
_LOCK = ".lock"


def write_new(path: Path, data: bytes | Secret) -> None:
    """Write ``path``, readable by you alone, complete and on the disk before it has its name; it must not exist yet.

    A process that dies in between leaves at most a file beginning with ``.new-``, which ``only_one`` sweeps away.
    Raises InvalidInput when ``path`` exists, StorageFull, or WorkspaceUnusable when its folder cannot be written.
    """
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}.{os.urandom(6).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data.reveal() if isinstance(data, Secret) else data)
                file.flush()
                os.fsync(descriptor)
            os.link(temporary, path)
        finally:
            with suppress(OSError):
                os.unlink(temporary)
        sync_folder(path.parent)
    except FileExistsError:
        raise InvalidInput(f"{path} exists already.", "Name another file.") from None
    except OSError as error:
        raise cannot_write(error, path) from None


def delete(path: Path) -> None:
    """Delete ``path``, on the disk too when this returns; nothing is said when it is gone already."""
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(error, path) from None


@contextmanager
def only_one(folder: Path, *inner: Path, seconds: float = 30) -> Iterator[None]:
    """Make ``folder`` and ``inner`` (0700), let one process and thread at a time into the block, sweep after crashes.

    The system drops the lock when its process ends, however it ends. Raises Unreachable when another stays inside for
    longer than ``seconds``.
    """
    try:
        for each in (folder, *inner):
            if not each.is_dir():
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_folder(each.parent)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(error, folder) from None
    try:
        end = time.monotonic() + seconds
        while not _taken(descriptor):
            if time.monotonic() >= end:
                raise Unreachable("Another process is changing the keys.", "Try again when it has ended.")
            time.sleep(0.02)
        for each in (folder, *inner):
            for left in each.glob(f"{_TEMPORARY}*"):
                with suppress(OSError):
                    left.unlink()
        yield
    finally:
        os.close(descriptor)


def read_small(path: Path, limit: int = 1 << 20) -> bytes | None:
    """The bytes of a regular file of at most ``limit`` bytes, never through a link; None when there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceUnusable(f"{path} cannot be read ({os.strerror(error.errno or 0)}).") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise WorkspaceUnusable(f"{path} is not a plain file.")
        data = _up_to(limit + 1, descriptor)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise WorkspaceUnusable(f"{path} is too large to be what its name says.")
    return data


def read_private(path: Path, what: str, limit: int = 1 << 16) -> Secret:
    """The content of a file (or pipe) that only its owner can read, which is you or the administrator.

    Raises NotFound, or InvalidInput when others can read or change it; ``what`` ("key file") is for the sentence.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no {what} {path}.") from None
    except OSError as error:
        raise InvalidInput(f"The {what} {path} cannot be read ({os.strerror(error.errno or 0)}).") from None
    try:
        facts = os.fstat(descriptor)
        if not (stat.S_ISREG(facts.st_mode) or stat.S_ISFIFO(facts.st_mode)):
            raise InvalidInput(f"The {what} {path} is not a file.")
        if facts.st_mode & 0o077 or facts.st_uid not in (os.geteuid(), 0):
            raise InvalidInput(
                f"The {what} {path} can be read or changed by others, so it keeps no secret.",
                f"Make a new one, or run chmod 600 on it if nobody has seen it: chmod 600 {path}",
            )
        content = Secret(_up_to(limit + 1, descriptor))
    finally:
        os.close(descriptor)
    if len(content.reveal()) > limit:
        raise InvalidInput(f"The {what} {path} is too large to be one.")
    return content


def sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(error: OSError, path: Path) -> BailiwickError:
    """The sentence for what the system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("The disk is full.", "Free some space and try again; nothing was half-written.")
    return WorkspaceUnusable(
        f"{path} cannot be written ({os.strerror(error.errno or 0)}).", "Make its folder writable, or name another."
    )


def _up_to(limit: int, descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(limit)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
