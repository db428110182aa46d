"""Ed25519 keys (RFC 8032): each device signs its commits with one, and the user vouches for the device with another."""

from __future__ import annotations

import os
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.crypto.secret import Secret, derived
from core.errors import WorkspaceUnusable

KEY_FILE = "device-signing.key"
_USER_INFO = b"bailiwick/v1/signing"


class Signer:
    """A private key that signs; ``public`` is its public key in hexadecimal. Safe from any thread."""

    def __init__(self, secret: Secret) -> None:
        """``secret`` are the 32 bytes of the private key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(secret.reveal())
        self.public = self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        """64 bytes that ``is_signed`` accepts for this message alone."""
        return self._key.sign(message)


def device_signer(agentfs: AgentFS) -> Signer:
    """This device's signer, its key made when there is none yet.

    The key is in no backup: a restored workspace is another device. Raises WorkspaceUnusable and StorageFull.
    """
    path = agentfs.root / "keys" / KEY_FILE
    with translated(path):
        if not path.exists():
            _make(path)
        try:
            return Signer(Secret(bytes.fromhex(path.read_text(encoding="ascii").strip())))
        except ValueError:
            raise WorkspaceUnusable(
                f"This device's signing key {path} is damaged.",
                "Move it away: the device then signs with a new key after `bailiwick remote join`.",
            ) from None


def user_signer(agentfs: AgentFS) -> Signer:
    """The signer that all devices of the user have, derived from the identity's first generation. Raises Locked."""
    identity = agentfs.keys.prepare().identity
    return Signer(derived(identity.generations[0].key.secret, _USER_INFO))


def is_signed(public: str, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` was made over ``message`` by the holder of the private key of ``public``."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(32).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            # Another process of this workspace made it at the same moment.
            return
    finally:
        temporary.unlink(missing_ok=True)
