"""Reads one file as text, or says in one sentence why that cannot be done."""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import tokenize
from pathlib import Path

LARGEST_FILE = 4 * 1024 * 1024
_SAMPLE = 8192
_CONTROL = bytes(set(range(32)) - {9, 10, 12, 13, 27}) + b"\x7f"
_MOST_CONTROL = 0.1
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HTML_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""",
    re.IGNORECASE,
)
_HTML_SUFFIXES = frozenset({".html", ".htm"})
_PYTHON_SUFFIXES = frozenset({".py", ".pyi"})
_LATIN_NAMES = frozenset({"iso8859-1", "ascii"})


class Unreadable(Exception):
    """One file could not be read; ``reason`` goes on from the file's name: "is larger than 4 MiB"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_text(path: Path, max_bytes: int = LARGEST_FILE) -> str:
    """The text of ``path`` with ``\\n`` line ends; raises Unreadable."""
    return decode_text(read_bytes(path, max_bytes), path.suffix)


def read_bytes(path: Path, max_bytes: int = LARGEST_FILE) -> bytes:
    """The bytes of the regular file ``path``; raises Unreadable, also for one larger than ``max_bytes``.

    Pipes, sockets and devices are not opened; one that takes the file's place meanwhile does not block.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("is a folder, not a file" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("is not a regular file")
            if status.st_size > max_bytes:
                raise _too_large(status.st_size, max_bytes)
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        missing = "is a link that leads nowhere" if os.path.islink(path) else "is no longer there"
        raise Unreadable(missing) from None
    except PermissionError:
        raise Unreadable("may not be read by you") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"cannot be read: {why.lower()}") from None
    if len(data) > max_bytes:
        raise _too_large(len(data), max_bytes)
    return data


def _too_large(size: int, max_bytes: int) -> Unreadable:
    return Unreadable(f"is larger than {max_bytes / 2**20:.3g} MiB ({size / 2**20:.1f} MiB)")


def decode_text(data: bytes, suffix: str) -> str:
    """``data`` as text with ``\\n`` line ends; raises Unreadable for binary data and a wrong encoding.

    The encoding is that of a byte order mark, else what Python source (PEP 263) or an HTML page declares, else UTF-8.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "")
    if not encoding.startswith(("utf-16", "utf-32")):
        _refuse_binary(data)
    if not encoding:
        encoding = _declared_encoding(data, suffix.lower())
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = "UTF-8" if encoding in ("utf-8", "utf-8-sig") else encoding.upper()
        raise Unreadable(f"is not valid {name} (byte 0x{data[error.start]:02x} at line {line})") from None
    except (LookupError, UnicodeError):
        raise Unreadable(f"declares the encoding {encoding!r}, which is not known") from None
    if "\x00" in text:
        raise Unreadable("is binary, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse_binary(data: bytes) -> None:
    sample = data[:_SAMPLE]
    control = len(sample) - len(sample.translate(None, _CONTROL))
    if b"\x00" in data or control > len(sample) * _MOST_CONTROL:
        raise Unreadable("is binary, not text")


def _declared_encoding(data: bytes, suffix: str) -> str:
    if suffix in _PYTHON_SUFFIXES:
        try:
            return tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        except SyntaxError as error:
            if "unknown encoding" in str(error):
                raise Unreadable(f"declares an encoding that is not known ({error.msg})") from None
            return "utf-8"
    if suffix in _HTML_SUFFIXES and (match := _HTML_CHARSET.search(data[:2048])):
        name = (match[1] or match[2]).decode("ascii", "replace")
        try:
            normal = codecs.lookup(name).name
        except LookupError:
            raise Unreadable(f"declares the encoding {name!r}, which is not known") from None
        # The WHATWG encoding standard reads these labels as windows-1252; a page cannot be in UTF-16 without a mark.
        if normal in _LATIN_NAMES:
            return "cp1252"
        return "utf-8" if normal.startswith("utf-16") else normal
    return "utf-8"
