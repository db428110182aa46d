"""The operating system's keychain, where there is one: the random passphrases of slots lie in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.crypto.secret import Secret
from core.errors import BailiwickError, Unreachable

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "bailiwick"


def keychain_name() -> str:
    """What this machine's keychain is called; empty when it has none that keeps secrets."""
    backend = _real_backend()
    return str(backend.name) if backend else ""


def keep(slot_id: str, passphrase: Secret) -> None:
    """Put a slot's passphrase into the keychain and read it back.

    Raises Unreachable when there is no keychain, it is locked, or it does not give back what it was given.
    """
    backend = _required_backend()
    try:
        backend.set_password(SERVICE, slot_id, passphrase.text())
    except Exception as error:  # noqa: BLE001 — each keychain raises what its system raises
        raise _refused(error) from None
    if fetch(slot_id) != passphrase:
        raise Unreachable("The keychain did not keep what it was given.", "Use a passphrase or a key file instead.")


def fetch(slot_id: str) -> Secret | None:
    """A slot's passphrase, None when the keychain holds none. Raises Unreachable when there is no keychain to ask."""
    backend = _required_backend()
    try:
        return _held(backend, slot_id)
    except Exception as error:  # noqa: BLE001 — each keychain raises what its system raises
        raise _refused(error) from None


def forget(slot_id: str) -> None:
    """Take a slot's passphrase out of the keychain; nothing happens when it is not there."""
    backend = _real_backend()
    if backend is None:
        return
    try:
        backend.delete_password(SERVICE, slot_id)
    except Exception:  # noqa: BLE001 — without its slot the passphrase opens nothing
        return


def _held(backend: KeyringBackend, slot_id: str) -> Secret | None:
    # One expression, so that no frame holds the plain text.
    return next((Secret(text) for text in (backend.get_password(SERVICE, slot_id),) if text), None)


def _required_backend() -> KeyringBackend:
    backend = _real_backend()
    if backend is None:
        raise Unreachable(
            "This machine has no keychain that Bailiwick can use.", "Use a passphrase or a key file instead."
        )
    return backend


def _real_backend() -> KeyringBackend | None:
    """The backend that keyring chose, unless it keeps nothing or keeps it in plain.

    keyring's ``fail`` has priority 0, ``null`` less, and files in plain less than 1; a chain of several has 10 whatever
    it consists of.
    """
    try:
        import keyring
        from keyring.backends import chainer

        backend = keyring.get_keyring()
        if isinstance(backend, chainer.ChainerBackend) and not any(each.priority >= 1 for each in backend.backends):
            return None
        return backend if backend.priority >= 1 else None
    except Exception:  # noqa: BLE001 — a keychain that cannot be loaded is none
        return None


def _refused(error: Exception) -> BailiwickError:
    return Unreachable(
        f"The keychain refused ({type(error).__name__}).", "Unlock it and try again, or use a passphrase or a key file."
    )
