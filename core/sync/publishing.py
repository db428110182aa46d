"""Libraries published as files that anybody can read: put once, corrected by a commit, and taken back with proof.

A file lies at its readable key, where it was put when there was nothing, and the log points at it. A correction is put
under its hash, committed, and then copied over the readable key, so that nothing is lost wherever this is interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from core.ids import sha256_hex, stable_id
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
from core.library.published_reading import read_vectors
from core.model import Item, JSONObject, JSONValue, Kind
from core.privacy import Audience, AudienceKind, Purpose
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync, Draft
from core.sync.commit import Operation, Place
from core.sync.library_catalogue import (
    SHARED,
    RemoteLibrary,
    catalogue,
    documents_here,
    remote_libraries,
    write_index,
)
from core.sync.library_pull import PulledLibrary, pull
from core.sync.packing import Encoding
from core.sync.published_files import PublishedDocuments, paths_of, published_files
from core.sync.pulling import PUBLISHED
from core.sync.readable import library_facts, zipped
from core.sync.readable_view import copy_over, require_gone
from core.sync.sending import AT_ONCE, publish
from core.sync.tables import Base, SyncTables
from core.sync_model import Change

if TYPE_CHECKING:
    from core.index.vectors import ModelIdentity, Vectors

__all__ = [
    "SHARED",
    "PulledLibrary",
    "Pushed",
    "RemoteLibrary",
    "TakenBack",
    "pull",
    "push",
    "remote_libraries",
    "take_back_unshared",
    "withdraw",
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


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken out of a published version; ``left`` documents are published still, none where all of it went."""

    name: LibraryName
    documents: int
    left: int


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
    _require_publisher(tables, name, by.id)
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
    changed = _publish(store, area, tables, name, files, by.id, broken)
    if changed:
        _look_again(tables, items)
        agentfs.audit.record(by, "library.push", name.prefix, {"documents": len(documents)})
    write_index(agentfs, store, tables)
    return Pushed(name, len(documents), rows is not None, len(files), changed)


def withdraw(agentfs: AgentFS, store: ObjectStore, area: AreaSync, name: LibraryName, *, by: Actor) -> TakenBack:
    """Take a published version out of the remote, and look that it is gone. The documents stay here, shared no more.

    Raises NotFound where it is not published, AccessDenied where another published it, RemoteRefused where something of
    it is still there afterwards. What others pulled, and caches on the way, keep what they have.
    """
    tables = SyncTables(agentfs.database)
    area.pull(AreaResult())
    _require_publisher(tables, name, by.id)
    published = tables.under(SHARED.id, name.prefix)
    if not any(each.path == name.prefix + METADATA for each in published):
        raise NotFound(
            f"{name.library} {name.version} is not published.", "`bailiwick libraries --remote` lists what is."
        )
    items = [item for item in documents_here(agentfs, name) if item.owner == by.id]
    for item in items:
        agentfs.shares.remove(item.id, AudienceKind.PUBLIC.value, by=by)
    _publish(store, area, tables, name, {}, by.id)
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
    _publish(store, area, tables, name, files, by.id)
    left_out = len(documents) - len(kept)
    agentfs.audit.record(by, "library.correct", name.prefix, {"documents": len(kept), "taken_back": left_out})
    write_index(agentfs, store, tables)
    return TakenBack(name, left_out, len(kept))


def _publish(
    store: ObjectStore,
    area: AreaSync,
    tables: SyncTables,
    name: LibraryName,
    files: Mapping[str, bytes],
    user: str,
    broken: Collection[str] = _NOTHING,
) -> bool:
    """Make ``files`` what is published under ``name``; says whether that changed anything.

    Raises RemoteRefused where something that is published no more is still there afterwards.
    """
    before = {each.path: each for each in tables.under(SHARED.id, name.prefix)}
    changed, result = False, AreaResult()

    def build() -> Sequence[Draft]:
        return _drafts(store, tables, name, files, user, broken)

    while area.commit(build, result):
        changed = True
    copy_over(store, tables, name.prefix, files)
    require_gone(store, tables, before.values())
    return changed


def _drafts(
    store: ObjectStore,
    tables: SyncTables,
    name: LibraryName,
    files: Mapping[str, bytes],
    user: str,
    broken: Collection[str],
) -> list[Draft]:
    """Operations for what is not published so yet; its content is put first."""
    known = {each.path: each for each in tables.under(SHARED.id, name.prefix) if each.kind == PUBLISHED}
    for each in known.values():
        _require_owner(each, user)
    put: list[Callable[[], Draft | None]] = []
    for file, data in files.items():
        base = known.pop(name.prefix + file, None)
        if base is None or base.version != sha256_hex(data) or (base.place is not None and base.place.key in broken):
            put.append(_Putting(store, tables, name, file, data, base, user, _facts_of(files)))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        drafts = [draft for draft in pool.map(lambda each: each(), put) if draft is not None]
    return [*drafts, *(Draft(Operation(each.path, Change.DELETE, each.version, None)) for each in known.values())]


@dataclass(frozen=True, slots=True)
class _Putting:
    """One file that is to be put, and the operation that tells of it."""

    store: ObjectStore
    tables: SyncTables
    name: LibraryName
    file: str
    data: bytes
    base: Base | None
    user: str
    about: JSONObject

    def __call__(self) -> Draft | None:
        path, stored, facts = self.name.prefix + self.file, zipped(self.data), library_facts(self.file)
        digest, version = sha256_hex(stored), sha256_hex(self.data)
        before = self.base.place if self.base is not None and self.base.version == version else None
        if before is not None and before.sha256 == digest:
            # What lies there is known to be broken.
            publish(self.store, before.key, stored, facts, replace=True)
            return None
        key = path
        if self.base is not None or not publish(self.store, path, stored, facts, replace=False):
            # A correction, or something that lies there though no commit tells of it: the log points past it.
            key = self.tables.free_key(SHARED.id, f".bailiwick/blobs/{SHARED.id}/{digest[:2]}/{digest}")
            publish(self.store, key, stored, facts, replace=False)
        about = self.about if self.file == METADATA else {}
        header: dict[str, JSONValue] = {"kind": PUBLISHED, "owner": self.user, "file": self.file, **about}
        operation = Operation(
            path,
            Change.PUT,
            self.base.version if self.base is not None else None,
            version,
            PUBLISHED,
            stable_id(path),
            header,
            version,
            len(self.data),
            Place(key, 0, len(stored), digest, Encoding.NONE),
        )
        return Draft(operation)


def _facts_of(files: Mapping[str, bytes]) -> JSONObject:
    held = json.loads(files[METADATA])
    return {"published_at": held["published_at"]}


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


def _require_publisher(tables: SyncTables, name: LibraryName, user: str) -> None:
    known = tables.base(SHARED.id, name.prefix + METADATA)
    if known is not None:
        _require_owner(known, user)


def _require_owner(known: Base, user: str) -> None:
    if (owner := known.header.get("owner")) != user:
        raise AccessDenied(f"{known.path} was published by {owner}, who alone corrects it.")
