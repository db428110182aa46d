"""Checking the content of an area: everything that its state names is there, whole, and what was sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from core.errors import ObjectMissing, ObjectTooLarge
from core.ids import sha256_hex
from core.remote.store import ObjectInfo, ObjectStore
from core.sync.commit import Commit, Place
from core.sync.remote_identity import ROOT
from core.sync.tables import SyncTables
from core.sync.verify_log import REPAIR, all_under, foreign
from core.sync_model import Area, Change, Damage, DamageKind

_BLOB = re.compile("[0-9a-z]{2}/[0-9a-zA-Z._-]{8,100}")


def blobs_prefix(area: str) -> str:
    """Where the objects of an area lie."""
    return f"{ROOT}/blobs/{area}/"


@dataclass(slots=True)
class ObjectFindings:
    """What was found among the objects of one area; ``unnamed`` are well-formed ones that its state does not name."""

    objects: int = 0
    bytes_read: int = 0
    damages: list[Damage] = field(default_factory=list)
    unnamed: list[ObjectInfo] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Named:
    """An object that the state names, and how many bytes of it at least; ``path`` is one of the paths in it."""

    key: str
    extent: int
    path: str


def named_objects(tables: SyncTables, area: Area, after: Iterable[Commit] = ()) -> list[Named]:
    """Every object that the state of ``area`` names, or that later commits do, by key."""
    later = tuple(after)
    changed = {operation.path for commit in later for operation in commit.operations}
    found = {named.key: named for named in (Named(*row) for row in tables.extents(area.id, without=changed))}
    for commit in later:
        for operation in commit.operations:
            if operation.change in (Change.DELETE, Change.COLLECT) or (place := operation.place) is None:
                continue
            extent = max(place.first + place.length, found[place.key].extent if place.key in found else 0)
            found[place.key] = Named(place.key, extent, operation.path)
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class ObjectCheck:
    """Checks the objects of one area; changes nothing."""

    store: ObjectStore
    tables: SyncTables
    area: Area
    sample: float

    def run(self, after: Iterable[Commit], progress: Callable[[int, int], None]) -> ObjectFindings:
        """List everything and read the sample. Raises what the store raises."""
        found = ObjectFindings()
        named = named_objects(self.tables, self.area, after)
        wanted = {each.key: each for each in named}
        sound: dict[str, ObjectInfo] = {}
        for info in self._listed(named):
            each = wanted.get(info.key)
            if each is None:
                self._unnamed(info, found)
            elif info.size < each.extent:
                reason = f"{info.key} is cut off: it has {info.size:,} bytes of {each.extent:,} ({each.path})."
                found.damages.append(Damage(DamageKind.DAMAGED, info.key, reason, REPAIR))
            else:
                sound[info.key] = info
        present = set(sound) | {damage.key for damage in found.damages}
        for each in named:
            if each.key not in present:
                reason = f"{each.key} is missing ({each.path})."
                found.damages.append(Damage(DamageKind.MISSING, each.key, reason, REPAIR))
        found.objects = len(named)
        for number, (key, info) in enumerate(sound.items(), 1):
            self._compare(key, info, found)
            progress(number, len(sound))
        return found

    def _listed(self, named: list[Named]) -> Iterator[ObjectInfo]:
        own = blobs_prefix(self.area.id)
        yield from all_under(self.store, own)
        # Published libraries lie under readable keys, where other things lie too.
        elsewhere = {each.key.partition("/")[0] + "/" for each in named if not each.key.startswith(f"{ROOT}/")}
        keys = {each.key for each in named}
        for prefix in sorted(elsewhere):
            yield from (info for info in all_under(self.store, prefix) if info.key in keys)

    def _unnamed(self, info: ObjectInfo, found: ObjectFindings) -> None:
        if _BLOB.fullmatch(info.key.removeprefix(blobs_prefix(self.area.id))):
            found.unnamed.append(info)
        else:
            found.damages.append(foreign(info.key, "is nothing that Bailiwick stores there"))

    def _compare(self, key: str, info: ObjectInfo, found: ObjectFindings) -> None:
        places = self.tables.places_in(self.area.id, key)
        whole = len(places) == 1 and places[0][1].first == 0 and places[0][1].length == info.size
        if whole and info.sha256:
            wrong = [] if info.sha256 == places[0][1].sha256 else [places[0][0]]
        elif self._is_sampled(key):
            wrong = [path for path, place in places if not self._is_whole(place, found)]
        else:
            return
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            reason = f"{key} is not what was sent ({wrong[0]}{more})."
            found.damages.append(Damage(DamageKind.DAMAGED, key, reason, REPAIR))

    def _is_sampled(self, key: str) -> bool:
        drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4])
        return drawn < self.sample * (1 << 32)

    def _is_whole(self, place: Place, found: ObjectFindings) -> bool:
        try:
            data = self.store.get(place.key, first=place.first, length=place.length, at_most=place.length)
        except (ObjectMissing, ObjectTooLarge):
            return False
        found.bytes_read += len(data)
        return sha256_hex(data) == place.sha256
