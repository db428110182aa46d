"""A published library version: files that anybody can read, and from which another machine searches without embedding.

Format 1, under ``libraries/<language>/<library>/v<version>/``:

- ``<library>.json``: ``{"format": "bailiwick-library", "version": 1, "language", "library", "library_version",
  "documents": [{"path", "title", "metadata", "passages": [{"title", "heading_path", "text", "line"}]}]}``
- ``examples/<number>-<title>.<suffix>``: the fenced code of the passages, a file each
- ``vectors.f16``: one row of 384 little-endian float16 per passage, in the order of the documents; absent where not
  every passage had a vector when it was published
- ``metadata.json``: what it is, its counts, the embedding model, and size and SHA-256 of every other file

``published_library.schema.json`` and ``published_metadata.schema.json`` beside this module say the same as JSON Schema.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput, WorkspaceUnusable
from core.ids import sha256_hex
from core.model import DocumentContent, JSONObject, Passage

FORMAT = "bailiwick-library"
VERSION = 1
DIMENSION = 384
METADATA = "metadata.json"
VECTORS = "vectors.f16"
LARGEST_METADATA = 4 * 1024 * 1024
LARGEST_FILE = 512 * 1024 * 1024
MOST_DOCUMENTS = 200_000
MOST_EXAMPLES = 400
_LONGEST_NAME = 120
_FENCE = re.compile(r"^```([\w+#.-]*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SUFFIXES = {"python": "py", "py": "py", "rust": "rs", "javascript": "js", "js": "js", "typescript": "ts", "ts": "ts"}
_NAME = re.compile(r"[^\s/\\\x00-\x1f]{1,120}")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LibraryName:
    """Which library version; ``language`` and ``version`` are never empty in what is published."""

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
    """What ``metadata.json`` says. ``files`` are names with size in bytes and SHA-256; ``model`` is empty without
    vectors.
    """

    name: LibraryName
    documents: int
    passages: int
    model: str
    published_at: str
    published_by: str
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)


def library_file(name: LibraryName) -> str:
    """The name of the file that holds the documents."""
    return f"{name.library}.json"


def checked_name(language: str, library: str, version: str) -> LibraryName:
    """The name; raises InvalidInput where a part of it is empty or could not be a folder's name."""
    for what, value in (("language", language), ("library", library), ("version", version)):
        if not _NAME.fullmatch(value) or value in (".", "..") or not value.isprintable():
            raise InvalidInput(
                f"A library is published under its {what}, and {value[:40]!r} is none.",
                "Add it with --language, --library and --version.",
            )
    return LibraryName(language, library, version)


def write_library(
    name: LibraryName,
    documents: Sequence[PublishedDocument],
    *,
    vectors: bytes,
    model: str,
    published_at: str,
    published_by: str,
) -> dict[str, bytes]:
    """The files of a library version by name, ``metadata.json`` last; ``vectors`` is empty where there are not all."""
    passages = sum(len(each.content.passages) for each in documents)
    files = {library_file(name): _documents_json(name, documents), **_examples(documents)}
    if vectors:
        files[VECTORS] = vectors
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "language": name.language,
        "library": name.library,
        "library_version": name.version,
        "documents": len(documents),
        "passages": passages,
        "model": {"key": model, "dimension": DIMENSION} if vectors else None,
        "published_at": published_at,
        "published_by": published_by,
        "files": {each: {"size": len(data), "sha256": sha256_hex(data)} for each, data in sorted(files.items())},
    }
    files[METADATA] = _json(metadata)
    return files


