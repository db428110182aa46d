"""Files that a person asked for: complete under their name, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.agentfs.database import translated
from core.errors import InvalidInput


@contextmanager
def whole_file(target: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Write under a temporary name; when the block ends well it is on the disk as ``target``, readable by you alone.

    Raises InvalidInput when ``target`` exists and is not to be replaced, or its folder cannot be written.
    """
    if target.is_dir():
        raise InvalidInput(f"{target} is a folder.", "Name a file.")
    if target.exists() and not replace:
        raise InvalidInput(f"{target} exists already.", "Name another file, or replace it with --force.")
    temporary = target.with_name(f".{target.name[:200]}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with translated(target):
            with os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            sync_folder(target.parent)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(temporary):
            raise
        raise InvalidInput(
            f"{target} cannot be written ({os.strerror(error.errno or 0)}).", "Name a file in a folder of yours."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def refuse_own(root: Path, path: Path) -> None:
    """Raise InvalidInput when ``path`` lies in the workspace at ``root``, or is its database under another name.

    Opening and closing a live SQLite file beside its connections would drop the locks that keep two writers apart.
    """
    try:
        folder, workspace = Path(os.path.realpath(path.parent)), Path(os.path.realpath(root))
        is_own = workspace == folder or workspace in folder.parents or _is_same(path, root / "agentfs.db")
    except ValueError:
        raise InvalidInput(f"{str(path)!r} cannot be a file's name.") from None
    if is_own:
        raise InvalidInput(f"{path} belongs to the workspace itself.", "Name a file outside of it.")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` survive a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
