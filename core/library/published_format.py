"""A published library version: files that anybody can read, and from which another machine searches without embedding.

Format 1, under ``libraries/<language>/<library>/v<version>/``:

- ``<library>.json``: ``{"format": "bailiwick-library", "version": 1, "language", "library", "library_version",
  "documents": [{"path", "title", "metadata", "passages": [{"title", "heading_path", "text", "line"}]}]}``. A passage is
  at most 256 tokens of the embedding model with its title: the qualified symbol, or the headings joined by " › ".
- ``examples/<number>-<title>.<suffix>``: the fenced code of the passages, a file each, the first 400.
- ``vectors.f16``: one row of 384 little-endian IEEE 754 half-precision numbers (768 bytes) per passage, without a
  header, in the order of the documents and their passages: the normalised embedding of the passage's title, a newline
  and its text. Absent where not every passage had a vector when the library was published.
- ``metadata.json``: what it is, its licence where that is known, its counts, and size and SHA-256 of every other file.
  ``vectors`` names the model, the dimension, at least the first 16 hexadecimal digits of its weights' SHA-256, and
  binds the rows to their passages: ``passages_sha256`` is the SHA-256 over the SHA-256 digests, in hexadecimal and one
  after the other, of what each row is the embedding of.

All text is UTF-8 without control characters but tab, line feed, vertical tab, form feed and carriage return. Sizes and
hashes are those of the files as they are read, before any Content-Encoding. ``published_library.schema.json`` and
``published_metadata.schema.json`` beside this module say the same as JSON Schema; ``published_reading`` reads it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from core.errors import InvalidInput
from core.ids import sha256_hex
from core.library.published_examples import example_files
from core.model import DocumentContent, JSONValue, Passage

if TYPE_CHECKING:
    from core.index.vectors import ModelIdentity, Vectors

FORMAT = "bailiwick-library"
VERSION = 1
METADATA = "metadata.json"
VECTORS = "vectors.f16"
LONGEST_NAME = 120
LONGEST_TITLE = 1_000
UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
_NAME = re.compile(r"[^\s/\\\x00-\x1f]{1,120}")


@dataclass(frozen=True, slots=True)
class LibraryName:
    """Which library version; no part is ever empty in what is published."""

    language: str
    library: str
    version: str

    @property
    def prefix(self) -> str:
        """Where its files lie, with a slash at the end."""
        return f"libraries/{self.language}/{self.library}/v{self.version}/"


@dataclass(frozen=True, slots=True)
class PublishedDocument:
    """A document with its ``path`` within the library."""

    path: str
    content: DocumentContent


@dataclass(frozen=True, slots=True)
class PublishedMetadata:
    """What ``metadata.json`` says. ``files`` are names with size in bytes and SHA-256; ``model`` is ``None``, and
    ``passages_sha256`` empty, without vectors; ``license`` is empty where it is not known.
    """

    name: LibraryName
    documents: int
    passages: int
    published_at: str
    published_by: str
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    model: ModelIdentity | None = None
    passages_sha256: str = ""
    license: str = ""


def library_file(name: LibraryName) -> str:
    """The name of the file that holds the documents."""
    return f"{name.library}.json"


def checked_name(language: str, library: str, version: str) -> LibraryName:
    """The name; raises InvalidInput where a part of it is empty or could not be a folder's name."""
    for what, value in (("language", language), ("library", library), ("version", version)):
        if not _NAME.fullmatch(value) or value[0] == "." or not value.isprintable() or not _is_normal(value):
            raise InvalidInput(
                f"A library is published under its {what}, and {value[:40]!r} is none.",
                "Add it with --language, --library and --version.",
            )
    # Two files of these names lie beside it.
    if library.casefold() == "metadata" or language.casefold() == "index.json":
        raise InvalidInput(f"A library cannot be published as {language}/{library}.", "Add it under another name.")
    return LibraryName(language, library, version)


def passage_digest(passage: Passage) -> str:
    """The SHA-256, in hexadecimal, of what a passage's vector is the embedding of."""
    return sha256_hex(passage.embedding_text.encode())


