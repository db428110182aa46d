"""The workspace's key slots and generations in the remote, so that every device of the user has the same.

All slots travel, those of other machines too, for a new generation is sealed to each of them; the key files that open
them never do. Nothing that comes from the remote is taken before a holder of the keys is known to have written it,
and a slot goes away because a holder of the keys removed it, never because it is not there.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.agent_model import Actor, ActorKind, AuditFilters
from core.agentfs.agentfs import AgentFS
from core.agentfs.scratch_folder import scratch_folder
from core.crypto.generations import GENERATIONS_FOLDER, generation_files, generation_names
from core.crypto.identity import Identity, proof
from core.crypto.rotation import hand_on
from core.crypto.slot_header import read_slot_header
from core.crypto.slots import SLOTS_FOLDER, KeySlots
from core.crypto.whole_files import read_small, write_new
from core.errors import InvalidInput, Locked, ObjectMissing, ObjectTooLarge, SealBroken
from core.remote.store import ObjectStore
from core.sync.remote_identity import ROOT
from core.sync_model import Damage, DamageKind

LARGEST_KEY_OBJECT = 64 * 1024
MOST_KEY_OBJECTS = 3000
_SLOT = re.compile(r"slots/([0-9a-z]{26})\.(age|json)")
_GENERATION = re.compile(r"generations/([0-9]{6}-[0-9a-f]{16}(?:\.[0-9a-z]{26})?\.age)")
_REMOVED = re.compile(r"removed/([0-9a-z]{26})")
_PURPOSE = b"bailiwick/v1/slot-removed"


@dataclass(frozen=True, slots=True)
class KeysExchanged:
    """What one exchange did: objects sent, files received, slots removed on either side, and what was refused."""

    sent: int = 0
    received: int = 0
    removed: int = 0
    refused: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """What lies under an identity's keys in the remote, by name; ``strange`` are keys that belong to nothing."""

    slots: frozenset[str]
    """Ids of slots of which both files are there."""
    halves: frozenset[str]
    """``slots/ID.age`` or ``slots/ID.json`` without the other."""
    generations: tuple[str, ...]
    removed: frozenset[str]
    strange: tuple[str, ...]


def keys_prefix(identity_id: str) -> str:
    """Where the keys of an identity lie."""
    return f"{ROOT}/keys/{identity_id}/"


def list_keys(store: ObjectStore, identity_id: str) -> RemoteKeys:
    """What there is; raises SealBroken when there is absurdly much, and what the store raises."""
    prefix = keys_prefix(identity_id)
    slots: dict[str, set[str]] = {}
    generations, removed, strange = [], set(), []
    for name in _names(store, prefix):
        if slot := _SLOT.fullmatch(name):
            slots.setdefault(slot[1], set()).add(slot[2])
        elif generation := _GENERATION.fullmatch(name):
            generations.append(generation[1])
        elif gone := _REMOVED.fullmatch(name):
            removed.add(gone[1])
        else:
            strange.append(prefix + name)
    whole = frozenset(slot_id for slot_id, found in slots.items() if len(found) == 2)
    halves = frozenset(f"slots/{slot_id}.{next(iter(found))}" for slot_id, found in slots.items() if len(found) == 1)
    return RemoteKeys(whole, halves, tuple(sorted(generations)), frozenset(removed), tuple(strange))


