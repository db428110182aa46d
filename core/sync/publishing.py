"""Libraries published as files that anybody can read: put once, corrected by a commit, and taken back with proof.

A file lies at its readable key, where it was put when there was nothing, and the log points at it. A correction is put
under its hash, committed, and then copied over the readable key, so that nothing is lost wherever this is interrupted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, to_text, translated
from core.agentfs.shares import ShareRecord
from core.content_format import decode
from core.disclosure.release import release
from core.disclosure.sharing import share
from core.errors import AccessDenied, InvalidInput, NotFound, RemoteRefused
from core.library.published_format import (
    METADATA,
    LibraryName,
    PublishedDocument,
    all_passages,
    checked_name,
    passage_digest,
    publishable,
    write_library,
)
from core.model import Item, Kind
from core.privacy import Audience, Purpose
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.library_catalogue import (
    SHARED,
    RemoteLibrary,
    remote_libraries,
    write_index,
)
from core.sync.library_files import publish_files, require_publisher
from core.sync.library_pull import PulledLibrary, pull
from core.sync.published_files import paths_of
from core.sync.pulling import PUBLISHED
from core.sync.tables import SyncTables

if TYPE_CHECKING:
    from core.index.vectors import ModelIdentity, Vectors

__all__ = [
    "SHARED",
    "PulledLibrary",
    "Pushed",
    "RemoteLibrary",
    "pull",
    "push",
    "remote_libraries",
    "write_index",
]
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pushed:
    """What pushing did; ``changed`` is false where exactly this was published before."""

    name: LibraryName
    documents: int
    vectors: bool
    files: int
    changed: bool


def push(
    agentfs: AgentFS,
    store: ObjectStore,
    area: AreaSync,
    target: str,
    *,
    by: Actor,
    broken: Collection[str] = _NOTHING,
) -> Pushed:
    """Publish ``LIBRARY[@VERSION]`` to everybody who can read the remote: that is the act of sharing its documents.

    What lies under the keys ``broken`` is put there anew. Raises NotFound for what is not here, InvalidInput when it is
    more than one or has no language or version, and AccessDenied when another has published that version, or, naming
    the document, when one of them may not leave: then nothing is published and nothing shared.
    """
    if store.read_only:
        raise RemoteRefused(f"{store.name} can only be read.", "Set a folder or a bucket as the remote.")
    items = _items(agentfs, target, by)
    first = items[0].metadata
    name = checked_name(*(str(first.get(each) or "") for each in ("language", "library", "version")))
    tables, result = SyncTables(agentfs.database), AreaResult()
    area.pull(result)
    require_publisher(tables, name, by.id)
    documents = _released(agentfs, items, name, by)
    rows, model = _vectors(agentfs, documents)
    files = write_library(
        name,
        documents,
        vectors=rows,
        model=model,
        published_at=_published_at(tables, name) or to_text(now()),
        published_by=by.id,
        license_name=_license(documents),
    )
    changed = publish_files(store, area, tables, name, files, by.id, broken)
    if changed:
        _look_again(tables, items)
        agentfs.audit.record(by, "library.push", name.prefix, {"documents": len(documents)})
    write_index(agentfs, store, tables)
    return Pushed(name, len(documents), rows is not None, len(files), changed)


def _items(agentfs: AgentFS, target: str, by: Actor) -> list[Item]:
    wanted, _, version = target.replace("==", "@").partition("@")
    language, _, library = wanted.rpartition("/")
    with translated(agentfs.database.path):
        rows = agentfs.database.connection().execute(
            "SELECT id, metadata ->> '$.version' AS version, metadata ->> '$.language' AS language FROM items"
            " WHERE kind = ? AND deleted = 0 AND owner = ? AND metadata ->> '$.library' = ?"
            " AND (? = '' OR metadata ->> '$.version' = ?) AND (? = '' OR metadata ->> '$.language' = ?)"
            " AND coalesce(metadata ->> '$.published', 0) = 0 ORDER BY path",
            (Kind.DOCUMENT, by.id, library, version, version, language, language),
        )
        found = [(str(row["id"]), str(row["version"] or ""), str(row["language"] or "")) for row in rows]
    if not found:
        raise NotFound(f"There is no library {target} of yours here.", "`bailiwick libraries` lists what there is.")
    if len(versions := sorted({each[1] or "none" for each in found})) > 1:
        raise InvalidInput(f"There are several versions of {library}: {', '.join(versions)}.", "Name one, as @VERSION.")
    if len(languages := sorted({each[2] or "none" for each in found})) > 1:
        raise InvalidInput(
            f"There is a {library} of several languages: {', '.join(languages)}.",
            f"Name one, as {languages[-1]}/{library}.",
        )
    items = (agentfs.items.get(item_id) for item_id, _, _ in found)
    return [item for item in items if item is not None]


def _released(agentfs: AgentFS, items: Sequence[Item], name: LibraryName, by: Actor) -> list[PublishedDocument]:
    documents: list[PublishedDocument] = []
    before: dict[str, list[ShareRecord]] = {}
    taken: set[str] = set()
    try:
        for item in items:
            said = agentfs.shares.of(item.id)
            before[item.id] = said
            try:
                share(agentfs, item.id, "public", by=by)
                cleared = release(agentfs, item, Audience.public(), Purpose.PUSH, by=by)
                content = decode(cleared.data)
            except (AccessDenied, InvalidInput) as refused:
                raise AccessDenied(
                    f"{item.path} may not be published: {refused.message}", refused.hint, refused.facts
                ) from None
            except ValueError:
                raise InvalidInput(f"{item.path} is no document that can be published.") from None
            path = next((each for each in paths_of(item, name) if each not in taken), item.path)
            taken.add(path)
            documents.append(publishable(PublishedDocument(path, replace(content, source=path))))
    except BaseException:
        with agentfs.database.transaction() as connection:
            for item_id, said in before.items():
                agentfs.shares.replace_within(connection, item_id, said, by=by)
        raise
    return documents


def _vectors(agentfs: AgentFS, documents: Sequence[PublishedDocument]) -> tuple[Vectors | None, ModelIdentity | None]:
    """The rows of all passages with their model, both ``None`` where one has no vector yet."""
    import numpy as np

    from core.index.vector_cache import VectorCache
    from core.index.vectors import ModelIdentity

    digests = [passage_digest(each) for each in all_passages(documents)]
    path = agentfs.root / "vectors.db"
    if not path.exists() or not digests:
        return None, None
    cache = VectorCache(path)
    try:
        for key, count in cache.models_of(digests):
            if count == len(set(digests)):
                found = cache.get_many(key, digests)
                if len(found) == count:
                    return np.stack([found[each] for each in digests]), ModelIdentity.of_key(key)
    finally:
        cache.close()
    return None, None


def _license(documents: Sequence[PublishedDocument]) -> str:
    told = {str(each.content.metadata.get("license") or "") for each in documents} - {""}
    return told.pop()[:120] if len(told) == 1 else ""


def _published_at(tables: SyncTables, name: LibraryName) -> str:
    """When this version was published first: pushed again unchanged, it is the same to the byte."""
    known = tables.base(SHARED.id, name.prefix + METADATA)
    return str(known.header.get("published_at", "")) if known is not None else ""


def _look_again(tables: SyncTables, items: Sequence[Item]) -> None:
    """Have the next sync take back what left by itself before, and leaves in a library now."""
    single = [item for item in items if (known := tables.base(SHARED.id, item.path)) and known.kind != PUBLISHED]
    if single:
        with tables.database.transaction() as connection:
            for item in single:
                tables.add_pending(connection, SHARED.id, item.path)
