"""Bytes and files sealed to age recipients, in the age v1 binary format and nothing around it.

Source: https://c2sp.org/age; the work is pyrage's. The payload is exactly what was given, so ``age -d -i KEYS FILE``
gives it back without Bailiwick; whoever wants it smaller compresses before sealing. No function here compresses:
the length of compressed text tells about the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from core.crypto.age_format import changed, read_header
from core.crypto.secret import Secret
from core.errors import InvalidInput, SealBroken, WrongKey

if TYPE_CHECKING:
    import pyrage

_HEAD = 65536
_AT_ONCE = 1 << 18


def seal(data: bytes | Secret, recipients: Sequence[str]) -> bytes:
    """``data`` as an age file that each of ``recipients`` (``age1…``) can open; sealed twice it looks different.

    Raises InvalidInput when a recipient is none, or there is none at all. Safe from any thread.
    """
    import pyrage

    parsed = _recipients(recipients)
    if isinstance(data, Secret):
        return bytes(pyrage.encrypt(data.reveal(), parsed))
    if len(data) <= _AT_ONCE:
        return bytes(pyrage.encrypt(data, parsed))
    source, target = _FromBytes(data), _ToBytes()
    pyrage.encrypt_io(source, target, parsed)
    return target.joined()


def open_sealed(data: bytes, identities: Sequence[Secret], name: str = "The sealed data") -> bytes:
    """What was sealed, by any of ``identities`` (``AGE-SECRET-KEY-1…``).

    Raises WrongKey when it is sealed to none of them, and SealBroken when it is no age file, is cut off or was
    changed anywhere; ``name`` is the subject of the sentence. Safe from any thread.
    """
    import pyrage

    parsed = _identities(identities)
    try:
        if len(data) <= _AT_ONCE:
            return bytes(pyrage.decrypt(data, parsed))
        target = _ToBytes()
        pyrage.decrypt_io(_FromBytes(data), target, parsed)
        return target.joined()
    except (pyrage.DecryptError, OSError) as error:
        problem = _problem(str(error), data[:_HEAD], name)
    raise problem


def seal_stream(source: BinaryIO, target: BinaryIO, recipients: Sequence[str]) -> None:
    """Seal all of ``source`` into ``target`` with constant memory.

    Raises as ``seal``, and what the two files raise. ``target`` is useless until this returns. Other threads run
    while this works.
    """
    import pyrage

    parsed = _recipients(recipients)
    reader, writer = _Reader(source), _Writer(target)
    try:
        pyrage.encrypt_io(reader, writer, parsed)
    except (pyrage.EncryptError, OSError):
        raise (reader.failure or writer.failure or SealBroken("This could not be sealed.")) from None


def open_stream(
    source: BinaryIO, target: BinaryIO, identities: Sequence[Secret], name: str = "The sealed file"
) -> None:
    """Open all of ``source`` into ``target`` with constant memory.

    Raises as ``open_sealed``, and what the two files raise. A change near the end is found at the end: discard
    ``target`` unless this returns. Other threads run while this works.
    """
    import pyrage

    parsed = _identities(identities)
    reader, writer = _Reader(source), _Writer(target)
    try:
        pyrage.decrypt_io(reader, writer, parsed)
        return
    except (pyrage.DecryptError, OSError) as error:
        problem = reader.failure or writer.failure or _problem(str(error), reader.head, name)
    raise problem


def check_recipient(recipient: str) -> None:
    """Raise InvalidInput unless ``recipient`` is an age X25519 recipient."""
    _recipients([recipient])


def _recipients(recipients: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    import pyrage

    if not recipients:
        raise InvalidInput("Nobody was named who can open this.", "Name at least one recipient.")
    parsed = []
    for recipient in dict.fromkeys(recipients):
        try:
            parsed.append(pyrage.x25519.Recipient.from_str(recipient))
        except pyrage.RecipientError:
            shown = "A secret key" if recipient[:4].upper() == "AGE-" else repr(recipient[:80])
            raise InvalidInput(f"{shown} is not an age recipient.", "One begins with age1.") from None
    return parsed


def _identities(identities: Sequence[Secret]) -> list[pyrage.x25519.Identity]:
    import pyrage

    try:
        return [pyrage.x25519.Identity.from_str(identity.text()) for identity in identities]
    except pyrage.IdentityError:
        raise InvalidInput("A key given to open this is not an age identity.") from None


def _problem(said: str, head: bytes, name: str) -> Exception:
    """The sentence for what pyrage refused; the header is looked at first, for what is wrong there is certain."""
    try:
        read_header(head, name)
    except SealBroken as broken:
        return broken.with_traceback(None)
    if said == "No matching keys found":
        return WrongKey(
            f"{name} is sealed, but not to any key that is held here.",
            "Open it where the key is, or ask its owner to share it with you.",
        )
    return changed(name)


class _FromBytes:
    """A reader in Python, so that other threads get their turn between its reads: pyrage never lets go by itself."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def read(self, size: int) -> bytes:
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)


class _ToBytes:
    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(data)
        return len(data)

    def flush(self) -> None:
        pass

    def joined(self) -> bytes:
        return b"".join(self._pieces)


class _Reader:
    """Keeps the beginning and the file's own error: pyrage would turn that into one of its own."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.head = b""
        self.failure: BaseException | None = None

    def read(self, size: int) -> Any:
        try:
            piece = self._source.read(size)
        except BaseException as error:
            self.failure = error
            raise
        if len(self.head) < _HEAD:
            self.head += piece
        return piece


class _Writer:
    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self.failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            written = self._target.write(data)
        except BaseException as error:
            self.failure = error
            raise
        return len(data) if written is None else written

    def flush(self) -> None:
        pass
