"""The age v1 file format as far as Bailiwick must know it itself: headers, and sealing by passphrase.

Source: https://c2sp.org/age. Sealing to recipients is pyrage's work (``sealing``). Passphrases are done here because
pyrage lets nobody choose the work factor, and obeys whatever work factor a file asks for within its own bound.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass

from core.crypto.secret import Secret, derived
from core.errors import InvalidInput, SealBroken, WorkspaceUnusable, WrongKey

MAGIC = b"age-encryption.org/v1\n"
MAX_WORK_FACTOR = 20
_CHUNK = 65536
_TAG = 16
_NONCE = 16
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
_ARGUMENT = re.compile(rb"[\x21-\x7e]+")
_RESTORE = "Restore it from a backup, or use another slot."


@dataclass(frozen=True, slots=True)
class Stanza:
    """One way to the file key: its type, its arguments, and the wrapped key."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The part before the payload: ``signed`` is what ``mac`` covers, ``length`` where the payload begins."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    signed: bytes
    length: int


def read_header(data: bytes, name: str) -> Header:
    """The header of an age file that begins with ``data``; nothing is decrypted.

    Raises SealBroken, with ``name`` as the subject, when it is no age file, ends too early or breaks the grammar.
    """
    if not data.startswith(MAGIC):
        if data and MAGIC.startswith(data):
            raise _cut_off(name)
        raise SealBroken(f"{name} is not an age file.", "Name a file that was sealed with age.")
    stanzas: list[Stanza] = []
    at = len(MAGIC)
    while True:
        line, at = _line(data, at, name)
        if line.startswith(b"--- "):
            mac = _bytes(line[4:], name)
            if len(mac) != 32 or not stanzas:
                raise changed(name)
            return Header(tuple(stanzas), mac, data[: at - len(line) + 2], at)
        words = line.split(b" ")
        if words[0] != b"->" or len(words) < 2 or not all(_ARGUMENT.fullmatch(word) for word in words):
            raise changed(name)
        body = b""
        while True:
            line, at = _line(data, at, name)
            if len(line) > 64:
                raise changed(name)
            body += line
            if len(line) < 64:
                break
        kind, *arguments = (word.decode("ascii") for word in words[1:])
        stanzas.append(Stanza(kind, tuple(arguments), _bytes(body, name)))


def changed(name: str) -> SealBroken:
    """The error for something that was changed, in one sentence."""
    return SealBroken(f"{name} was changed or cut off after it was sealed.", _RESTORE)


def passphrase_stanza(header: Header, name: str) -> tuple[Stanza, int]:
    """The stanza and the work factor of a file sealed by passphrase, checked before any work is done.

    Raises SealBroken when it is sealed otherwise, or asks for more than 2^20 rounds (1 GiB and some seconds).
    """
    stanza = header.stanzas[0]
    if len(header.stanzas) != 1 or stanza.kind != "scrypt":
        raise SealBroken(f"{name} is not sealed by a passphrase.", _RESTORE)
    if len(stanza.arguments) != 2 or not re.fullmatch("[1-9][0-9]*", stanza.arguments[1]) or len(stanza.body) != 32:
        raise changed(name)
    factor = stanza.arguments[1]
    if len(factor) > 2 or int(factor) > MAX_WORK_FACTOR:
        raise SealBroken(
            f"{name} asks for 2^{factor[:12]} rounds of work, more than the 2^{MAX_WORK_FACTOR} that are allowed.",
            "Remove it: Bailiwick writes no such slot.",
        )
    if len(_bytes(stanza.arguments[0].encode(), name)) != 16:
        raise changed(name)
    return stanza, int(factor)


