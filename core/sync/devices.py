"""Device cards: by which key a device signs its commits, vouched for by its user's key, and who trusts whom where."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from core.agentfs.agentfs import AgentFS
from core.errors import ObjectMissing, ObjectTooLarge
from core.ids import looks_like_id
from core.remote.store import ObjectStore
from core.sync.remote_identity import JSON_FACTS, ROOT
from core.sync.signing import device_signer, is_signed, user_signer
from core.sync.tables import SyncTables
from core.sync.teams import Teams
from core.sync_model import Area

DEVICES = f"{ROOT}/devices/"
LARGEST_CARD = 4 * 1024
_KEY = re.compile("[0-9a-f]{64}")
_SIGNATURE = re.compile("[0-9a-f]{128}")
_FORMAT = "bailiwick-device"


@dataclass(frozen=True, slots=True)
class DeviceCard:
    """What a device's card says; ``signing_key`` is the device's, ``user_key`` its user's, who made ``signature``."""

    device: str
    name: str
    user: str
    signing_key: str
    user_key: str
    made_at: str
    signature: str = ""
    format: str = _FORMAT
    version: int = 1

    def body(self) -> bytes:
        """What is signed: the card as canonical JSON, without its signature."""
        held = asdict(replace(self, signature=""))
        del held["signature"]
        return json.dumps(held, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def to_bytes(self) -> bytes:
        """The object's content."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


class Devices:
    """The devices of one remote, as their cards tell and this workspace trusts. Safe from any thread."""

    def __init__(self, agentfs: AgentFS, store: ObjectStore, tables: SyncTables, teams: Teams) -> None:
        self._agentfs = agentfs
        self._store = store
        self._tables = tables
        self._teams = teams
        self._cards: dict[str, DeviceCard] = {}

    def register(self, name: str) -> DeviceCard:
        """Put this device's card into the remote where it is not there as it should be. Raises Locked.

        A workspace that was restored from a backup is another device, and gets a card of its own.
        """
        user, device = user_signer(self._agentfs), device_signer(self._agentfs)
        present = self.card(self._agentfs.device)
        own = self._agentfs.guard.settings.user
        # A name is one short line, whatever the machine calls itself.
        name = "".join(letter for letter in name if letter.isprintable())[:60]
        if present is None or (present.name, present.user, present.signing_key, present.user_key) != (
            name,
            own,
            device.public,
            user.public,
        ):
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            bare = DeviceCard(self._agentfs.device, name, own, device.public, user.public, made_at)
            present = replace(bare, signature=user.sign(bare.body()).hex())
            self._store.put(f"{DEVICES}{self._agentfs.device}", present.to_bytes(), JSON_FACTS)
        self._tables.put_device(present.device, present.name, present.user, present.signing_key)
        return present

    def card(self, device: str) -> DeviceCard | None:
        """The card of a device, None where there is none that its user signed; whether he is trusted is not said."""
        try:
            return read_card(self._store.get(f"{DEVICES}{device}", at_most=LARGEST_CARD), device)
        except (ObjectMissing, ObjectTooLarge):
            return None

    def signing_key(self, device: str, area: Area, *, anew: bool = False) -> str:
        """The key by which ``device`` signs in ``area``, empty where nobody trusted there vouches for it.

        A card is read once, or ``anew`` where a signature did not fit: the device may have been given a new key.
        Raises Locked and what the store raises.
        """
        card = None if anew else self._cards.get(device)
        if card is None:
            card = self.card(device)
        if card is None or self._teams.trusted_keys(area).get(card.user_key) != card.user:
            return ""
        if self._cards.get(device) != card:
            self._cards[device] = card
            self._tables.put_device(device, card.name, card.user, card.signing_key)
        return card.signing_key


def read_card(data: bytes, device: str) -> DeviceCard | None:
    """The card in ``data``; None when it is damaged, is another device's, or its user has not signed it."""
    try:
        card = DeviceCard(**json.loads(data))
        texts = (card.name, card.user, card.made_at)
        sound = (
            card.device == device
            and looks_like_id(card.device)
            and card.format == _FORMAT
            and card.version == 1
            and all(isinstance(each, str) and len(each) <= 100 and each.isprintable() for each in texts)
            and _KEY.fullmatch(card.signing_key)
            and _KEY.fullmatch(card.user_key)
            and _SIGNATURE.fullmatch(card.signature)
            and is_signed(card.user_key, card.body(), bytes.fromhex(card.signature))
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return card if sound else None
