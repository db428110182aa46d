"""Devices of one user with a remote between them, each with a real workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.agentfs.items import ItemWrite
from core.model import Kind
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.areas import AreaLocks
from core.sync.devices import Devices
from core.sync.pulling import EVERYTHING, FetchPolicy
from core.sync.signing import device_signer
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync_model import Area, AreaKind
from tests.sync.two_devices import USER, Device, open_device

AREA = Area(AreaKind.USER, USER)


@dataclass(slots=True)
class Syncing:
    """A device, and what it syncs with."""

    device: Device
    store: ObjectStore

    def area(self) -> AreaSync:
        """As a process that has just begun."""
        agentfs = self.device.agentfs
        devices = Devices(agentfs, self.store, SyncTables(agentfs.database), Teams(agentfs))
        return AreaSync(
            agentfs,
            self.store,
            AREA,
            self.device.tree,
            devices,
            AreaLocks(agentfs, AREA),
            device_signer(agentfs),
            user=USER,
            pause=lambda seconds: None,
        )

    def sync(self, policy: FetchPolicy = EVERYTHING, *, approved: bool = False) -> AreaResult:
        """One sync."""
        return self.area().run(policy, approved=approved)

    def write(self, path: str, text: str, kind: Kind = Kind.ASSUMPTION) -> None:
        """Put an assumption at ``path``, about whose conflicts the person is asked, or something of another kind."""
        agentfs = self.device.agentfs
        with agentfs.database.transaction() as connection:
            written = agentfs.items.put(connection, ItemWrite(path, kind, USER, text.encode()))
        agentfs.contents.discard_unused([written.freed] if written.freed else [])

    def delete(self, path: str) -> None:
        """Take away what is at ``path``."""
        agentfs = self.device.agentfs
        item = agentfs.items.at_path(path)
        if item is not None:
            with agentfs.database.transaction() as connection:
                agentfs.items.delete(connection, item.id)

    def read(self, path: str) -> str | None:
        """What is at ``path``."""
        item = self.device.agentfs.items.at_path(path)
        return self.device.agentfs.items.content(item).decode() if item is not None else None

    def texts(self) -> dict[str, str]:
        """Every assumption by its path."""
        found, _ = self.device.tree.changed_since(0, 100_000)
        paths = [each.path for each in found if each.version is not None]
        items = [item for path in paths if (item := self.device.agentfs.items.at_path(path)) is not None]
        return {
            item.path: self.device.agentfs.items.content(item).decode()
            for item in items
            if item.kind is Kind.ASSUMPTION
        }


def join(root: Path, name: str, store: ObjectStore, *, first: Syncing | None = None) -> Syncing:
    """A device of the user's that knows the identity of ``first``, with its card in the remote."""
    device = open_device(root, name, keys_of=first.device if first is not None else None)
    Devices(device.agentfs, store, SyncTables(device.agentfs.database), Teams(device.agentfs)).register(name)
    return Syncing(device, store)