def seal_by_passphrase(data: Secret, passphrase: Secret, work_factor: int) -> bytes:
    """``data`` as an age file that ``passphrase`` opens, here or with the ``age`` program.

    ``work_factor`` is the base-2 logarithm of scrypt's cost, 1 to 20. Raises InvalidInput outside that, and
    WorkspaceUnusable when there is too little memory (2^18 takes 256 MiB). Safe from any thread; others keep running.
    """
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if not 1 <= work_factor <= MAX_WORK_FACTOR:
        raise InvalidInput(f"A work factor of {work_factor} cannot be used.", f"Use 1 to {MAX_WORK_FACTOR}.")
    salt, file_key = os.urandom(16), Secret(os.urandom(16))
    wrapping_key = _stretched(passphrase, salt, work_factor)
    wrapped = ChaCha20Poly1305(wrapping_key.reveal()).encrypt(bytes(12), file_key.reveal(), None)
    signed = MAGIC + b"-> scrypt %s %d\n%s\n---" % (_text(salt), work_factor, _text(wrapped))
    nonce = os.urandom(_NONCE)
    payload = ChaCha20Poly1305(derived(file_key, b"payload", nonce).reveal())
    sealed = [signed, b" ", _text(_header_mac(file_key, signed)), b"\n", nonce]
    starts = range(0, len(data.reveal()), _CHUNK) or range(1)
    for number, start in enumerate(starts):
        last = number == len(starts) - 1
        sealed.append(payload.encrypt(_chunk_nonce(number, last), data.reveal()[start : start + _CHUNK], None))
    return b"".join(sealed)


def open_by_passphrase(sealed: bytes, passphrase: Secret, name: str) -> Secret:
    """What ``seal_by_passphrase`` or the ``age`` program sealed.

    Raises WrongKey when the passphrase does not fit, and SealBroken when the file is no age file, is cut off, was
    changed, or asks for absurd work; ``name`` is the subject of the sentence. Safe from any thread.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    header = read_header(sealed, name)
    stanza, work_factor = passphrase_stanza(header, name)
    if len(sealed) < header.length + _NONCE + _TAG:
        raise _cut_off(name)
    wrapping_key = _stretched(passphrase, _bytes(stanza.arguments[0].encode(), name), work_factor)
    try:
        file_key = Secret(ChaCha20Poly1305(wrapping_key.reveal()).decrypt(bytes(12), stanza.body, None))
    except InvalidTag:
        raise WrongKey(f"That does not open {name[0].lower()}{name[1:]}.", "Check what was typed.") from None
    if not hmac.compare_digest(_header_mac(file_key, header.signed), header.mac):
        raise changed(name)
    start = header.length + _NONCE
    payload = ChaCha20Poly1305(derived(file_key, b"payload", sealed[header.length : start]).reveal())
    starts = range(start, len(sealed), _CHUNK + _TAG)
    try:
        opened = Secret(
            b"".join(
                payload.decrypt(_chunk_nonce(number, at == starts[-1]), sealed[at : at + _CHUNK + _TAG], None)
                for number, at in enumerate(starts)
            )
        )
    except InvalidTag:
        raise changed(name) from None
    if len(starts) > 1 and len(sealed) - starts[-1] == _TAG:
        raise changed(name)
    return opened


def _stretched(passphrase: Secret, salt: bytes, work_factor: int) -> Secret:
    try:
        return Secret(
            hashlib.scrypt(
                passphrase.reveal(),
                salt=_SCRYPT_LABEL + salt,
                n=1 << work_factor,
                r=8,
                p=1,
                maxmem=(1 << 31) - 1,
                dklen=32,
            )
        )
    except (ValueError, MemoryError):
        raise WorkspaceUnusable(
            f"There is not enough memory to try a passphrase ({max(1, (1 << work_factor) >> 10)} MiB are needed).",
            "Close other programs, or use a key file.",
        ) from None


def _header_mac(file_key: Secret, signed: bytes) -> bytes:
    return hmac.digest(derived(file_key, b"header").reveal(), signed, "sha256")


def _chunk_nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _line(data: bytes, at: int, name: str) -> tuple[bytes, int]:
    end = data.find(b"\n", at)
    if end < 0:
        raise _cut_off(name)
    return data[at:end], end + 1


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes, name: str) -> bytes:
    """Canonical base 64 without padding, as the format demands: one text for each value."""
    try:
        value = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise changed(name) from None
    if _text(value) != text:
        raise changed(name)
    return value


def _cut_off(name: str) -> SealBroken:
    return SealBroken(f"{name} is cut off: its end is missing.", _RESTORE)
