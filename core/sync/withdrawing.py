"""Published libraries taken back: a version withdrawn, or documents that were unshared taken out of one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.errors import NotFound
from core.library.published_format import (
    METADATA,
    LibraryName,
    write_library,
)
from core.library.published_reading import read_vectors
from core.model import Item
from core.privacy import Audience, AudienceKind, Purpose
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.library_catalogue import (
    SHARED,
    catalogue,
    documents_here,
    write_index,
)
from core.sync.library_files import publish_files, require_publisher
from core.sync.published_files import PublishedDocuments, paths_of, published_files
from core.sync.tables import SyncTables


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken out of a published version; ``left`` documents are published still, none where all of it went."""

    name: LibraryName
    documents: int
    left: int


def withdraw(agentfs: AgentFS, store: ObjectStore, area: AreaSync, name: LibraryName, *, by: Actor) -> TakenBack:
    """Take a published version out of the remote, and look that it is gone. The documents stay here, shared no more.

    Raises NotFound where it is not published, AccessDenied where another published it, RemoteRefused where something of
    it is still there afterwards. What others pulled, and caches on the way, keep what they have.
    """
    tables = SyncTables(agentfs.database)
    area.pull(AreaResult())
    require_publisher(tables, name, by.id)
    published = tables.under(SHARED.id, name.prefix)
    if not any(each.path == name.prefix + METADATA for each in published):
        raise NotFound(
            f"{name.library} {name.version} is not published.", "`bailiwick libraries --remote` lists what is."
        )
    items = [item for item in documents_here(agentfs, name) if item.owner == by.id]
    for item in items:
        agentfs.shares.remove(item.id, AudienceKind.PUBLIC.value, by=by)
    publish_files(store, area, tables, name, {}, by.id)
    agentfs.audit.record(by, "library.withdraw", name.prefix, {"files": len(published)})
    write_index(agentfs, store, tables, at_once=True)
    return TakenBack(name, len(items), 0)


def take_back_unshared(agentfs: AgentFS, store: ObjectStore, area: AreaSync, *, by: Actor) -> list[TakenBack]:
    """Take documents that were unshared out of the versions that ``by`` published; the others stay as they were.

    Raises as ``withdraw``.
    """
    tables = SyncTables(agentfs.database)
    taken: list[TakenBack] = []
    for name, owner, _ in list(catalogue(tables)):
        if owner == by.id and (unshared := _unshared(agentfs, name, by)):
            published = PublishedDocuments(store, tables, by.id).paths(name)
            gone = {path for item in unshared for path in paths_of(item, name)} & published
            if gone == published:
                taken.append(withdraw(agentfs, store, area, name, by=by))
            elif gone:
                taken.append(_correct(agentfs, store, area, name, gone, by))
    return taken


def _correct(
    agentfs: AgentFS, store: ObjectStore, area: AreaSync, name: LibraryName, gone: Collection[str], by: Actor
) -> TakenBack:
    """Publish what is published without the documents ``gone``."""
    tables = SyncTables(agentfs.database)
    published = published_files(store, tables, name)
    metadata = published.metadata()
    documents, data = published.documents(metadata), published.vectors(metadata)
    kept = [each for each in documents if each.path not in gone]
    rows = read_vectors(data, metadata) if data is not None else None
    if rows is not None:
        stays = [each.path not in gone for each in documents for _ in each.content.passages]
        rows = rows[stays]
    files = write_library(
        name,
        kept,
        vectors=rows,
        model=metadata.model,
        published_at=metadata.published_at,
        published_by=metadata.published_by,
        license_name=metadata.license,
    )
    publish_files(store, area, tables, name, files, by.id)
    left_out = len(documents) - len(kept)
    agentfs.audit.record(by, "library.correct", name.prefix, {"documents": len(kept), "taken_back": left_out})
    write_index(agentfs, store, tables)
    return TakenBack(name, left_out, len(kept))


def _unshared(agentfs: AgentFS, name: LibraryName, by: Actor) -> list[Item]:
    """The user's documents of the library that everybody gets no more: unshared, kept back, or sensitive by now."""
    from core.privacy import Action, decide

    found = []
    for item in documents_here(agentfs, name):
        if item.owner == by.id:
            subject = agentfs.permissions.subject(item)
            decision = decide(agentfs.guard.rules, subject, Audience.public(), Purpose.PUSH)
            if decision.action is not Action.ALLOW:
                found.append(item)
    return found


class LibraryUpkeep:
    """What every sync of the shared area ends with. Not for several threads at once."""

    def __init__(self, agentfs: AgentFS, store: ObjectStore, user: str) -> None:
        self._agentfs = agentfs
        self._store = store
        self._by = Actor(ActorKind.PERSON, user, "sync")
        self._followed: tuple[int, int] | None = None

    def __call__(self, area: AreaSync) -> None:
        """Take documents that were unshared out of published libraries, and have the index tell what there is."""
        position = area.tables.position(area.area.id)
        if self._followed == (position.seq, position.scanned):
            return
        take_back_unshared(self._agentfs, self._store, area, by=self._by)
        if write_index(self._agentfs, self._store, area.tables):
            position = area.tables.position(area.area.id)
            self._followed = (position.seq, position.scanned)
