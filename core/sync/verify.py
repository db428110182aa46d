"""Checking a remote: everything damaged, missing, rolled back, forked or foreign is named, with what mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.agentfs.agentfs import AgentFS
from core.remote.store import ObjectStore
from core.sync.areas import AreaLocks
from core.sync.audit_heads import audit_damages
from core.sync.devices import Devices
from core.sync.joining import JOINED
from core.sync.readable_view import view_damages
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync.verify_keys import device_damages, key_damages, mark_damages
from core.sync.verify_log import LogCheck
from core.sync.verify_objects import ObjectCheck
from core.sync_model import Area, AreaKind, Damage, Verification

VerifyProgress = Callable[[str, int, int], None]
"""Called with what is looked at, how many of it are done, and how many there are."""
SAMPLE = 0.02


@dataclass(slots=True)
class _Found:
    commits: int = 0
    objects: int = 0
    bytes_read: int = 0
    unnamed: int = 0
    unnamed_bytes: int = 0
    damages: list[Damage] = field(default_factory=list)


def verify(
    agentfs: AgentFS,
    store: ObjectStore,
    areas: Sequence[Area],
    *,
    sample: float = SAMPLE,
    progress: VerifyProgress | None = None,
) -> Verification:
    """Look at every object of the remote that this workspace knows of or may read; changes nothing.

    The log is read whole; of the content each object is asked for by listing, and a ``sample`` (0..1) of them is read
    whole and compared. Raises Locked, WorkspaceUnusable when a newer Bailiwick wrote the remote, and what the store
    raises; what is wrong with the remote is in the answer.
    """
    tell = progress or _unseen
    before = store.meter.total()
    tables, teams = SyncTables(agentfs.database), Teams(agentfs)
    devices = Devices(agentfs, store, tables, teams)
    identity = agentfs.keys.prepare().identity
    found = _Found()
    tell("keys", 0, 0)
    found.damages += mark_damages(store, identity, str(agentfs.settings.get(JOINED) or identity.id))
    found.damages += key_damages(agentfs, store, identity)
    found.damages += device_damages(agentfs, store, tables, teams)
    for area in areas:
        log = LogCheck(store, tables, devices, AreaLocks(agentfs, area, teams.recipients)).run(
            _telling(tell, f"log {area.id}")
        )
        content = ObjectCheck(store, tables, area, sample).run(log.after, _telling(tell, f"content {area.id}"))
        found.commits += log.commits
        found.objects += content.objects
        found.bytes_read += log.bytes_read + content.bytes_read
        found.unnamed += len(content.unnamed)
        found.unnamed_bytes += sum(each.size for each in content.unnamed)
        found.damages += [*log.damages, *content.damages]
    if any(area.kind is AreaKind.SHARED for area in areas):
        tell("readable tree", 0, 0)
        found.damages += view_damages(store, tables)
    found.damages += audit_damages(agentfs, tables)
    return Verification(
        found.commits,
        found.objects,
        found.bytes_read,
        tuple(found.damages),
        store.meter.total() - before,
        found.unnamed,
        found.unnamed_bytes,
    )


def _telling(progress: VerifyProgress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def _unseen(what: str, done: int, total: int) -> None:
    """Nobody watches."""
