"""The archive of a backup: one .tar.gz, the manifest first, then every member that it names.

Reading trusts nothing: only plain files under names of ours, each as long as the manifest says and with its hash.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from core.agentfs.database import from_text, to_json, to_text, translated
from core.agentfs.tar_stream import BLOCK, CHUNK, content, ending, header, next_header, padding, pieces
from core.crypto.identity import Generation, Identity, proof
from core.errors import InvalidInput, StorageFull
from core.ids import sha256_hex

DATABASE = "agentfs.db"
MANIFEST = "manifest.json"
FORMAT = "bailiwick-backup"
VERSION = 1
LARGEST_MANIFEST = 64 * 1024 * 1024
LARGEST_KEY_FILE = 1024 * 1024
# Gzip at level 1 shrinks nothing beyond 230 to 1, so an archive that unfolds further was not written here.
LEVEL = 1
MOST_EXPANDED = 300
SPARE_BYTES = 64 * 1024 * 1024
_GZIP = 31
_NAME = re.compile(
    r"agentfs\.db|privacy_config\.yml|bailiwick\.yml|files/(?P<folder>[0-9a-f]{2})/(?P<digest>[0-9a-f]{64})(?:\.age)?"
    r"|snapshots/[0-9a-z]{26}\.db|logs/audit-[0-9]{1,18}-[0-9]{1,18}\.jsonl\.gz"
    r"|(?P<key>keys/(?:slots/[0-9a-z]{26}\.(?:age|json)|generations/[0-9]{6}-[0-9a-f]{16}(?:\.[0-9a-z]{26})?\.age))"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PROOF = b"bailiwick/v1/backup"


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a backup, under its path in the workspace."""

    name: str
    size: int
    sha256: str

    @property
    def is_key_file(self) -> bool:
        """Whether it is a key slot or a generation, which passphrases seal."""
        return is_key_file(self.name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds, and the ``missing`` members whose bytes were lost already when it was written.

    ``proof`` is in an encrypted one: whoever learns its recipient could seal another.
    """

    created_at: datetime
    members: tuple[Member, ...]
    missing: tuple[str, ...] = ()
    proof: str = ""

    def encoded(self) -> bytes:
        """The manifest as it lies in the archive."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "created_at": to_text(self.created_at),
            "members": {each.name: {"size": each.size, "sha256": each.sha256} for each in self.members},
            "missing": list(self.missing),
        }
        return to_json({**document, "proof": self.proof} if self.proof else document).encode()

    def proved(self, generation: Generation) -> Manifest:
        """This manifest with its proof."""
        return replace(self, proof=proof(generation, _PROOF, replace(self, proof="").encoded()))

    def is_proved(self, identity: Identity) -> bool:
        """Whether a holder of one of the identity's generations has written exactly this."""
        bare = replace(self, proof="").encoded()
        return any(
            hmac.compare_digest(proof(each, _PROOF, bare).encode(), self.proof.encode())
            for each in identity.generations
        )

    @property
    def id(self) -> str:
        """What the backup is called in the audit trail: the SHA-256 of its manifest."""
        return sha256_hex(self.encoded())

    @property
    def size(self) -> int:
        """The bytes of all members."""
        return sum(member.size for member in self.members)


def is_key_file(name: str) -> bool:
    """Whether ``name`` is that of a key slot or a generation in a workspace."""
    found = _NAME.fullmatch(name)
    return found is not None and found["key"] is not None


def pack(manifest: Manifest, sources: Mapping[str, Path]) -> Iterator[bytes]:
    """The archive, piece by piece; ``sources`` tell where the bytes of each member are.

    Raises FileNotFoundError or EOFError when one of them is gone or was cut off meanwhile.
    """
    zipper = zlib.compressobj(LEVEL, wbits=_GZIP)
    for piece in _tar(manifest, sources):
        yield zipper.compress(piece)
    yield zipper.flush()


