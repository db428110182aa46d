"""The files of a published library version, put and told of: by whoever publishes, corrects or withdraws it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.errors import AccessDenied
from core.ids import sha256_hex, stable_id
from core.library.published_format import (
    METADATA,
    LibraryName,
)
from core.model import JSONObject, JSONValue
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.commit import Operation, Place
from core.sync.library_catalogue import (
    SHARED,
)
from core.sync.outbox import Draft
from core.sync.packing import Encoding
from core.sync.pulling import PUBLISHED
from core.sync.readable import library_facts, zipped
from core.sync.readable_view import copy_over, require_gone
from core.sync.sending import AT_ONCE, publish
from core.sync.tables import Base, SyncTables
from core.sync_model import Change

_NOTHING: frozenset[str] = frozenset()


def publish_files(
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


def require_publisher(tables: SyncTables, name: LibraryName, user: str) -> None:
    """Raise AccessDenied where somebody else has published that version."""
    known = tables.base(SHARED.id, name.prefix + METADATA)
    if known is not None:
        _require_owner(known, user)


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


def _require_owner(known: Base, user: str) -> None:
    if (owner := known.header.get("owner")) != user:
        raise AccessDenied(f"{known.path} was published by {owner}, who alone corrects it.")
