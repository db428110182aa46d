"""The archive of a backup: one .tar.gz, the manifest first, then every member that it names.

Reading trusts nothing: only plain files under names of ours, each as long as the manifest says and with its hash.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from core.agentfs.database import from_text, to_json, to_text, translated
from core.errors import InvalidInput, StorageFull
from core.ids import sha256_hex

DATABASE = "agentfs.db"
MANIFEST = "manifest.json"
FORMAT = "bailiwick-backup"
VERSION = 1
LARGEST_MANIFEST = 64 * 1024 * 1024
# Gzip at level 1 shrinks nothing beyond 230 to 1, so an archive that unfolds further was not written here.
LEVEL = 1
MOST_EXPANDED = 300
SPARE_BYTES = 64 * 1024 * 1024
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1024 * 1024
_NAME = re.compile(
    r"agentfs\.db|files/(?P<folder>[0-9a-f]{2})/(?P<digest>[0-9a-f]{64})"
    r"|snapshots/[0-9a-z]{26}\.db|logs/audit-[0-9]{1,18}-[0-9]{1,18}\.jsonl\.gz"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a backup, under its path in the workspace."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and the ``missing`` members whose bytes were lost already when it was written."""

    created_at: datetime
    members: tuple[Member, ...]
    missing: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """The manifest as it lies in the archive."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "created_at": to_text(self.created_at),
            "members": {each.name: {"size": each.size, "sha256": each.sha256} for each in self.members},
            "missing": list(self.missing),
        }
        return to_json(document).encode()

    @property
    def id(self) -> str:
        """What the backup is called in the audit trail: the SHA-256 of its manifest."""
        return sha256_hex(self.encoded())

    @property
    def size(self) -> int:
        """The bytes of all members."""
        return sum(member.size for member in self.members)


def pack(file: BinaryIO, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    """Write the archive; ``sources`` tell where the bytes of each member are."""
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=file) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        moment = int(manifest.created_at.timestamp())
        data = manifest.encoded()
        archive.addfile(_header(MANIFEST, len(data), moment), BytesIO(data))
        for member in manifest.members:
            with sources[member.name].open("rb") as source:
                archive.addfile(_header(member.name, member.size, moment), source)


def unpack(source: Path, folder: Path) -> Manifest:
    """Read the archive ``source`` into ``folder``, every hash checked.

    Raises InvalidInput when the archive is not whole or holds what does not belong there, StorageFull when it does not
    fit; what lies in ``folder`` then is worth nothing.
    """
    with _complaints(source, folder), source.open("rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
        manifest = _manifest(stream, source)
        _check_room(source, folder, manifest)
        waiting = {member.name: member for member in manifest.members}
        while (header := _next_header(stream)) is not None:
            member = waiting.pop(header.name, None)
            if member is None or header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise _refused(source, f"it holds {header.name[:80]!r}, which does not belong in a backup")
            if header.size != member.size:
                raise _refused(source, f"{member.name} has not the size that its manifest names")
            _make_folders(folder, member)
            _copy(stream, folder / member.name, member, source)
        if waiting:
            raise _refused(source, f"{next(iter(waiting))} is missing")
        left = 0
        while chunk := stream.read(_BLOCK * 128):
            left += len(chunk)
            if left > _CHUNK or any(chunk):
                raise _refused(source, "something follows its end")
    return manifest


def _header(name: str, size: int, moment: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, moment, 0o600
    return header


def _manifest(stream: gzip.GzipFile, source: Path) -> Manifest:
    header = _next_header(stream)
    if header is None or header.name != MANIFEST or not 0 < header.size <= LARGEST_MANIFEST:
        raise _refused(source, f"it does not begin with {MANIFEST}")
    data = b"".join(_pieces(stream, header.size))
    try:
        held = json.loads(data)
        if held["format"] != FORMAT:
            raise _refused(source, "its manifest is of something else")
        if held["version"] != VERSION:
            raise InvalidInput(f"{source} was written by a newer Bailiwick.", "Update Bailiwick.")
        members = tuple(Member(name, each["size"], each["sha256"]) for name, each in held["members"].items())
        manifest = Manifest(from_text(held["created_at"]), members, tuple(map(str, held["missing"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refused(source, "its manifest cannot be read") from None
    if DATABASE not in held["members"] or not all(_proper(member) for member in members):
        raise _refused(source, "its manifest names what does not belong in a backup")
    return manifest


def _proper(member: Member) -> bool:
    name = _NAME.fullmatch(member.name)
    if name is None or type(member.size) is not int or member.size < 0:
        return False
    if not isinstance(member.sha256, str) or not _DIGEST.fullmatch(member.sha256):
        return False
    digest = name["digest"]
    return digest is None or (digest == member.sha256 and digest.startswith(name["folder"]))


def _check_room(source: Path, folder: Path, manifest: Manifest) -> None:
    packed = source.stat().st_size
    if manifest.size > packed * MOST_EXPANDED:
        raise _refused(source, f"its {packed:,} bytes would unfold to {manifest.size:,}")
    free = shutil.disk_usage(folder).free
    if manifest.size + SPARE_BYTES > free:
        raise StorageFull(
            f"The backup needs {manifest.size / 2**20:,.0f} MiB and {free / 2**20:,.0f} are free.", "Free some space."
        )


def _next_header(stream: gzip.GzipFile) -> tarfile.TarInfo | None:
    block = _exactly(stream, _BLOCK)
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape") if any(block) else None


def _make_folders(folder: Path, member: Member) -> None:
    for part in member.name.split("/")[:-1]:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)


def _copy(stream: gzip.GzipFile, path: Path, member: Member, source: Path) -> None:
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for piece in _pieces(stream, member.size):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != member.sha256:
        raise _refused(source, f"{member.name} is not as it was written")


def _pieces(stream: gzip.GzipFile, size: int) -> Iterator[bytes]:
    """The next ``size`` bytes, and past the padding behind them."""
    left = size
    while left:
        piece = _exactly(stream, min(left, _CHUNK))
        left -= len(piece)
        yield piece
    _exactly(stream, -size % _BLOCK)


def _exactly(stream: gzip.GzipFile, size: int) -> bytes:
    data = stream.read(size)
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


@contextmanager
def _complaints(source: Path, folder: Path) -> Iterator[None]:
    if not source.is_file():
        raise InvalidInput(f"There is no backup {source}.", "Name a file that `bailiwick sessions backup` wrote.")
    try:
        with translated(folder):
            yield
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError):
        raise _refused(source, "it is cut off or damaged") from None
    except PermissionError:
        raise InvalidInput(f"{source} may not be read, or {folder.parent} not be written.") from None


def _refused(source: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{source} is not a whole backup: {why}.", "Nothing was restored; use another backup.")
