"""What must not be seen: bytes that neither repr, str, logs nor tracebacks with locals show."""

from __future__ import annotations

import hmac
from typing import NoReturn

from core.errors import Locked

HOW_TO_UNLOCK = "Unlock it with `bailiwick keys unlock`."


class Secret:
    """Bytes that are masked wherever Python shows a value, and can be overwritten.

    Functions of this package bind plain secrets to no name, so that no traceback's locals hold one. Forgetting
    overwrites this copy; copies that ``reveal`` gave to libraries live until Python collects them. Safe from any
    thread.
    """

    __slots__ = ("_forgotten", "_held")

    def __init__(self, value: bytes | str) -> None:
        """Hold ``value``; a text is held as UTF-8."""
        self._held = bytearray(value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value)
        self._forgotten = False

    def reveal(self) -> bytes:
        """A plain copy, to be handed on within one expression; raises Locked once forgotten."""
        if self._forgotten:
            raise Locked("The keys were locked in the meantime.", HOW_TO_UNLOCK)
        return bytes(self._held)

    def text(self) -> str:
        """The plain text, as ``reveal``."""
        return self.reveal().decode("utf-8", "surrogateescape")

    def forget(self) -> None:
        """Overwrite what is held; every later use raises Locked."""
        self._forgotten = True
        self._held[:] = bytes(len(self._held))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._held, other._held)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is neither copied nor pickled.")


def derived(source: Secret, info: bytes, salt: bytes = b"") -> Secret:
    """32 bytes by HKDF-SHA256 (RFC 5869); each ``info`` gives a key that tells nothing of the others."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return Secret(HKDF(SHA256(), 32, salt or None, info).derive(source.reveal()))
