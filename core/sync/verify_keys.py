"""Checking what lets the remote be opened and trusted: its mark, the key slots and generations, the device cards."""

from __future__ import annotations

from core.agentfs.agentfs import AgentFS
from core.crypto.generations import GENERATIONS_FOLDER, generation_names
from core.crypto.identity import Identity
from core.crypto.slot_header import read_slot_header
from core.crypto.slots import SLOTS_FOLDER
from core.crypto.whole_files import read_small
from core.errors import ObjectMissing, ObjectTooLarge, SealBroken
from core.remote.store import ObjectStore
from core.sync.devices import DEVICES, LARGEST_CARD, read_card
from core.sync.key_exchange import LARGEST_KEY_OBJECT, keys_prefix, list_keys, removed_slots
from core.sync.remote_identity import FORMAT_KEY, read_format
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync.verify_log import REPAIR, all_under, foreign
from core.sync_model import Area, AreaKind, Damage, DamageKind


def mark_damages(store: ObjectStore, identity: Identity, joined: str) -> list[Damage]:
    """What is wrong with the remote's mark; ``joined`` is the workspace that was founded or joined.

    Raises WorkspaceUnusable when a newer Bailiwick wrote it, and what the store raises.
    """
    try:
        mark = read_format(store)
    except SealBroken as error:
        return [Damage(DamageKind.DAMAGED, FORMAT_KEY, error.message, REPAIR)]
    if mark is None:
        return [Damage(DamageKind.MISSING, FORMAT_KEY, "The mark that says whose remote this is, is missing.", REPAIR)]
    if mark.workspace != joined or (mark.workspace == identity.id and not mark.is_proved(identity)):
        return [foreign(FORMAT_KEY, "is not the mark of the workspace that was joined")]
    return []


def key_damages(agentfs: AgentFS, store: ObjectStore, identity: Identity) -> list[Damage]:
    """What is wrong with the key slots and generations in the remote. Raises what the store raises."""
    slots = agentfs.keys.keys.slots
    prefix = keys_prefix(identity.id)
    there = list_keys(store, identity.id)
    gone = removed_slots(store, agentfs, identity, there)
    found = [foreign(key, "is nothing that belongs among keys") for key in there.strange]
    own = {slot.id for slot in slots.reliable(identity)} - gone
    names = [f"{SLOTS_FOLDER}/{slot_id}.{ending}" for slot_id in sorted(own) for ending in ("json", "age")]
    names += [f"{GENERATIONS_FOLDER}/{name}" for name in generation_names(slots.folder)]
    for name in names:
        here, lying = (
            read_small(slots.folder / name, LARGEST_KEY_OBJECT),
            _get(store, prefix + name, LARGEST_KEY_OBJECT),
        )
        if lying is None:
            reason = f"{prefix}{name} is missing; without it fewer ways open the remote."
            found.append(Damage(DamageKind.MISSING, prefix + name, reason, REPAIR))
        elif lying != here:
            reason = f"{prefix}{name} is not as it was written."
            found.append(Damage(DamageKind.DAMAGED, prefix + name, reason, REPAIR))
    for slot_id in sorted(there.slots - own - gone):
        key = f"{prefix}{SLOTS_FOLDER}/{slot_id}"
        header = read_slot_header(_get(store, f"{key}.json", LARGEST_KEY_OBJECT) or b"", slot_id)
        sealed = _get(store, f"{key}.age", LARGEST_KEY_OBJECT) or b""
        if header is None or not header.is_proved(identity):
            found += [
                foreign(f"{key}.{ending}", "was not written by a holder of the keys") for ending in ("age", "json")
            ]
        elif not header.fits(sealed):
            reason = f"{key}.age is not as it was written."
            found.append(
                Damage(DamageKind.DAMAGED, f"{key}.age", reason, f"{REPAIR}, on the device that has that slot")
            )
    return found


def device_damages(agentfs: AgentFS, store: ObjectStore, tables: SyncTables, teams: Teams) -> list[Damage]:
    """What is wrong with the device cards; those of users who are not known here are left alone."""
    found = []
    trusted = teams.trusted_keys(Area(AreaKind.SHARED))
    listed = set()
    for info in all_under(store, DEVICES):
        device = info.key.removeprefix(DEVICES)
        listed.add(device)
        card = read_card(_get(store, info.key, LARGEST_CARD) or b"", device)
        known = tables.signing_key(device)
        cure = REPAIR if device == agentfs.device else f"{REPAIR}, on that device"
        if card is None:
            reason = f"The card of device {device} is damaged, or its user did not sign it."
            kind = DamageKind.DAMAGED if known or device == agentfs.device else DamageKind.FOREIGN
            found.append(Damage(kind, info.key, reason, cure))
        elif card.user in trusted.values() and trusted.get(card.user_key) != card.user:
            found.append(foreign(info.key, f"says that it is {card.user}'s, whose key did not sign it"))
    for device in sorted({agentfs.device, *tables.devices_with_cards()} - listed):
        cure = REPAIR if device == agentfs.device else f"{REPAIR}, on that device"
        reason = f"The card of device {device} is missing; others cannot check what it signs."
        found.append(Damage(DamageKind.MISSING, f"{DEVICES}{device}", reason, cure))
    return found


def _get(store: ObjectStore, key: str, at_most: int) -> bytes | None:
    try:
        return store.get(key, at_most=at_most)
    except ObjectMissing:
        return None
    except ObjectTooLarge:
        return b""
