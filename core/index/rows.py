"""What goes into the document index and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.model import DocumentContent


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document to be indexed: ``r2_location`` is the remote key it has or would have, ``created_at`` is aware."""

    id: str
    content: DocumentContent
    r2_location: str
    file_size_bytes: int
    checksum: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WordsPassage:
    """A passage as the words index takes it. The passage of a slot never changes."""

    slot: int
    document_id: str
    title: str
    text: str
    language: str
    library: str
    version: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The passages a transaction brought in, of the store they belong to; ``reused`` of them had a vector at once."""

    store_id: str
    passages: tuple[WordsPassage, ...]
    reused: int


@dataclass(frozen=True, slots=True)
class PendingPassage:
    """A passage without a vector of the current model; ``text`` is what is to be embedded."""

    slot: int
    text: str
    text_sha256: str


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage with what is shown of its document."""

    slot: int
    document_id: str
    ordinal: int
    title: str
    heading_path: tuple[str, ...]
    text: str
    line: int
    text_sha256: str
    language: str
    library: str
    version: str
    document_title: str
    source: str
