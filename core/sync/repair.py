"""Mending a remote from what this device still has; what is left needs another device."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.errors import BailiwickError, InvalidInput, SealBroken
from core.remote.store import ObjectStore
from core.sync.area_sync import AreaResult, AreaSync
from core.sync.commit import log_key
from core.sync.devices import DEVICES, Devices
from core.sync.joining import JOINED
from core.sync.key_exchange import exchange_keys
from core.sync.publishing import push, write_index
from core.sync.readable_view import rebuild_view
from core.sync.remote_identity import FORMAT_KEY, ROOT, read_format, write_format
from core.sync.remote_link import FACTS
from core.sync.sending import put_back
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync.verify import VerifyProgress, verify
from core.sync.verify_log import NUMBER
from core.sync_model import AreaKind, Damage, DamageKind, Repair

_log = logging.getLogger(__name__)
_NAMES_NOTHING = (DamageKind.AUDIT, DamageKind.VIEW)


def repair(
    agentfs: AgentFS,
    store: ObjectStore,
    areas: Sequence[AreaSync],
    *,
    device_name: str,
    progress: VerifyProgress | None = None,
) -> Repair:
    """Verify everything, put back what this device has the bytes of, and verify that again; run again, it goes on.

    What is whole is never overwritten: a commit is put back only where it was taken in here and another lies in its
    place, content only under a new name. Raises what the store raises.
    """
    known = tuple(area.area for area in areas)
    tables = SyncTables(agentfs.database)
    before = verify(agentfs, store, known, sample=1.0, progress=progress).damages
    mending = _Mending(agentfs, store, areas, device_name)
    # The last first: what nobody would take in is told from a damaged commit by what follows it.
    for damage in reversed(before):
        try:
            mending.mend(damage)
        except (InvalidInput, SealBroken) as refused:
            _log.warning("%s is not mended: %s", damage.key, refused.message)
    mending.send_again()
    if not store.read_only:
        rebuild_view(store, tables)
        write_index(agentfs, store, tables, at_once=True)
    after = verify(agentfs, store, known, sample=1.0, progress=progress).damages
    left = {(each.kind, each.key) for each in after}
    mended = tuple(each for each in before if (each.kind, each.key) not in left)
    return Repair(mended, after)


class _Mending:
    def __init__(self, agentfs: AgentFS, store: ObjectStore, areas: Sequence[AreaSync], device_name: str) -> None:
        self._agentfs = agentfs
        self._store = store
        self._areas = {area.area.id: area for area in areas}
        self._tables = SyncTables(agentfs.database)
        self._device_name = device_name
        self._broken: dict[str, set[str]] = {}

    def mend(self, damage: Damage) -> None:
        """Mend one finding, or note what has to be sent again."""
        if damage.kind in _NAMES_NOTHING:
            return
        key = damage.key
        if key == FORMAT_KEY:
            self._mark()
        elif key.startswith(f"{ROOT}/log/"):
            self._mend_log(damage)
        elif key.startswith(DEVICES):
            self._mend_device(key)
        elif key.startswith(f"{ROOT}/keys/"):
            self._mend_keys(damage)
        elif damage.kind is DamageKind.FOREIGN or key.startswith(f"{ROOT}/segments/"):
            # A segment only repeats what the log holds.
            self._store.delete([key])
        else:
            for area in self._areas:
                if self._tables.places_in(area, key):
                    self._broken.setdefault(area, set()).add(key)

    def send_again(self) -> None:
        """Send the content of broken objects again, under new names, and commit where it lies now."""
        for area_id, keys in self._broken.items():
            area = self._areas[area_id]
            if area.area.kind is AreaKind.USER:
                try:
                    area.send_again(keys, AreaResult())
                except BailiwickError as error:
                    _log.warning("%s is not mended: %s", area_id, error.message)
            elif area.area.kind is AreaKind.SHARED:
                self._publish_again(area, keys)

    def _publish_again(self, area: AreaSync, keys: set[str]) -> None:
        """Put the broken files of the user's own libraries there again, made of the documents that are here."""
        by = Actor(ActorKind.PERSON, self._agentfs.guard.settings.user, "sync")
        paths = {path for key in keys for path, _ in self._tables.places_in(area.area.id, key)}
        versions = {tuple(path.split("/")[1:4]) for path in paths if path.startswith("libraries/")}
        for language, library, version in sorted(each for each in versions if len(each) == 3):
            target = f"{language}/{library}@{version.removeprefix('v')}"
            try:
                push(self._agentfs, self._store, area, target, by=by, broken=keys)
            except BailiwickError as error:
                _log.warning("%s is not mended: %s", target, error.message)

    def _mark(self) -> None:
        identity = self._agentfs.keys.prepare().identity
        joined = self._agentfs.settings.get(JOINED)
        try:
            mark = read_format(self._store)
        except SealBroken:
            mark = None
        if joined != identity.id or (mark is not None and mark.workspace != identity.id):
            raise InvalidInput("The mark of the remote is another workspace's, and is left to its devices.")
        facts = self._agentfs.settings.get(FACTS)
        writers = "one" if isinstance(facts, dict) and facts.get("writers") == "one" else "many"
        self._store.delete([FORMAT_KEY])
        write_format(self._store, identity, device=self._agentfs.device, writers=writers)

    def _mend_log(self, damage: Damage) -> None:
        key = damage.key
        area_id, _, number = key.removeprefix(f"{ROOT}/log/").partition("/")
        if not NUMBER.fullmatch(number):
            self._store.delete([key])
            return
        seq, area = int(number), self._areas[area_id]
        if damage.kind is DamageKind.FORKED and seq <= self._tables.position(area_id).seq:
            # What lies there is whole, and others may go on from it: this device compares anew, and loses nothing.
            self._tables.begin_anew(area.area)
            area.pull(AreaResult())
        elif seq > self._tables.position(area_id).seq:
            # Every device would stop there. Where others follow, some device has the right one and puts it back.
            followed = self._store.head(log_key(area_id, seq + 1)) is not None
            if not followed and not area.is_sound(seq):
                self._store.delete([key])
        elif (held := self._tables.commits(area_id, seq, seq)) and held[0][2] is not None:
            if damage.kind in (DamageKind.MISSING, DamageKind.ROLLED_BACK):
                self._store.put_if_absent(key, held[0][2])
            else:
                put_back(self._store, key, held[0][2])

    def _mend_device(self, key: str) -> None:
        if key.removeprefix(DEVICES) == self._agentfs.device:
            Devices(self._agentfs, self._store, self._tables, Teams(self._agentfs)).register(self._device_name)
        else:
            # A card that its user did not sign says nothing; its own device writes it anew.
            self._store.delete([key])

    def _mend_keys(self, damage: Damage) -> None:
        if damage.kind in (DamageKind.FOREIGN, DamageKind.DAMAGED):
            self._store.delete([damage.key])
        exchange_keys(self._agentfs, self._store)
