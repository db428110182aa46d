"""The file tier: contents by their hash under ``cache/``, each complete before its name exists."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.ids import sha256_hex

LEFT_SECONDS = 120.0
LEAVE_FREE = 256 * 1024 * 1024
_CHUNK = 1024 * 1024
_TEMPORARY = re.compile(r"\.[0-9]+\.[0-9a-f]{12}")
_NAME = re.compile("[0-9a-f]{64}")


class Damaged(Exception):
    """What a file holds does not fit the hash that it is named by."""


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A file that is written, and has no name yet under which it would be found."""

    path: Path
    sha256: str
    size: int


class FileTier:
    """Safe from any thread and process. Raises OSError as the system does.

    Nothing is forced to the disk: every read is compared with its hash, so what a power cut tore is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the content of that hash lies."""
        return self.folder / sha256[:2] / sha256

    def write(self, data: bytes | Path) -> Unnamed:
        """Write a file without a name, to be given one by ``name`` or dropped by ``discard``.

        Raises OSError too rather than take the last of the disk.
        """
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if shutil.disk_usage(self.folder).free < size + LEAVE_FREE:
            raise OSError(28, os.strerror(28), str(self.folder))
        temporary = self.folder / f".{os.getpid()}.{os.urandom(6).hex()}"
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                if isinstance(data, bytes):
                    file.write(data)
                    return Unnamed(temporary, sha256_hex(data), size)
                digest, copied = hashlib.sha256(), 0
                with data.open("rb") as source:
                    while piece := source.read(_CHUNK):
                        file.write(piece)
                        digest.update(piece)
                        copied += len(piece)
                return Unnamed(temporary, digest.hexdigest(), copied)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def name(self, unnamed: Unnamed) -> None:
        """Give the file its name, in place of one that is there."""
        path = self.path(unnamed.sha256)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(unnamed.path, path)

    @staticmethod
    def discard(unnamed: Unnamed) -> None:
        """Delete the file that got no name."""
        unnamed.path.unlink(missing_ok=True)

    def read(self, sha256: str) -> bytes:
        """The content; raises FileNotFoundError and Damaged."""
        data = self.path(sha256).read_bytes()
        if sha256_hex(data) != sha256:
            raise Damaged
        return data

    def copy(self, sha256: str, target: Path) -> int:
        """Write the content to ``target`` with constant memory; the answer is its size. Raises as ``read``."""
        digest, size = hashlib.sha256(), 0
        with self.path(sha256).open("rb") as source, target.open("wb") as file:
            while piece := source.read(_CHUNK):
                digest.update(piece)
                size += file.write(piece)
        if digest.hexdigest() != sha256:
            target.unlink(missing_ok=True)
            raise Damaged
        return size

    def remove(self, sha256: str) -> None:
        """Delete the content, if it is there."""
        with suppress(FileNotFoundError):
            self.path(sha256).unlink()

    def names(self) -> set[str]:
        """The hashes of all files."""
        return {path.name for path in self.folder.glob("[0-9a-f][0-9a-f]/*") if _NAME.fullmatch(path.name)}

    def left(self) -> list[Path]:
        """Files that got no name because whoever wrote them died: those that are older than two minutes."""
        found = []
        for path in self.folder.glob(".*"):
            with suppress(OSError):
                if _TEMPORARY.fullmatch(path.name) and time.time() - path.stat().st_mtime > LEFT_SECONDS:
                    found.append(path)
        return found
