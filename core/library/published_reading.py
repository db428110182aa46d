"""Reads the files of a published library without trusting whoever wrote them; every refusal is one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput, WorkspaceUnusable
from core.library.published_examples import FOLDER, LARGEST_EXAMPLE, MOST_EXAMPLES
from core.library.published_format import (
    FORMAT,
    LONGEST_NAME,
    LONGEST_TITLE,
    METADATA,
    UNPRINTABLE,
    VECTORS,
    VERSION,
    LibraryName,
    PublishedDocument,
    PublishedMetadata,
    checked_name,
    library_file,
    passages_digest,
)
from core.model import DocumentContent, JSONObject, Passage

if TYPE_CHECKING:
    from core.index.vectors import ModelIdentity, Vectors

LARGEST_METADATA = 1024 * 1024
LARGEST_DOCUMENTS = 128 * 1024 * 1024
LARGEST_VECTORS = 512 * 1024 * 1024
MOST_DOCUMENTS = 100_000
MOST_PASSAGES = 500_000
LONGEST_TEXT = 64 * 1024
LONGEST_PATH = 1_000
LARGEST_ABOUT = 64 * 1024
"""Bytes of what is told of one document."""
_MOST_HEADINGS = 100
_LAST_LINE = 2**31 - 1
_DEEPEST = 20
_SHA256 = re.compile("[0-9a-f]{64}")
_WEIGHTS = re.compile("[0-9a-f]{16,64}")
_ABOUT_KEYS = frozenset(
    (
        "format",
        "version",
        "language",
        "library",
        "library_version",
        "license",
        "documents",
        "passages",
        "examples",
        "vectors",
        "published_at",
        "published_by",
        "files",
    )
)
_LIBRARY_KEYS = frozenset(("format", "version", "language", "library", "library_version", "documents"))


class _Malformed(ValueError):
    """What is wrong, in few words."""


def read_metadata(data: bytes) -> PublishedMetadata:
    """What a ``metadata.json`` says; raises InvalidInput for what is none, WorkspaceUnusable for a newer format."""
    held = _object(data, METADATA, LARGEST_METADATA)
    try:
        _require_keys(held, _ABOUT_KEYS)
        name = checked_name(*(_short(held[each]) for each in ("language", "library", "library_version")))
        files = dict(_files(held["files"]))
        documents = _count(held["documents"], MOST_DOCUMENTS)
        passages = _count(held["passages"], MOST_PASSAGES)
        examples = _count(held["examples"], MOST_EXAMPLES)
        model, bound = (None, "") if held["vectors"] is None else _vectors(held["vectors"])
        wanted = {library_file(name)} | ({VECTORS} if model is not None else set())
        if {each for each in files if not each.startswith(FOLDER)} != wanted:
            raise _Malformed("its files are not those of a library")
        if len(files) - len(wanted) != examples:
            raise _Malformed("its examples are not as many as it says")
        if model is not None and files[VECTORS][0] != passages * model.dimension * 2:
            raise _Malformed("its vectors are not as many as its passages")
        return PublishedMetadata(
            name,
            documents,
            passages,
            _short(held["published_at"]),
            _short(held["published_by"]),
            files,
            model,
            bound,
            "" if held["license"] is None else _short(held["license"]),
        )
    except InvalidInput as error:
        raise _refusal(METADATA, error.message) from None
    except (_Malformed, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refusal(METADATA, _why(error)) from None


def read_documents(data: bytes, metadata: PublishedMetadata) -> list[PublishedDocument]:
    """The documents in ``<library>.json``; raises InvalidInput where they are not what ``metadata`` says."""
    name, file = metadata.name, library_file(metadata.name)
    held = _object(data, file, LARGEST_DOCUMENTS)
    try:
        _require_keys(held, _LIBRARY_KEYS)
        if (held["language"], held["library"], held["library_version"]) != (name.language, name.library, name.version):
            raise _Malformed("it is another library's")
        documents = [_document(each, name) for each in _list(held["documents"], MOST_DOCUMENTS)]
        if len({each.path for each in documents}) != len(documents):
            raise _Malformed("two of its documents have one path")
        if (len(documents), _passages(documents)) != (metadata.documents, metadata.passages):
            raise _Malformed("it holds more or less than metadata.json says")
        if metadata.passages_sha256 not in ("", passages_digest(documents)):
            raise _Malformed("its passages are not those that were embedded")
    except (_Malformed, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _refusal(file, _why(error)) from None
    return documents


def read_vectors(data: bytes, metadata: PublishedMetadata) -> Vectors:
    """The rows of ``vectors.f16``, normalised float32 of shape (passages, 384).

    Raises InvalidInput where they are not as many as the passages, or one is not finite or no direction.
    """
    import numpy as np

    from core.index.vectors import DIMENSION, normalised

    if len(data) != metadata.passages * DIMENSION * 2:
        raise _refusal(VECTORS, "it does not have one row per passage")
    rows = np.frombuffer(data, "<f2").reshape(-1, DIMENSION).astype(np.float32)
    if not np.isfinite(rows).all():
        raise _refusal(VECTORS, "a number in it is not finite")
    lengths = np.linalg.norm(rows, axis=1)
    if not ((lengths > 0.9) & (lengths < 1.1)).all():
        raise _refusal(VECTORS, "a row of it is not normalised")
    return normalised(rows) if len(rows) else rows


def largest(file: str) -> int:
    """The most bytes that the file of that name has."""
    if file in (METADATA, VECTORS):
        return LARGEST_METADATA if file == METADATA else LARGEST_VECTORS
    return LARGEST_EXAMPLE if file.startswith(FOLDER) else LARGEST_DOCUMENTS


def _files(told: Any) -> Iterator[tuple[str, tuple[int, str]]]:
    if not isinstance(told, dict) or len(told) > MOST_EXAMPLES + 2:
        raise _Malformed("its files are not listed")
    for name, facts in told.items():
        folder, _, last = name.rpartition("/")
        if folder not in ("", FOLDER.rstrip("/")) or not last or last[0] == "." or len(last) > LONGEST_NAME + 5:
            raise _Malformed("a file has a name that none of a library has")
        if "\\" in last or not last.isprintable() or set(facts) != {"size", "sha256"}:
            raise _Malformed("a file has a name that none of a library has")
        yield name, (_count(facts["size"], largest(name)), _digest(facts["sha256"]))


def _vectors(told: Any) -> tuple[ModelIdentity, str]:
    from core.index.vectors import DIMENSION, ModelIdentity

    _require_keys(told, frozenset(("model", "dimension", "weights_sha256", "passages_sha256")))
    weights = told["weights_sha256"]
    if told["dimension"] != DIMENSION or not isinstance(weights, str) or not _WEIGHTS.fullmatch(weights):
        raise _Malformed("its vectors are of a model that cannot be used here")
    return ModelIdentity(_short(told["model"]), DIMENSION, weights), _digest(told["passages_sha256"])


def _document(told: Any, name: LibraryName) -> PublishedDocument:
    _require_keys(told, frozenset(("path", "title", "metadata", "passages")))
    path = _text(told["path"], LONGEST_PATH)
    if not path.isprintable() or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise _Malformed("a document has no usable path")
    metadata: JSONObject = told["metadata"]
    if not isinstance(metadata, dict):
        raise _Malformed("what is told of a document is no object")
    _check_value(metadata)
    if len(json.dumps(metadata, allow_nan=False)) > LARGEST_ABOUT:
        raise _Malformed("too much is told of a document")
    passages = tuple(_passage(each) for each in _list(told["passages"], MOST_PASSAGES))
    title = _text(told["title"], LONGEST_TITLE)
    return PublishedDocument(
        path, DocumentContent(title, name.language, name.library, name.version, path, passages, metadata)
    )


def _passage(told: Any) -> Passage:
    _require_keys(told, frozenset(("title", "heading_path", "text", "line")))
    headings = tuple(_text(each, LONGEST_TEXT) for each in _list(told["heading_path"], _MOST_HEADINGS))
    line = _count(told["line"], _LAST_LINE)
    return Passage(_text(told["title"], LONGEST_TEXT), headings, _text(told["text"], LONGEST_TEXT), line)


def _passages(documents: list[PublishedDocument]) -> int:
    return sum(len(each.content.passages) for each in documents)


def _object(data: bytes, name: str, at_most: int) -> dict[str, Any]:
    if len(data) > at_most:
        raise _refusal(name, f"it has more than {at_most:,} bytes")
    try:
        held = json.loads(data.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _refusal(name, "it is no JSON") from None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        raise _refusal(name, "it is something else")
    version = held.get("version")
    if type(version) is int and version > VERSION:
        raise WorkspaceUnusable("The library was published by a newer Bailiwick.", "Update Bailiwick on this machine.")
    if type(version) is not int or version != VERSION:
        raise _refusal(name, "its version is unknown")
    return held


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        raise ValueError("a key stands there twice")
    return held


def _require_keys(told: Any, keys: frozenset[str]) -> None:
    if not isinstance(told, dict) or set(told) != keys:
        raise _Malformed("it has not the fields that it should have")


def _check_value(value: Any, depth: int = 0) -> None:
    """Refuse what no screen can show, and what is nested beyond reason."""
    if depth > _DEEPEST:
        raise _Malformed("it is nested too deeply")
    if isinstance(value, str):
        _text(value, LARGEST_ABOUT)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _text(key, LARGEST_ABOUT)
            _check_value(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check_value(each, depth + 1)


def _refusal(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"The published {name} is not in the library format: {why.rstrip('.')}.", "Its publisher has to push it anew."
    )


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, _Malformed) else f"something in it is malformed ({type(error).__name__})"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise _Malformed("a list in it is none, or too long")
    return value


def _count(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise _Malformed("a number in it is out of all bounds")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise _Malformed("a hash in it is none")
    return value


def _short(value: Any) -> str:
    text = _text(value, LONGEST_NAME)
    if not text.isprintable():
        raise _Malformed("a short text in it cannot be shown")
    return text


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise _Malformed("a text in it is none, or too long")
    if UNPRINTABLE.search(value):
        raise _Malformed("a text in it holds control characters")
    return value
