"""The keys of one workspace in this process: locked, or unlocked and able to seal, to open and to derive."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from core.crypto import rotation, sealing
from core.crypto.generations import generation_names
from core.crypto.identity import Generation, Identity
from core.crypto.secret import HOW_TO_UNLOCK, Secret, derived
from core.crypto.slots import KeySlots
from core.errors import Locked


class Purpose(StrEnum):
    """What a derived key is for. Those of different purposes tell nothing of each other.

    NAME and SEAL are derived from the first generation, for the same content must keep its name, and an old proof its
    worth, under every later one; who once held the keys can therefore still tell whether a content he knows is there,
    and make proofs. The others are derived from the newest:
    what they protect is written anew or in segments, and notes the id of its generation.
    """

    NAME = "name"
    """Names of sealed objects: HMAC of the content's hash."""
    SEAL = "seal"
    """Proofs of where something sealed belongs."""
    LOG = "log"
    """Entries of a private area's commit log."""
    AUDIT = "audit"
    """Proofs in the audit trail."""
    INDEX = "index"
    """The encrypted index file; it is derived, and rebuilt when the key changes."""


_LASTING = (Purpose.NAME, Purpose.SEAL)


@dataclass(frozen=True, slots=True)
class Subkey:
    """32 bytes derived for one purpose. Note ``generation`` with what they protect: it asks for the same key later."""

    generation: str
    secret: Secret


class Keys:
    """Locked when made. Safe from any thread; what other processes change in the folder is noticed before each use."""

    def __init__(self, slots: KeySlots) -> None:
        self.slots = slots
        self._identity: Identity | None = None
        self._seen: tuple[str, ...] = ()
        self._lock = threading.RLock()

    @property
    def is_locked(self) -> bool:
        """Whether nothing can be opened or sealed."""
        return self._identity is None

    @property
    def exist(self) -> bool:
        """Whether this workspace has any key slot: if not, the first one that is added founds its identity."""
        return bool(self.slots.listed())

    def unlock(self, opener: Callable[[], Identity]) -> None:
        """Hold what ``opener`` gives, which is one of the functions of ``openers``. Raises what it raises."""
        identity = opener()
        with self._lock:
            self._seen = ()
            self._identity = identity

    def lock(self) -> None:
        """Forget every secret; what another thread is doing with them at this moment ends, or raises Locked."""
        with self._lock:
            identity, self._identity = self._identity, None
        if identity is not None:
            identity.forget()

    @property
    def identity(self) -> Identity:
        """The identity with its newest generation; raises Locked."""
        names = generation_names(self.slots.folder)
        with self._lock:
            if self._identity is None:
                raise Locked("The keys of this workspace are locked.", HOW_TO_UNLOCK)
            if names != self._seen:
                self._identity = self.slots.refreshed(self._identity)
                self._seen = names
            return self._identity

    @property
    def recipient(self) -> str:
        """To whom new writes are sealed. Raises Locked, also when this slot was not given the newest generation."""
        identity = self.identity
        return (self.slots.complete(identity) if identity.unopened else identity).newest.key.recipient

    def seal_for_self(self, data: bytes, also: Sequence[str] = ()) -> bytes:
        """``data`` as an age file for this workspace's newest generation, and for the recipients in ``also``.

        Raises Locked, and InvalidInput when one of ``also`` is no recipient.
        """
        return sealing.seal(data, [self.recipient, *also])

    def open(self, data: bytes, name: str = "The sealed data") -> bytes:
        """What was sealed to any generation. Raises Locked, WrongKey and SealBroken, with ``name`` as the subject."""
        return sealing.open_sealed(data, self.identity.secrets, name)

    def seal_stream_for_self(self, source: BinaryIO, target: BinaryIO, also: Sequence[str] = ()) -> None:
        """As ``seal_for_self``, with constant memory; ``target`` is useless until this returns."""
        sealing.seal_stream(source, target, [self.recipient, *also])

    def open_stream(self, source: BinaryIO, target: BinaryIO, name: str = "The sealed file") -> None:
        """As ``open``, with constant memory; discard ``target`` unless this returns."""
        sealing.open_stream(source, target, self.identity.secrets, name)

    def subkey(self, purpose: Purpose, generation: str = "") -> Subkey:
        """The key for ``purpose``, of the generation that fits it or of the one named.

        Raises Locked, and InvalidInput when that generation is not held here.
        """
        identity = self.identity
        if generation:
            chosen = identity.generation(generation)
        else:
            chosen = identity.generations[0] if purpose in _LASTING else identity.newest
        return Subkey(chosen.id, _derived(chosen, purpose))

    def rotate(self, from_number: int | None = None) -> Identity:
        """Make a new generation for new writes and use it from now on. Raises as ``rotation.rotate``."""
        identity = rotation.rotate(self.slots, self.identity, from_number=from_number)
        with self._lock:
            if self._identity is None:
                identity.forget()
                raise Locked("The keys were locked in the meantime.", HOW_TO_UNLOCK)
            self._identity = identity
        return identity


def keyed_proof(key: Secret, *parts: bytes) -> bytes:
    """HMAC-SHA256 by ``key`` over the parts, each after its length."""
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.digest(key.reveal(), message, "sha256")


def proof_by(identity: Identity, *parts: bytes) -> bytes:
    """32 bytes that only a holder of ``identity`` can make, the same for the same parts for ever."""
    return keyed_proof(_derived(identity.generations[0], Purpose.SEAL), *parts)


def _derived(generation: Generation, purpose: Purpose) -> Secret:
    return derived(generation.key.secret, f"bailiwick/v1/{purpose.value}".encode())