def read_metadata(data: bytes) -> PublishedMetadata:
    """What a ``metadata.json`` says; raises InvalidInput for what is none, WorkspaceUnusable for a newer format."""
    held = _object(data, METADATA)
    _require_version(held, METADATA)
    try:
        name = checked_name(held["language"], held["library"], held["library_version"])
        model = held["model"]
        files = {
            _checked_file(each): (_count(facts["size"], LARGEST_FILE), _digest(facts["sha256"]))
            for each, facts in held["files"].items()
        }
        if library_file(name) not in files or len(files) > MOST_EXAMPLES + 3:
            raise ValueError("no documents")
        if model is not None and (model["dimension"] != DIMENSION or VECTORS not in files):
            raise ValueError("no such vectors")
        return PublishedMetadata(
            name,
            _count(held["documents"], MOST_DOCUMENTS),
            _count(held["passages"], 10**9),
            _short(model["key"]) if model is not None else "",
            _short(held["published_at"]),
            _short(held["published_by"]),
            files,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed(METADATA, error) from None


def read_documents(data: bytes, metadata: PublishedMetadata) -> list[PublishedDocument]:
    """The documents in ``<library>.json``; raises InvalidInput where they are not what ``metadata`` says."""
    file = library_file(metadata.name)
    held = _object(data, file)
    _require_version(held, file)
    name = metadata.name
    try:
        told = (held["language"], held["library"], held["library_version"])
        if told != (name.language, name.library, name.version):
            raise ValueError("another library")
        documents = [_document(each, name) for each in held["documents"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed(file, error) from None
    passages = sum(len(each.content.passages) for each in documents)
    paths = {each.path for each in documents}
    if (len(documents), passages, len(paths)) != (metadata.documents, metadata.passages, metadata.documents):
        raise _malformed(file, ValueError("other counts"))
    return documents


def read_vectors(data: bytes, metadata: PublishedMetadata) -> list[list[float]] | None:
    """The rows of ``vectors.f16``, None where their number does not fit or one is zero or not finite."""
    import numpy as np

    if len(data) != metadata.passages * DIMENSION * 2:
        return None
    rows = np.frombuffer(data, "<f2").reshape(-1, DIMENSION).astype(np.float32)
    lengths = np.sqrt((rows * rows).sum(axis=1))
    if not np.isfinite(rows).all() or (len(rows) and not (lengths > 0.5).all()):
        return None
    normalised: list[list[float]] = (rows / lengths[:, None]).tolist() if len(rows) else []
    return normalised


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


def _examples(documents: Sequence[PublishedDocument]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for document in documents:
        for passage in document.content.passages:
            for language, code in _FENCE.findall(passage.text):
                if len(found) >= MOST_EXAMPLES:
                    return found
                if code.strip():
                    words = re.sub(r"[^A-Za-z0-9]+", "-", passage.title).strip("-").lower()[:40] or "example"
                    suffix = _SUFFIXES.get(language.lower(), "txt")
                    found[f"examples/{len(found) + 1:04d}-{words}.{suffix}"] = code.encode()
    return found


def _document(told: Any, name: LibraryName) -> PublishedDocument:
    path = told["path"]
    parts = path.split("/")
    if not path.isprintable() or len(path) > 1000 or any(part in ("", ".", "..") for part in parts):
        raise ValueError("no path of a document")
    metadata: JSONObject = told["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError("no metadata")
    json.dumps(metadata, allow_nan=False)
    passages = tuple(_passage(each) for each in told["passages"])
    content = DocumentContent(_text(told["title"]), name.language, name.library, name.version, path, passages, metadata)
    return PublishedDocument(path, content)


def _passage(told: Any) -> Passage:
    heading_path = told["heading_path"]
    if not isinstance(heading_path, list):
        raise TypeError("no heading path")
    line = told["line"]
    if type(line) is not int:
        raise TypeError("no line")
    return Passage(_text(told["title"]), tuple(_text(each) for each in heading_path), _text(told["text"]), line)


def _object(data: bytes, name: str) -> dict[str, Any]:
    try:
        held = json.loads(data.decode("utf-8"), parse_constant=_refuse)
        if not isinstance(held, dict):
            raise TypeError("no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise _malformed(name, error) from None
    return held


def _require_version(held: Mapping[str, Any], name: str) -> None:
    if held.get("format") != FORMAT:
        raise _malformed(name, ValueError("another format"))
    if type(held.get("version")) is not int or held["version"] > VERSION:
        raise WorkspaceUnusable("The library was published by a newer Bailiwick.", "Update Bailiwick.")


def _malformed(name: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        f"The published {name} is not in the library format ({type(error).__name__}: {str(error)[:80]}).",
        "Its publisher has to push it anew.",
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1).encode() + b"\n"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _checked_file(name: str) -> str:
    folder, _, file = name.rpartition("/")
    if folder not in ("", "examples") or not _NAME.fullmatch(file) or file in (".", ".."):
        raise ValueError("no name of a file")
    return name


def _count(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most or math.isnan(value):
        raise ValueError("no such number")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError("no hash")
    return value


def _short(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValueError("no short text")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
