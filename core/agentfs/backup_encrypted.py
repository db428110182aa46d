"""The archive of an encrypted backup: a plain tar of the key files, then the ordinary archive sealed with age.

Whoever knows a passphrase or recovery code of the workspace needs nothing of ours::

    tar xf BACKUP
    age -d keys/slots/SLOT.age > opened
    age -d -i opened backup.tar.gz.age | tar xz

Where the keys were rotated after that slot was made, its newer ones come before the third::

    for each in keys/generations/*.age; do age -d -i opened $each >> opened; done

Reading trusts nothing: the outer archive must be, byte for byte, what is written here for the members it holds, and
the manifest inside, which only a holder of the keys could make, must name the same key files.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.agentfs.backup_archive import (
    LARGEST_KEY_FILE,
    Manifest,
    Member,
    check_room,
    complaints,
    is_key_file,
    pack,
    place,
    refused,
    unpack,
)
from core.agentfs.tar_stream import BLOCK, CHUNK, content, ending, exactly, header, padding
from core.crypto.generations import GENERATIONS_FOLDER, coverage
from core.crypto.identity import Identity
from core.crypto.sealing import open_stream, seal_stream
from core.crypto.slot_header import SlotKind
from core.crypto.slots import SLOTS_FOLDER, KeySlots
from core.crypto.whole_files import read_small, write_new
from core.errors import InvalidInput, Locked, SealBroken, WorkspaceUnusable, WrongKey
from core.ids import sha256_hex

SEALED = "backup.tar.gz.age"
MOST_KEY_FILES = 1000
Unlock = Callable[[KeySlots], Identity]
"""Opens one of the key slots with what a person has, as the functions of ``core.crypto.openers`` do."""
_KEYS = "keys"
_PORTABLE = (SlotKind.PASSPHRASE, SlotKind.RECOVERY_CODE)
_READING = ".reading"


def copy_keys(root: Path, folder: Path) -> list[str]:
    """Copy the key slots and generations of the workspace ``root`` into ``folder``; answers their names there.

    What cannot be one of them, for it is a link or too large, is copied as nothing.
    """
    names = []
    for part in (SLOTS_FOLDER, GENERATIONS_FOLDER):
        for path in sorted((root / _KEYS / part).glob("*")):
            name = f"{_KEYS}/{part}/{path.name}"
            data = _read(path) if is_key_file(name) else None
            if data is not None:
                write_new(place(folder, name), data)
                names.append(name)
    return names


def recoverable(folder: Path, identity: Identity) -> Identity:
    """``identity`` with all the generations in ``folder``, where the key files of a workspace or copies of them lie.

    Raises InvalidInput when no passphrase or recovery code gives all of them, and Locked when ``identity`` has not.
    """
    slots = KeySlots(folder)
    identity = slots.complete(identity)
    covered = coverage(folder, identity)
    wanted = {each.id for each in identity.generations}
    if not any(
        slot.header and slot.kind in _PORTABLE and wanted <= {*slot.header.holds, *covered.get(slot.id, ())}
        for slot in slots.reliable(identity)
    ):
        raise InvalidInput(
            "No passphrase or recovery code opens this workspace, so that its encrypted backup could not be restored"
            " on another machine.",
            "Make one with `bailiwick keys add --recovery-code`.",
        )
    return identity


def pack_encrypted(file: BinaryIO, manifest: Manifest, sources: Mapping[str, Path], recipient: str) -> None:
    """Write the archive to ``file``, where it begins, sealing to ``recipient`` as it goes.

    Raises as ``pack``, and InvalidInput when there are absurdly many key files.
    """
    moment = int(manifest.created_at.timestamp())
    key_files = [member for member in manifest.members if member.is_key_file]
    if len(key_files) > MOST_KEY_FILES:
        raise InvalidInput(f"This workspace has {len(key_files):,} key files; {MOST_KEY_FILES:,} fit in a backup.")
    for member in key_files:
        with sources[member.name].open("rb") as source:
            data = exactly(source, member.size)
        file.write(header(member.name, member.size, moment) + data + padding(member.size))
    at = file.tell()
    file.write(bytes(BLOCK))
    seal_stream(_file_of(pack(manifest, sources)), file, [recipient])
    size = file.tell() - at - BLOCK
    file.write(padding(size))
    file.write(ending(file.tell()))
    file.seek(at)
    file.write(header(SEALED, size, moment))
    file.seek(0, os.SEEK_END)


def is_encrypted(source: Path) -> bool:
    """Whether ``source`` begins as such an archive does."""
    try:
        with source.open("rb") as file:
            return file.read(BLOCK)[257:262] == b"ustar"
    except OSError:
        return False


def unpack_encrypted(source: Path, folder: Path, unlock: Unlock | None) -> Manifest:
    """Read the archive ``source`` into ``folder``; nothing is unpacked before the seal of the whole has been checked.

    Raises as ``unpack`` and ``unlock``, and Locked when there is none; what lies in ``folder`` then is worth nothing.
    """
    name, reading = str(source), folder / _READING
    with complaints(source, folder, name), source.open("rb") as file:
        reading.mkdir(0o700)
        outside = _read_outside(file, reading, name)
    if unlock is None:
        raise Locked(f"{name} is encrypted.", "Name what opens it: a passphrase, a recovery code or a key file.")
    identity = unlock(KeySlots(reading / _KEYS))
    try:
        plain = reading / SEALED.removesuffix(".age")
        with complaints(source, folder, name), source.open("rb") as file:
            check_room(folder, outside.size)
            file.seek(outside.at)
            with os.fdopen(os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                open_stream(_file_of(content(file, outside.size)), target, identity.secrets)
        manifest = unpack(plain, folder, name)
        if not manifest.is_proved(identity):
            raise refused(name, "no holder of its keys has written what is in it")
        if outside.key_files != tuple(each for each in manifest.members if each.is_key_file):
            raise refused(name, "its key files are not those that were written")
        if outside.moment != int(manifest.created_at.timestamp()):
            raise refused(name, "it bears another time than what is in it")
    except SealBroken:
        raise refused(name, "it was changed or cut off after it was sealed") from None
    except WrongKey:
        raise refused(name, "the keys in it do not open what is in it") from None
    finally:
        identity.forget()
    shutil.rmtree(reading)
    return manifest


@dataclass(frozen=True, slots=True)
class _Outside:
    """What an archive shows without keys; the sealed member has ``size`` bytes from ``at`` on."""

    key_files: tuple[Member, ...]
    moment: int
    at: int
    size: int


def _read_outside(file: BinaryIO, folder: Path, name: str) -> _Outside:
    """Put the key files into ``folder``, and look at everything else but the sealed bytes."""
    key_files: list[Member] = []
    moments = set()
    while True:
        found = _next_header(file, name)
        moments.add(int(found.mtime))
        if found.name == SEALED:
            break
        in_order = not key_files or key_files[-1].name < found.name
        if not is_key_file(found.name) or not in_order or len(key_files) == MOST_KEY_FILES:
            raise refused(name, f"it holds {found.name[:80]!r}, which does not belong there")
        if not 0 <= found.size <= LARGEST_KEY_FILE:
            raise refused(name, f"{found.name} is too large to be what its name says")
        data = b"".join(content(file, found.size))
        write_new(place(folder, found.name), data)
        key_files.append(Member(found.name, found.size, sha256_hex(data)))
    at = file.tell()
    end = at + found.size + len(padding(found.size))
    length = os.fstat(file.fileno()).st_size
    if found.size < 0 or length < end + len(ending(end)):
        raise refused(name, "it is cut off or damaged")
    file.seek(at + found.size)
    if length > end + len(ending(end)) or any(file.read()):
        raise refused(name, "something follows its end")
    if len(moments) != 1:
        raise refused(name, "its members bear different times")
    if not any(member.name.startswith(f"{_KEYS}/{SLOTS_FOLDER}/") for member in key_files):
        raise refused(name, "it holds no key slots")
    return _Outside(tuple(key_files), moments.pop(), at, found.size)


def _next_header(file: BinaryIO, name: str) -> tarfile.TarInfo:
    """The next header, which has to be the very one that is written here for that name and size."""
    block = exactly(file, BLOCK)
    found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    if not re.fullmatch("[a-z0-9./-]{1,99}", found.name) or header(found.name, found.size, int(found.mtime)) != block:
        raise refused(name, f"it holds {found.name[:80]!r}, which does not belong there")
    return found


def _read(path: Path) -> bytes | None:
    try:
        return read_small(path, LARGEST_KEY_FILE)
    except WorkspaceUnusable:
        return None


class _Pulled(io.RawIOBase):
    """Reads what a generator gives."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._source, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        taken = self._rest[: len(buffer)]
        buffer[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)


def _file_of(source: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Pulled(source), CHUNK)
