"""How what everybody may read is stored: gzip, with the headers that browsers and caches on the way go by."""

from __future__ import annotations

import gzip
import io
import json
import zlib

from core.content_format import decode
from core.errors import SealBroken
from core.library.published_format import METADATA
from core.model import Kind
from core.remote.store import ObjectFacts

_FOR_EVER, _FOR_A_MINUTE = "public, max-age=31536000, immutable", "public, max-age=60, must-revalidate"
_TYPES = {"json": "application/json", "f16": "application/octet-stream"}
_TEXT, _MARKDOWN = "text/plain; charset=utf-8", "text/markdown; charset=utf-8"


def zipped(data: bytes) -> bytes:
    """``data`` compressed: the same bytes for the same data."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def unzipped(data: bytes, at_most: int, name: str) -> bytes:
    """What ``zipped`` was given, or ``data`` where they are not compressed.

    Raises SealBroken, naming ``name``, when they are damaged or would be more than ``at_most`` bytes.
    """
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(at_most + 1)
    except (OSError, EOFError, zlib.error):
        raise SealBroken(f"{name} is damaged.", "`bailiwick verify` names it.") from None
    if len(unpacked) > at_most:
        raise SealBroken(f"{name} would unpack to more than {at_most:,} bytes.", "It was not published by Bailiwick.")
    return unpacked


def stored_at_most(size: int) -> int:
    """The most bytes that ``size`` bytes have when they are compressed: what cannot be compressed grows a little."""
    return size + size // 1000 + 1024


def library_facts(file: str) -> ObjectFacts:
    """How a file of a library version is stored. A version never changes; what tells of a correction is asked for."""
    kind = _TYPES.get(file.rpartition(".")[2], _TEXT) if not file.startswith("examples/") else _TEXT
    return ObjectFacts(kind, "gzip", _FOR_A_MINUTE if file == METADATA else _FOR_EVER)


def index_facts() -> ObjectFacts:
    """How the index of libraries is stored."""
    return ObjectFacts("application/json", "gzip", _FOR_A_MINUTE)


def as_read(kind: str, data: bytes) -> tuple[bytes, ObjectFacts]:
    """A single item as everybody reads it, and how it is stored: a document as its text, all else as it is."""
    if kind == Kind.DOCUMENT:
        try:
            content = decode(data)
        except ValueError:
            return data, ObjectFacts(_TEXT, "gzip", _FOR_A_MINUTE)
        sections, before = [f"# {content.title}"], content.title
        for passage in content.passages:
            if passage.title != before:
                sections.append(f"## {passage.title}")
            sections.append(passage.text)
            before = passage.title
        return "\n\n".join(sections).encode() + b"\n", ObjectFacts(_MARKDOWN, "gzip", _FOR_A_MINUTE)
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return data, ObjectFacts(_TEXT, "gzip", _FOR_A_MINUTE)
    return data, ObjectFacts("application/json", "gzip", _FOR_A_MINUTE)
