"""Documents that no source here stands behind: they came from another device, or an agent wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.model import Kind

_WITHOUT_SOURCE = """
SELECT id, path, metadata ->> '$.library' AS library, metadata ->> '$.version' AS version FROM items
WHERE kind = ? AND deleted = 0 AND coalesce(metadata ->> '$.source_id', '') NOT IN (SELECT id FROM sources)
ORDER BY path
"""
_ADDED = ("libraries", "user-contributions")


@dataclass(frozen=True, slots=True)
class ArrivedDocument:
    """One such document; ``name`` is what it was added as on the device that has its source, or else its path."""

    item_id: str
    path: str
    name: str


def find_arrived(agentfs: AgentFS, target: str) -> list[ArrivedDocument]:
    """Those that ``target`` names: a path among the items, a folder's name as added, ``LIBRARY`` or
    ``LIBRARY@VERSION``.
    """
    from packaging.utils import canonicalize_name

    wanted, _, version = target.replace("==", "@").partition("@")
    library = canonicalize_name(wanted)
    folder = target.rstrip("/")
    with translated(agentfs.database.path):
        rows = agentfs.database.connection().execute(_WITHOUT_SOURCE, (Kind.DOCUMENT,)).fetchall()
    found = []
    for row in rows:
        path, parts = str(row["path"]), str(row["path"]).split("/")
        added = parts[0] in _ADDED
        is_library = (
            added
            and row["library"]
            and canonicalize_name(row["library"]) == library
            and version in ("", row["version"] or "")
        )
        is_folder = parts[0] == "user-contributions" and len(parts) > 3 and parts[2] == folder
        if is_library or is_folder or path == folder or path.startswith(folder + "/"):
            found.append(ArrivedDocument(row["id"], path, _name(parts, row["library"], row["version"])))
    return found


def remove_arrived(agentfs: AgentFS, documents: Sequence[ArrivedDocument], *, by: Actor) -> int:
    """Take the documents away, here and by and by on every other device; returns how many there were."""
    freed = []
    with agentfs.database.transaction() as connection:
        for document in documents:
            digest = agentfs.items.delete(connection, document.item_id, by=by)
            freed.extend([digest] if digest else [])
    agentfs.contents.discard_unused(freed)
    return len(freed)


def _name(parts: Sequence[str], library: str | None, version: str | None) -> str:
    if parts[0] == "libraries" and library:
        return f"{library}=={version}" if version else library
    return parts[2] if parts[0] == "user-contributions" and len(parts) > 3 else "/".join(parts)
