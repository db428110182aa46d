"""The bytes of a document: canonical JSON, the same for the same content on every machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from core.model import DocumentContent, Passage

FORMAT = 1
_TEXT_FIELDS = ("title", "language", "library", "version", "source")
_FIELDS = {"format", "metadata", "passages", *_TEXT_FIELDS}


def encode(content: DocumentContent) -> bytes:
    """``content`` as UTF-8 JSON with sorted keys and no spare whitespace: equal content gives equal bytes.

    A passage is the array ``[title, heading path, text, line]``. Raises ``ValueError`` for what JSON cannot hold
    (a lone surrogate, a number that is not finite).
    """
    document = {
        "format": FORMAT,
        "title": content.title,
        "language": content.language,
        "library": content.library,
        "version": content.version,
        "source": content.source,
        "metadata": content.metadata,
        "passages": [[each.title, each.heading_path, each.text, each.line] for each in content.passages],
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8")


def portable(content: DocumentContent) -> DocumentContent:
    """``content`` as it is the same on every machine: its source is named by its place in what was added."""
    place = content.metadata.get("path", "")
    return replace(content, source=place if isinstance(place, str) else "")


def decode(data: bytes) -> DocumentContent:
    """The content that ``encode`` made ``data`` of; raises ``ValueError`` on anything else."""
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None
    if not isinstance(document, dict) or set(document) != _FIELDS:
        raise ValueError("these bytes are not a document")
    if type(document["format"]) is not int or document["format"] != FORMAT:
        raise ValueError(f"document format {document['format']!r} is not known, only {FORMAT} is")
    if not all(isinstance(document[name], str) for name in _TEXT_FIELDS):
        raise ValueError("a text field of the document is not text")
    if not isinstance(document["metadata"], dict) or not isinstance(document["passages"], list):
        raise ValueError("the metadata or the passages of the document are malformed")
    return DocumentContent(
        title=document["title"],
        language=document["language"],
        library=document["library"],
        version=document["version"],
        source=document["source"],
        passages=tuple(_passage(each) for each in document["passages"]),
        metadata=_metadata(document["metadata"]),
    )


def _passage(value: object) -> Passage:
    match value:
        case [str(title), list(heading_path), str(text), int(line)] if type(line) is int:
            if all(isinstance(each, str) for each in heading_path):
                return Passage(title=title, heading_path=tuple(heading_path), text=text, line=line)
    raise ValueError("a passage of the document is malformed")


def _metadata(value: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except RecursionError:
        raise ValueError("the metadata of the document is nested too deeply") from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")
