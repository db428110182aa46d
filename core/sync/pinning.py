"""Keeping what the remote holds at hand, whatever else is read: by path, folder or library."""

from __future__ import annotations

from dataclasses import dataclass

from core.cache.cached_store import CachedStore
from core.cache.keeping import keeping
from core.errors import InvalidInput, NotFound
from core.remote.store import ObjectStore
from core.sync.tables import Base, SyncTables


@dataclass(frozen=True, slots=True)
class Pinning:
    """What was pinned, or let go: how many paths, in how many objects, of how many bytes stored."""

    target: str
    paths: int
    objects: int
    bytes: int


def pin(store: ObjectStore, tables: SyncTables, target: str) -> Pinning:
    """Fetch what is at ``target`` and never let it give way.

    ``target`` is a path, the beginning of paths that ends with a slash, or ``LIBRARY[@VERSION]``. Raises NotFound for
    what the remote is not known to hold, InvalidInput when it would not fit, and what the store raises.
    """
    cached, found = _cached(store), _found(tables, target)
    keys = _keys(found)
    size = 0
    for key in keys:
        size += len(cached.get(key))
        cached.pin(key)
    return Pinning(target, len(found), len(keys), size)


def unpin(store: ObjectStore, tables: SyncTables, target: str) -> Pinning:
    """Let what is at ``target`` give way again; raises NotFound."""
    cached, found = _cached(store), _found(tables, target)
    keys = _keys(found)
    for key in keys:
        cached.unpin(key)
    return Pinning(target, len(found), len(keys), 0)


def _cached(store: ObjectStore) -> CachedStore:
    if not isinstance(store, CachedStore):
        raise InvalidInput("This remote is not read through the cache, so nothing can be pinned.")
    return store


def _found(tables: SyncTables, target: str) -> list[Base]:
    library, _, version = target.partition("@")
    found: dict[tuple[str, str], Base] = {}
    for area in tables.areas():
        exact = tables.base(area.id, target)
        named = [exact] if exact is not None else tables.under(area.id, target) if target.endswith("/") else []
        for each in tables.under(area.id, "libraries/"):
            parts = each.path.split("/")
            if len(parts) > 4 and parts[2] == library and version in ("", parts[3].removeprefix("v")):
                named.append(each)
        found.update({(area.id, each.path): each for each in named if each.place is not None})
    if not found:
        raise NotFound(f"The remote is not known to hold {target}.", "`bailiwick sync` looks what is there.")
    return list(found.values())


def _keys(found: list[Base]) -> list[str]:
    return sorted({each.place.key for each in found if each.place is not None and keeping(each.place.key) is not None})
