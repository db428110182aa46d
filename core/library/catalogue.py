"""What is in the workspace, told from AgentFS alone, so that every process can answer it."""

from __future__ import annotations

from dataclasses import dataclass

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.content_format import decode
from core.errors import InvalidInput, NotFound
from core.model import DocumentContent, Item, Kind, Library


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document whole: its item and its content. ``ordinal`` is the passage that was asked for, if one was."""

    item: Item
    content: DocumentContent
    ordinal: int | None


def libraries(agentfs: AgentFS) -> list[Library]:
    """Every library version with its counts, ordered by language, library and version."""
    with translated(agentfs.database.path):
        rows = agentfs.database.connection().execute(
            "SELECT metadata ->> '$.language' AS language, metadata ->> '$.library' AS library,"
            " metadata ->> '$.version' AS version, count(*) AS documents,"
            " sum(metadata ->> '$.passages') AS passages, sum(metadata ->> '$.file_size_bytes') AS size_bytes"
            " FROM items WHERE kind = ? AND deleted = 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            (Kind.DOCUMENT,),
        )
        return [
            Library(
                language=row["language"] or "",
                library=row["library"] or "",
                version=row["version"] or "",
                documents=row["documents"],
                passages=row["passages"] or 0,
                size_bytes=row["size_bytes"] or 0,
            )
            for row in rows
        ]


def find_document(agentfs: AgentFS, identifier: str, *, by: Actor | None = None) -> StoredDocument:
    """The document of ``identifier``: an item's id or path, or a hit's id (``DOCUMENT:ORDINAL``).

    Raises NotFound when there is none, AccessDenied when ``by`` (else who acts here) may not have it, Locked when it is
    sealed and the keys are locked, and InvalidInput when the ordinal is no passage of it.
    """
    document_id, separator, ordinal_text = identifier.rpartition(":")
    item, ordinal = None, None
    if separator and ordinal_text.isdecimal():
        item, ordinal = agentfs.items.get(document_id), int(ordinal_text)
    if item is None:
        item, ordinal = agentfs.items.get(identifier) or agentfs.items.at_path(identifier), None
    if item is None or item.deleted or item.kind is not Kind.DOCUMENT:
        raise NotFound(f"There is no document {identifier}.", "Take an id from `bailiwick search`.")
    agentfs.permissions.require(by or agentfs.acting, item)
    content = decode(agentfs.items.content(item))
    if ordinal is not None and ordinal >= len(content.passages):
        raise InvalidInput(f"Document {item.id} has {len(content.passages)} passages; there is no number {ordinal}.")
    return StoredDocument(item, content, ordinal)
