"""Users with workspaces of their own who publish to one remote, without an engine."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.content_format import encode
from core.ids import sha256_hex
from core.index.vector_cache import VectorCache
from core.model import DocumentContent, Item, Kind, Passage
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.areas import AreaLocks
from core.sync.devices import Devices
from core.sync.library_catalogue import SHARED
from core.sync.local_tree import LocalTree
from core.sync.publishing import Pushed, push
from core.sync.signing import device_signer
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync.withdrawing import LibraryUpkeep
from core.sync_model import Area
from tests.index.indexing import vector_of
from tests.sync.machines import Machines

MODEL_KEY = "all-MiniLM-L6-v2-384-53aa51172d142c89"
PREFIX = "libraries/python/kettle/v1.2/"


@dataclass(slots=True)
class Publisher:
    """A user on a device, and the remote."""

    agentfs: AgentFS
    store: ObjectStore
    user: str

    @property
    def person(self) -> Actor:
        return Actor(ActorKind.PERSON, self.user, "cli")

    @property
    def tables(self) -> SyncTables:
        return SyncTables(self.agentfs.database)

    def area(self, area: Area = SHARED) -> AreaSync:
        """As a process that has just begun."""
        teams = Teams(self.agentfs)
        return AreaSync(
            self.agentfs,
            self.store,
            area,
            LocalTree(self.agentfs, self.user, self.agentfs.root.name),
            Devices(self.agentfs, self.store, self.tables, teams),
            AreaLocks(self.agentfs, area, teams.recipients),
            device_signer(self.agentfs),
            user=self.user,
            pause=lambda seconds: None,
            after=LibraryUpkeep(self.agentfs, self.store, self.user) if area == SHARED else None,
        )

    def sync(self, area: Area = SHARED) -> AreaResult:
        return self.area(area).run()

    def push(self, target: str = "kettle") -> Pushed:
        return push(self.agentfs, self.store, self.area(), target, by=self.person)

    def write(self, path: str, text: str, kind: Kind = Kind.DECISION) -> Item:
        return self._put(ItemWrite(path, kind, self.user, text.encode()))

    def document(self, file: str, *texts: str, library: str = "kettle", version: str = "1.2") -> Item:
        """A document of a library that was added as a folder."""
        passages = tuple(Passage(f"Title {at}", ("Kettle",), text, at + 1) for at, text in enumerate(texts))
        content = DocumentContent(file, "python", library, version, f"/home/mara/{file}", passages, {"path": file})
        about = {"language": "python", "library": library, "version": version, "title": file, "passages": len(texts)}
        path = f"user-contributions/{self.user}/{library}/{file}"
        return self._put(ItemWrite(path, Kind.DOCUMENT, self.user, encode(content), metadata=about))

    def embed(self, *texts: str) -> None:
        """Have vectors of passages, as if a model had embedded them."""
        cache = VectorCache(self.agentfs.root / "vectors.db")
        for at, text in enumerate(texts):
            digest = sha256_hex(f"Title {at}\n{text}".encode())
            cache.put_many(MODEL_KEY, {digest: vector_of(text)})
        cache.close()

    def _put(self, write: ItemWrite) -> Item:
        with self.agentfs.database.transaction() as connection:
            written = self.agentfs.items.put(connection, write, by=self.person)
        item = self.agentfs.items.get(written.item_id)
        assert item is not None
        return item


def publisher(machines: Machines, name: str, user: str, store: ObjectStore) -> Publisher:
    """A user's device with its card in the remote."""
    agentfs = machines.open(name, user=user)
    agentfs.guard.prepare()
    Devices(agentfs, store, SyncTables(agentfs.database), Teams(agentfs)).register(name)
    return Publisher(agentfs, store, user)


def know_each_other(team: str, *publishers: Publisher) -> None:
    """Everybody adds everybody's card."""
    for each in publishers:
        for other in publishers:
            Teams(each.agentfs).add(team, Teams(other.agentfs).card(), by=each.person)


def readable(data: bytes) -> bytes:
    """Everything that can be read in ``data`` without a key: as it is, unzipped, and out of a zstd frame."""
    found = data
    if data[:2] == b"\x1f\x8b":
        found += gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        found += zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 26)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """The objects of a remote folder as they lie there, by key."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def holding(objects: Mapping[str, bytes], texts: Iterable[str]) -> list[str]:
    """The keys of objects in which one of the texts can be read, in UTF-8 or UTF-16, or which are named so."""
    looked_for = [form for text in texts for form in (text.encode(), text.encode("utf-16-le"))]
    return [
        key
        for key, data in objects.items()
        if any(each in readable(data) or each in key.encode() for each in looked_for)
    ]