def unpack(source: Path, folder: Path, name: str) -> Manifest:
    """Read the archive ``source``, which sentences call ``name``, into ``folder``, every hash checked.

    Raises InvalidInput when the archive is not whole or holds what does not belong there, StorageFull when it does not
    fit; what lies in ``folder`` then is worth nothing.
    """
    with complaints(source, folder, name), source.open("rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
        manifest = _manifest(stream, name)
        if manifest.size > (packed := source.stat().st_size) * MOST_EXPANDED:
            raise refused(name, f"its {packed:,} bytes would unfold to {manifest.size:,}")
        check_room(folder, manifest.size)
        waiting = {member.name: member for member in manifest.members}
        while (found := next_header(stream)) is not None:
            member = waiting.pop(found.name, None)
            if member is None or found.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise refused(name, f"it holds {found.name[:80]!r}, which does not belong in a backup")
            if found.size != member.size:
                raise refused(name, f"{member.name} has not the size that its manifest names")
            _copy(stream, place(folder, member.name), member, name)
        if waiting:
            raise refused(name, f"{next(iter(waiting))} is missing")
        left = 0
        while chunk := stream.read(BLOCK * 128):
            left += len(chunk)
            if left > CHUNK or any(chunk):
                raise refused(name, "something follows its end")
    return manifest


def place(folder: Path, name: str) -> Path:
    """Where the member ``name`` comes to lie in ``folder``; the folders above it are made, readable by you alone."""
    *parts, last = name.split("/")
    for part in parts:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder / last


def check_room(folder: Path, size: int) -> None:
    """Raise StorageFull when ``size`` more bytes do not fit where ``folder`` is."""
    free = shutil.disk_usage(folder).free
    if size + SPARE_BYTES > free:
        raise StorageFull(
            f"The backup needs {size / 2**20:,.0f} MiB and {free / 2**20:,.0f} are free.", "Free some space."
        )


@contextmanager
def complaints(source: Path, folder: Path, name: str) -> Iterator[None]:
    """Turn what reading ``source`` into ``folder`` may raise inside the block into one sentence about ``name``."""
    if not source.is_file():
        raise InvalidInput(f"There is no backup {name}.", "Name a file that `bailiwick sessions backup` wrote.")
    try:
        with translated(folder):
            yield
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError):
        raise refused(name, "it is cut off or damaged") from None
    except PermissionError:
        raise InvalidInput(f"{name} may not be read, or {folder.parent} not be written.") from None


def refused(name: str, why: str) -> InvalidInput:
    """The error for a backup that nothing is restored from."""
    return InvalidInput(f"{name} is not a whole backup: {why}.", "Nothing was restored; use another backup.")


def _tar(manifest: Manifest, sources: Mapping[str, Path]) -> Iterator[bytes]:
    size = 0
    for piece in _members(manifest, sources):
        size += len(piece)
        yield piece
    yield ending(size)


def _members(manifest: Manifest, sources: Mapping[str, Path]) -> Iterator[bytes]:
    moment = int(manifest.created_at.timestamp())
    data = manifest.encoded()
    yield header(MANIFEST, len(data), moment) + data + padding(len(data))
    for member in manifest.members:
        yield header(member.name, member.size, moment)
        with sources[member.name].open("rb") as file:
            yield from pieces(file, member.size)
        yield padding(member.size)


def _manifest(stream: gzip.GzipFile, name: str) -> Manifest:
    found = next_header(stream)
    if found is None or found.name != MANIFEST or not 0 < found.size <= LARGEST_MANIFEST:
        raise refused(name, f"it does not begin with {MANIFEST}")
    data = b"".join(content(stream, found.size))
    try:
        held = json.loads(data)
        if held["format"] != FORMAT:
            raise refused(name, "its manifest is of something else")
        if held["version"] != VERSION:
            raise InvalidInput(f"{name} was written by a newer Bailiwick.", "Update Bailiwick.")
        members = tuple(Member(path, each["size"], each["sha256"]) for path, each in held["members"].items())
        missing = tuple(map(str, held["missing"]))
        manifest = Manifest(from_text(held["created_at"]), members, missing, str(held.get("proof", "")))
        manifest.encoded()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise refused(name, "its manifest cannot be read") from None
    if DATABASE not in held["members"] or not all(_proper(member) for member in members):
        raise refused(name, "its manifest names what does not belong in a backup")
    return manifest


def _proper(member: Member) -> bool:
    name = _NAME.fullmatch(member.name)
    if name is None or type(member.size) is not int or member.size < 0:
        return False
    if not isinstance(member.sha256, str) or not _DIGEST.fullmatch(member.sha256):
        return False
    if name["key"] and member.size > LARGEST_KEY_FILE:
        return False
    digest = name["digest"]
    return digest is None or (digest == member.sha256 and digest.startswith(name["folder"]))


def _copy(stream: gzip.GzipFile, path: Path, member: Member, name: str) -> None:
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for piece in content(stream, member.size):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != member.sha256:
        raise refused(name, f"{member.name} is not as it was written")
