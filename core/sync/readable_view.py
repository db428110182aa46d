"""The readable tree beside the log: corrections copied over it, what was taken back gone from it, both checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from core.agentfs.database import now
from core.cache.cached_store import beneath
from core.errors import (
    InvalidInput,
    NotFound,
    ObjectMissing,
    ObjectTooLarge,
    RemoteRefused,
    SealBroken,
    WorkspaceUnusable,
)
from core.ids import sha256_hex
from core.library.published_format import METADATA, LibraryName
from core.remote.store import ObjectStore
from core.sync.library_catalogue import INDEX, INDEX_SECONDS, LARGEST_INDEX, SHARED, catalogue, read_index
from core.sync.pulling import PUBLISHED
from core.sync.readable import library_facts, unzipped, zipped
from core.sync.sending import publish
from core.sync.tables import Base, SyncTables
from core.sync_model import Damage, DamageKind

_REPAIR = "`bailiwick repair`"


def copy_over(store: ObjectStore, tables: SyncTables, prefix: str, files: Mapping[str, bytes]) -> None:
    """Copy corrections of a library's ``files`` over their readable keys, what tells of the others last."""
    for known in _last_first(_corrected(tables, prefix)):
        file = known.path.removeprefix(prefix)
        if file in files:
            publish(store, known.path, zipped(files[file]), library_facts(file), replace=True)


def require_gone(store: ObjectStore, tables: SyncTables, before: Iterable[Base]) -> None:
    """Delete the objects of what was published ``before`` and is not now, and look that they are gone.

    Raises RemoteRefused where one is still there.
    """
    bases = list(before)
    keys = {each.place.key for each in bases if each.place is not None} | {each.path for each in bases}
    named = tables.objects(SHARED.id)
    keys -= {key for key in keys if key in named or tables.base(SHARED.id, key) is not None}
    require_deleted(store, keys)


def require_deleted(store: ObjectStore, keys: Collection[str]) -> None:
    """Delete the objects, and ask the remote itself whether they are gone; raises RemoteRefused where one is not."""
    if not keys:
        return
    store.delete(sorted(keys))
    for key in sorted(keys):
        if beneath(store).head(key) is not None:
            raise RemoteRefused(
                f"{key} was taken back, but the remote still has it.", "May your credentials delete? Then sync again."
            )


def rebuild_view(store: ObjectStore, tables: SyncTables) -> None:
    """Copy every correction over its readable key again, where another lies there or nothing."""
    for known in _last_first(_corrected(tables, "libraries/")):
        if known.place is not None and not _is_level(store, known):
            try:
                stored = store.get(known.place.key, first=known.place.first, length=known.place.length)
            except (ObjectMissing, ObjectTooLarge):
                continue
            if sha256_hex(stored) == known.place.sha256:
                file = known.path.split("/", 4)[-1]
                publish(store, known.path, stored, library_facts(file), replace=True)


def view_damages(store: ObjectStore, tables: SyncTables) -> list[Damage]:
    """What of the readable tree is not what the log tells. Raises what the store raises.

    The index may be behind for as long as it is rewritten at most once.
    """
    found = [
        Damage(DamageKind.VIEW, known.path, f"{known.path} is not what was committed.", _REPAIR)
        for known in _corrected(tables, "libraries/")
        if not _is_level(store, known)
    ]
    wanted = [(name, owner) for name, owner, _ in catalogue(tables)]
    told: list[tuple[LibraryName, str]] = []
    info = store.head(INDEX)
    try:
        if info is not None:
            told = read_index(unzipped(store.get(INDEX, at_most=LARGEST_INDEX), LARGEST_INDEX, INDEX))
    except (NotFound, InvalidInput, SealBroken, WorkspaceUnusable) as error:
        return [*found, Damage(DamageKind.VIEW, INDEX, error.message, _REPAIR)]
    is_new = info is not None and abs((now() - info.modified).total_seconds()) < INDEX_SECONDS
    if not is_new and sorted(told, key=str) != sorted(wanted, key=str):
        found.append(Damage(DamageKind.VIEW, INDEX, f"{INDEX} does not list what is published.", _REPAIR))
    return found


def _corrected(tables: SyncTables, prefix: str) -> Iterator[Base]:
    """Published files of which the log points elsewhere than at their readable key."""
    for known in tables.under(SHARED.id, prefix):
        if known.kind == PUBLISHED and known.place is not None and known.place.key != known.path:
            yield known


def _last_first(bases: Iterable[Base]) -> list[Base]:
    return sorted(bases, key=lambda each: (each.path.endswith(f"/{METADATA}"), each.path))


def _is_level(store: ObjectStore, known: Base) -> bool:
    assert known.place is not None
    info = store.head(known.path)
    if info is None or info.size != known.place.length:
        return False
    return info.sha256 == known.place.sha256 or sha256_hex(store.get(known.path)) == known.place.sha256
