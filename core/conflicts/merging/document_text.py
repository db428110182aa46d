"""A document as text that is merged by line and edited by hand: its fields, a line each, then its passages.

A passage begins with a line ``§ TITLE``, with its heading path behind a tab where that is not what the title says. A
line of a passage that begins with ``§`` or a backslash has a backslash before it. Line numbers in the source are no
part of it: they follow from what was merged.
"""

from __future__ import annotations

import json
import re
from typing import Any

from core.content_format import decode
from core.errors import InvalidInput
from core.model import DocumentContent, Passage

_MARK = "§ "
_FIELDS = ("title", "language", "library", "version")
_METADATA = "metadata."
_SEPARATOR = " › "
_KEY = re.compile(r"[\w.-]+")


def document_text(data: bytes) -> str:
    """The text of the bytes of a document; raises ValueError where they are none, or have fields of strange names."""
    content = decode(data)
    if not all(_KEY.fullmatch(key) for key in content.metadata):
        raise ValueError("a field of a strange name")
    lines = [f"{name}: {_json(getattr(content, name))}" for name in _FIELDS]
    lines += [f"{_METADATA}{key}: {_json(value)}" for key, value in sorted(content.metadata.items())]
    for passage in content.passages:
        lines.append(_heading(passage))
        lines += [f"\\{line}" if line[:1] in ("§", "\\") else line for line in passage.text.split("\n")]
    return "".join(f"{line}\n" for line in lines)


def read_document(text: str, *, source: str, like: DocumentContent | None) -> DocumentContent:
    """The document that ``document_text`` writes as ``text``; passages have the lines that they have in ``like``.

    Raises InvalidInput, naming the line, for anything else.
    """
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    passages: list[tuple[str, tuple[str, ...], list[str]]] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if line.startswith(_MARK):
            passages.append((*_read_heading(line.removeprefix(_MARK), number), []))
        elif passages:
            passages[-1][2].append(line.removeprefix("\\"))
        else:
            _read_field(line, number, fields, metadata)
    if missing := [name for name in _FIELDS if name not in fields]:
        raise InvalidInput(f"The document has no line `{missing[0]}: …` before its first `{_MARK}` any more.")
    places = {(each.title, each.text): each.line for each in reversed(like.passages)} if like is not None else {}
    made: list[Passage] = []
    for title, path, lines in passages:
        words = "\n".join(lines)
        made.append(Passage(title, path, words, places.get((title, words), made[-1].line if made else 1)))
    return DocumentContent(**fields, source=source, passages=tuple(made), metadata=metadata)


def _heading(passage: Passage) -> str:
    title = passage.title
    if not title.isprintable() or title[:1] == '"':
        title = _json(title)
    is_told = _parts(passage.title) == list(passage.heading_path)
    path = "" if is_told else f"\t{_json(list(passage.heading_path))}"
    return f"{_MARK}{title}{path}"


def _read_heading(line: str, number: int) -> tuple[str, tuple[str, ...]]:
    title, tab, path = line.partition("\t")
    if title[:1] == '"':
        title = _value(title, number)
    parts = _value(path, number) if tab else _parts(title)
    if not isinstance(title, str) or not isinstance(parts, list) or not all(isinstance(each, str) for each in parts):
        raise InvalidInput(f"Line {number} is not the beginning of a passage.", "Leave `§` lines as they are.")
    return title, tuple(parts)


def _parts(title: str) -> list[str]:
    return title.split(_SEPARATOR) if title else []


def _read_field(line: str, number: int, fields: dict[str, Any], metadata: dict[str, Any]) -> None:
    name, _, told = line.partition(": ")
    is_metadata = name.startswith(_METADATA)
    if not is_metadata and name not in _FIELDS:
        raise InvalidInput(f"Line {number} is neither a field of the document nor in a passage.")
    into, name = (metadata, name.removeprefix(_METADATA)) if is_metadata else (fields, name)
    value = _value(told, number)
    if name in into or not (is_metadata or isinstance(value, str)):
        raise InvalidInput(f"Line {number} says {name} a second time, or not as a text.")
    into[name] = value


def _value(text: str, number: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput(f"Line {number}: {text[:40]} is not JSON.") from None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
