"""The signed head of the audit trail, kept beside the database, so that cutting the trail off or rewriting it shows."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

from core.agentfs.database import now, to_json, to_text, translated
from core.model import JSONObject

HEAD_FILE = "audit-head.json"
KEY_FILE = "device.key"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class AnchorState:
    """The newest signed head; position 0 before the first. ``problem`` is a sentence when it cannot be trusted."""

    position: int = 0
    hash: str = ""
    problem: str = ""


class AuditAnchor:
    """Signs heads with the device's key: HMAC-SHA256 (RFC 2104) over canonical JSON. Safe from any thread.

    Only this device checks this signature, and a public-key library would cost every dashboard six megabytes.
    """

    def __init__(self, root: Path) -> None:
        self._head = root / HEAD_FILE
        self._key = root / "keys" / KEY_FILE

    def read(self) -> AnchorState:
        """What was signed last."""
        try:
            held = json.loads(self._head.read_text(encoding="utf-8"))
            body, signature = held["head"], bytes.fromhex(held["signature"])
            position, digest = int(body["position"]), str(body["hash"])
        except FileNotFoundError:
            if self._key.exists():
                return AnchorState(problem=f"The signed head {HEAD_FILE} is missing.")
            return AnchorState()
        except (OSError, ValueError, KeyError, TypeError):
            return AnchorState(problem=f"The signed head {HEAD_FILE} cannot be read.")
        try:
            expected = _signature(_key_in(self._key), body)
        except (OSError, ValueError):
            return AnchorState(problem=f"The device's key {self._key} is missing or damaged.")
        if not hmac.compare_digest(expected, signature):
            return AnchorState(problem=f"The signature of {HEAD_FILE} does not fit.")
        return AnchorState(position, digest)

    def write(self, device: str, position: int, digest: str) -> None:
        """Sign a head; complete before the old one is replaced."""
        with translated(self._head):
            body: JSONObject = {"device": device, "position": position, "hash": digest, "at": to_text(now())}
            signed = {"head": body, "signature": _signature(self._secret(), body).hex()}
            _write(self._head, to_json(signed), replace=True)

    def _secret(self) -> bytes:
        if not self._key.exists():
            self._key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Another process of this workspace may make it at the same moment.
            with contextlib.suppress(FileExistsError):
                _write(self._key, os.urandom(KEY_BYTES).hex(), replace=False)
        return _key_in(self._key)


def _key_in(path: Path) -> bytes:
    key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return key


def _signature(key: bytes, body: JSONObject) -> bytes:
    return hmac.digest(key, to_json(body).encode(), "sha256")


def _write(path: Path, text: str, *, replace: bool) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
