"""In which form an object is merged: JSON for states, text for documents, else what its bytes are."""

from __future__ import annotations

from core.conflicts.merging.automatic import Automatic, Media, Settled, merge, parse_json
from core.conflicts.merging.decisions import ABSENT, Content, Decision, DecisionKind, Decisions, Form
from core.conflicts.merging.document_text import document_text, read_document
from core.content_format import decode, encode
from core.errors import InvalidInput
from core.model import DocumentContent, Kind

CLAIM = "claim"
"""The kind of a conflict about who works on what."""
_STRUCTURED = (Kind.STATE, Kind.SESSION)


def media_of_object(path: str, kind: str) -> Media | None:
    """As what the object at ``path`` is merged; ``None`` where its bytes say it."""
    if kind in _STRUCTURED or (path.startswith("agents/") and "/state/" in path):
        return Media.JSON
    return Media.TEXT if kind == Kind.DOCUMENT else None


def mergeable(kind: str, content: bytes | None) -> bytes | None:
    """The content as it is merged and shown; ``None`` for nothing. Never raises: what is no document stays as it is."""
    if content is None or kind != Kind.DOCUMENT:
        return content
    try:
        return document_text(content).encode("utf-8", "surrogatepass")
    except ValueError:
        return content


def restored(kind: str, content: bytes, like: bytes | None) -> bytes:
    """The object's bytes of what was merged; of a document with places and source as in ``like``, its bytes now.

    Raises InvalidInput for what is no document.
    """
    if kind != Kind.DOCUMENT or _is_document(content):
        return content
    known = _document(like)
    source = known.source if known is not None else ""
    try:
        return encode(read_document(content.decode("utf-8"), source=source, like=known))
    except ValueError:
        raise InvalidInput("The result is no document: it is not UTF-8.") from None


def merge_object(path: str, kind: str, base: bytes | None, local: bytes | None, remote: bytes | None) -> Automatic:
    """As ``automatic.merge``, of contents in the form in which objects of that kind are merged.

    Of two claims one is taken whole.
    """
    if kind == CLAIM:
        return _whole(base, local, remote)
    return merge(base, local, remote, media_of_object(path, kind))


def _whole(*versions: bytes | None) -> Automatic:
    base, local, remote = (_value(version) for version in versions)
    decision = Decision("", DecisionKind.VALUE, base, local, remote)
    return Automatic(Settled.OPEN, Media.JSON, Decisions(Form.WHOLE, (decision,)), versions[0])


def _value(version: bytes | None) -> Content:
    if version is None:
        return ABSENT
    try:
        return parse_json(version.decode("utf-8"))
    except (ValueError, RecursionError):
        return version


def _is_document(content: bytes) -> bool:
    return content[:1] == b"{" and _document(content) is not None


def _document(content: bytes | None) -> DocumentContent | None:
    if content is None:
        return None
    try:
        return decode(content)
    except ValueError:
        return None
