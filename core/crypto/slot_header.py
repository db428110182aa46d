"""The small plain file beside each key slot: what kind it is, to whom later generations are sealed, and its proof."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from core.crypto.identity import Generation, Identity, proof
from core.crypto.sealing import check_recipient
from core.errors import InvalidInput

FORMAT = 1
_PURPOSE = b"bailiwick/v1/slot-header"


class SlotKind(StrEnum):
    """Where the passphrase of a slot comes from."""

    PASSPHRASE = "passphrase"
    KEYCHAIN = "keychain"
    KEY_FILE = "key_file"
    RECOVERY_CODE = "recovery_code"


@dataclass(frozen=True, slots=True)
class SlotHeader:
    """Everything about a slot that is not secret.

    ``holds`` are the ids of the generations sealed in the slot itself, ``sha256`` and ``size`` those of its file.
    ``proof`` is made with generation ``proved_by``, so that nobody without keys can slip in a slot of his own and have
    the next generation sealed to it. Somebody who held that generation can; a list of slots is as trustworthy as the
    folder, or the signed log, that it comes from.
    """

    id: str
    kind: SlotKind
    label: str
    created_at: str
    identity_id: str
    recipient: str
    holds: tuple[str, ...]
    sha256: str
    size: int
    proved_by: str
    proof: str = ""
    format: int = FORMAT

    def proved(self, generation: Generation) -> SlotHeader:
        """This header with its proof."""
        bare = replace(self, proved_by=generation.id, proof="")
        return replace(bare, proof=proof(generation, _PURPOSE, bare.to_bytes()))

    def is_proved(self, identity: Identity) -> bool:
        """Whether a holder of one of the identity's generations has written exactly this."""
        made_with = next((each for each in identity.generations if each.id == self.proved_by), None)
        if made_with is None or self.identity_id != identity.id:
            return False
        expected = proof(made_with, _PURPOSE, replace(self, proof="").to_bytes())
        return hmac.compare_digest(expected.encode(), self.proof.encode())

    def fits(self, sealed: bytes) -> bool:
        """Whether ``sealed`` are the bytes that this header was written for."""
        return len(sealed) == self.size and hashlib.sha256(sealed).hexdigest() == self.sha256

    def to_bytes(self) -> bytes:
        """The file's content: JSON, always the same for the same header."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def read_slot_header(data: bytes, slot_id: str) -> SlotHeader | None:
    """The header in ``data``, None when it is damaged, is of another format or names another slot."""
    try:
        held = json.loads(data)
        header = SlotHeader(**{**held, "kind": SlotKind(held["kind"]), "holds": tuple(held["holds"])})
        check_recipient(header.recipient)
        whole = header.to_bytes() == data
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InvalidInput):
        return None
    texts = (header.label, header.created_at, header.identity_id, header.sha256, header.proved_by, header.proof)
    if not whole or header.id != slot_id or header.format != FORMAT or not all(isinstance(x, str) for x in texts):
        return None
    return header