def fetch_keys(store: ObjectStore, identity_id: str, folder: Path) -> None:
    """Copy the slots and generations of an identity into ``folder``, as a folder of keys; nothing of it is trusted.

    Raises what the store raises.
    """
    found = list_keys(store, identity_id)
    names = [f"{SLOTS_FOLDER}/{slot_id}.{ending}" for slot_id in sorted(found.slots) for ending in ("json", "age")]
    names += [f"{GENERATIONS_FOLDER}/{name}" for name in found.generations]
    for part in (SLOTS_FOLDER, GENERATIONS_FOLDER):
        (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        data = _fetch(store, keys_prefix(identity_id) + name)
        if data is not None:
            write_new(folder / name, data)


def exchange_keys(agentfs: AgentFS, store: ObjectStore) -> KeysExchanged:
    """Bring the keys here and in the remote together.

    A device that lacks a generation is given it where this one has it. Raises Locked when the keys are, or when the
    remote holds a generation that this device was not given: then nothing may be sealed for the remote.
    """
    identity = agentfs.keys.prepare().identity
    slots = agentfs.keys.keys.slots
    prefix = keys_prefix(identity.id)
    there = list_keys(store, identity.id)
    refused = [_foreign(key, "is nothing that belongs among keys") for key in there.strange]
    gone, forged = _removed(store, agentfs, identity, there)
    refused += forged
    removed = _remove_there(store, identity, there, gone) + _remove_here(agentfs, slots, identity, gone)
    received = 0
    with scratch_folder(agentfs.root, ".keys-") as scratch:
        identity, taken, unopened = _take_generations(store, identity, slots, there, scratch)
        received += taken
        for slot_id in sorted(there.slots - gone - set(slots.ids())):
            problem = _take_slot(store, prefix, slot_id, slots, identity)
            if problem is None:
                received += 1
            else:
                refused.append(problem)
    if unopened:
        raise Locked(
            f"The remote holds newer keys than this device was given ({', '.join(unopened)}).",
            "They come when another device synchronises; `bailiwick keys unlock` with another slot may open them too.",
        )
    with suppress(SealBroken, InvalidInput):
        # A slot that cannot be relied on is named where keys are listed; nothing is handed on before it is removed.
        hand_on(slots, identity)
    return KeysExchanged(send_keys(store, slots, identity, gone), received, removed, tuple(refused))


def send_keys(store: ObjectStore, slots: KeySlots, identity: Identity, gone: frozenset[str] = frozenset()) -> int:
    """Put what the remote lacks of the reliable slots, but those ``gone``, and of the generations; how many objects."""
    prefix = keys_prefix(identity.id)
    there = set(_names(store, prefix))
    names = [f"{GENERATIONS_FOLDER}/{name}" for name in generation_names(slots.folder)]
    for slot in slots.reliable(identity):
        if slot.id not in gone:
            names += [f"{SLOTS_FOLDER}/{slot.id}.json", f"{SLOTS_FOLDER}/{slot.id}.age"]
    sent = 0
    for name in names:
        data = read_small(slots.folder / name, LARGEST_KEY_OBJECT) if name not in there else None
        if data is not None:
            sent += store.put_if_absent(prefix + name, data)
    return sent


def install_slots(folder: Path, slots: KeySlots, identity: Identity) -> int:
    """Take over what lies in ``folder`` and was written by a holder of ``identity``; how many slots."""
    taken = 0
    source = KeySlots(folder)
    with slots.changing():
        for name in generation_names(folder):
            if _is_proved_generation(folder, name, identity):
                _copy(folder / GENERATIONS_FOLDER / name, slots.folder / GENERATIONS_FOLDER / name)
        for slot in source.reliable(identity):
            if slot.id not in slots.ids():
                for ending in ("json", "age"):
                    _copy(
                        folder / SLOTS_FOLDER / f"{slot.id}.{ending}",
                        slots.folder / SLOTS_FOLDER / f"{slot.id}.{ending}",
                    )
                taken += 1
    return taken


def _names(store: ObjectStore, prefix: str) -> Iterator[str]:
    after, count = "", 0
    while page := store.list(prefix, after=after):
        for info in page:
            count += 1
            if count > MOST_KEY_OBJECTS:
                raise SealBroken(
                    f"The remote holds more than {MOST_KEY_OBJECTS:,} objects under {prefix}.",
                    "Find out who else can write there.",
                )
            yield info.key.removeprefix(prefix)
        after = page[-1].key


def _fetch(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key, at_most=LARGEST_KEY_OBJECT)
    except (ObjectMissing, ObjectTooLarge):
        return None


def removed_slots(store: ObjectStore, agentfs: AgentFS, identity: Identity, there: RemoteKeys) -> frozenset[str]:
    """The ids of slots that holders of the keys removed, here or elsewhere."""
    return _removed(store, agentfs, identity, there)[0]


def _removed(
    store: ObjectStore, agentfs: AgentFS, identity: Identity, there: RemoteKeys
) -> tuple[frozenset[str], list[Damage]]:
    here = _removed_here(agentfs)
    proved, forged = set(), []
    for slot_id in there.removed - here:
        key = f"{keys_prefix(identity.id)}removed/{slot_id}"
        if hmac.compare_digest(_fetch(store, key) or b"", _removal(identity, slot_id)):
            proved.add(slot_id)
        else:
            forged.append(_foreign(key, "was not written by a holder of the keys"))
    return frozenset(here | proved), forged


def _removed_here(agentfs: AgentFS) -> frozenset[str]:
    positions = list(agentfs.audit.matching(AuditFilters(action="keys.remove")))
    return frozenset(record.subject for record in agentfs.audit.at(positions))


def _removal(identity: Identity, slot_id: str) -> bytes:
    told = {"proof": proof(identity.generations[0], _PURPOSE, slot_id.encode()), "slot": slot_id}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _remove_there(store: ObjectStore, identity: Identity, there: RemoteKeys, gone: frozenset[str]) -> int:
    prefix = keys_prefix(identity.id)
    lying = [slot_id for slot_id in there.slots | {name[6:32] for name in there.halves} if slot_id in gone]
    for slot_id in lying:
        if slot_id not in there.removed:
            store.put_if_absent(f"{prefix}removed/{slot_id}", _removal(identity, slot_id))
        store.delete([f"{prefix}slots/{slot_id}.{ending}" for ending in ("age", "json")])
    return len(lying)


def _remove_here(agentfs: AgentFS, slots: KeySlots, identity: Identity, gone: frozenset[str]) -> int:
    removed = 0
    for slot_id in gone & set(slots.ids()):
        # The last one that opens the workspace stays.
        with suppress(InvalidInput, Locked):
            slots.remove(slot_id, identity)
            by = Actor(ActorKind.ENGINE, agentfs.device, door="sync")
            agentfs.audit.record(by, "keys.remove", slot_id, {"kind": None})
            removed += 1
    return removed


def _take_generations(
    store: ObjectStore, identity: Identity, slots: KeySlots, there: RemoteKeys, scratch: Path
) -> tuple[Identity, int, list[str]]:
    """Take over the generations that a holder of the keys made; the last answer names those not opened here."""
    here = set(generation_names(slots.folder))
    waiting = [name for name in there.generations if name not in here]
    folder = scratch / GENERATIONS_FOLDER
    folder.mkdir(mode=0o700)
    for name in list(waiting):
        data = _fetch(store, f"{keys_prefix(identity.id)}{GENERATIONS_FOLDER}/{name}")
        if data is None:
            waiting.remove(name)
        else:
            write_new(folder / name, data)
    taken, progress = 0, True
    while waiting and progress:
        progress = False
        for name in list(waiting):
            if not _is_proved_generation(scratch, name, identity):
                continue
            with slots.changing():
                _copy(folder / name, slots.folder / GENERATIONS_FOLDER / name)
            identity = slots.refreshed(identity)
            waiting.remove(name)
            taken, progress = taken + 1, True
    known = {each.id for each in identity.generations}
    # One that was handed on to another slot says nothing new.
    return identity, taken, [name for name in waiting if name[7:23] not in known]


def _is_proved_generation(folder: Path, name: str, identity: Identity) -> bool:
    """Whether ``identity`` opens that file, and a holder of the keys made it."""
    with scratch_folder(folder, ".one-") as alone:
        (alone / GENERATIONS_FOLDER).mkdir(mode=0o700)
        _copy(folder / GENERATIONS_FOLDER / name, alone / GENERATIONS_FOLDER / name)
        try:
            return any(True for _ in generation_files(alone, identity))
        except SealBroken:
            return False


def _take_slot(store: ObjectStore, prefix: str, slot_id: str, slots: KeySlots, identity: Identity) -> Damage | None:
    key = f"{prefix}{SLOTS_FOLDER}/{slot_id}.age"
    header_bytes, sealed = _fetch(store, key.removesuffix("age") + "json"), _fetch(store, key)
    if header_bytes is None or sealed is None:
        return None
    header = read_slot_header(header_bytes, slot_id)
    if header is None or not header.is_proved(identity):
        return _foreign(key, "was not written by a holder of the keys")
    if not header.fits(sealed):
        return Damage(DamageKind.DAMAGED, key, f"{key} is not as it was written.", "bailiwick repair")
    with slots.changing():
        if slot_id not in slots.ids():
            with suppress(InvalidInput):
                write_new(slots.folder / SLOTS_FOLDER / f"{slot_id}.json", header_bytes)
            write_new(slots.folder / SLOTS_FOLDER / f"{slot_id}.age", sealed)
    return None


def _copy(source: Path, target: Path) -> None:
    data = read_small(source, LARGEST_KEY_OBJECT)
    if data is not None and not target.exists():
        write_new(target, data)


def _foreign(key: str, why: str) -> Damage:
    return Damage(DamageKind.FOREIGN, key, f"{key} {why}.", "Find out who else can write there.")