def passages_digest(documents: Iterable[PublishedDocument]) -> str:
    """What binds the rows of ``vectors.f16`` to the passages."""
    return sha256_hex("".join(passage_digest(each) for each in all_passages(documents)).encode())


def all_passages(documents: Iterable[PublishedDocument]) -> Iterable[Passage]:
    """Every passage, in the order of the rows of ``vectors.f16``."""
    return (passage for document in documents for passage in document.content.passages)


def publishable(document: PublishedDocument) -> PublishedDocument:
    """``document`` as the format can hold it: no control characters, and a title of at most 1,000 characters."""
    content = document.content
    passages = tuple(
        Passage(_clean(each.title), tuple(map(_clean, each.heading_path)), _clean(each.text), each.line)
        for each in content.passages
    )
    title = _clean(content.title)[:LONGEST_TITLE]
    metadata = json.loads(json.dumps(dict(content.metadata)), object_pairs_hook=_cleaned_pairs)
    return replace(document, content=replace(content, title=title, passages=passages, metadata=metadata))


def write_library(
    name: LibraryName,
    documents: Sequence[PublishedDocument],
    *,
    vectors: Vectors | None = None,
    model: ModelIdentity | None = None,
    published_at: str,
    published_by: str,
    license_name: str = "",
) -> dict[str, bytes]:
    """The files of a library version by name, ``metadata.json`` last.

    ``documents`` are ``publishable``; ``vectors`` of ``model`` has a row per passage, and is ``None`` where one lacks.
    Equal arguments give equal bytes. Raises InvalidInput for what the format cannot hold: what this writes is read.
    """
    # Imported here: reading imports what this module names.
    from core.library.published_reading import read_documents, read_metadata

    count = sum(len(each.content.passages) for each in documents)
    examples = example_files(each.content.passages for each in documents)
    files = {library_file(name): _documents_json(name, documents), **examples}
    about: JSONValue = None
    if vectors is not None and model is not None and count:
        files[VECTORS] = vectors.astype("<f2").tobytes()
        about = {
            "model": model.name,
            "dimension": model.dimension,
            "weights_sha256": model.weights_sha256,
            "passages_sha256": passages_digest(documents),
        }
    listed: JSONValue = {each: {"size": len(data), "sha256": sha256_hex(data)} for each, data in sorted(files.items())}
    files[METADATA] = _json(
        {
            "format": FORMAT,
            "version": VERSION,
            "language": name.language,
            "library": name.library,
            "library_version": name.version,
            "license": license_name or None,
            "documents": len(documents),
            "passages": count,
            "examples": len(examples),
            "vectors": about,
            "published_at": published_at,
            "published_by": published_by,
            "files": listed,
        }
    )
    read_documents(files[library_file(name)], read_metadata(files[METADATA]))
    return files


def _documents_json(name: LibraryName, documents: Sequence[PublishedDocument]) -> bytes:
    return _json(
        {
            "format": FORMAT,
            "version": VERSION,
            "language": name.language,
            "library": name.library,
            "library_version": name.version,
            "documents": [
                {
                    "path": each.path,
                    "title": each.content.title,
                    "metadata": dict(each.content.metadata),
                    "passages": [
                        {
                            "title": passage.title,
                            "heading_path": list(passage.heading_path),
                            "text": passage.text,
                            "line": passage.line,
                        }
                        for passage in each.content.passages
                    ],
                }
                for each in documents
            ],
        }
    )


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1).encode() + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"The library cannot be written as JSON ({type(error).__name__}).") from None


def _is_normal(value: str) -> bool:
    return unicodedata.normalize("NFC", value) == value


def _clean(text: str) -> str:
    return UNPRINTABLE.sub("\ufffd", text)


def _cleaned_pairs(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    return {_clean(key): _clean_value(value) for key, value in pairs}


def _clean_value(value: JSONValue) -> JSONValue:
    if isinstance(value, str):
        return _clean(value)
    return [_clean_value(each) for each in value] if isinstance(value, list) else value
