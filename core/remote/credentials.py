"""The key pair that opens a bucket: from the environment, the keychain or a file, never from the command line."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from core.config import user_config_folder
from core.crypto.secret import Secret
from core.errors import RemoteRefused

FILE = "credentials.yml"
_VARIABLES = (
    ("BAILIWICK_REMOTE_KEY_ID", "BAILIWICK_REMOTE_SECRET", "BAILIWICK_REMOTE_TOKEN"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
_ENTRY = "remote:"
_HOW = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write `key_id:` and `secret:` into {path} (mode 600)."


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair; ``origin`` says where it came from. No representation of it shows the secret."""

    key_id: str
    secret: Secret
    token: Secret | None
    origin: str


def find_credentials(bucket: str, environ: Mapping[str, str] = os.environ) -> Credentials:
    """The credentials for ``bucket``: from the environment, else the keychain, else the user's credentials file.

    The file holds ``key_id`` and ``secret``, at the top or under the bucket's name. Raises RemoteRefused when there are
    none, or others could read the file.
    """
    for key_id, secret, token in _VARIABLES:
        if environ.get(key_id) and environ.get(secret):
            held = Secret(environ[token]) if environ.get(token) else None
            return Credentials(environ[key_id], Secret(environ[secret]), held, f"environment {key_id}")
    path = user_config_folder(environ) / FILE
    found = _from_keychain(bucket) or _from_file(path, bucket)
    if found is None:
        raise RemoteRefused(f"There are no credentials for the bucket {bucket}.", _HOW.format(path=path))
    return found


def _from_keychain(bucket: str) -> Credentials | None:
    from core.crypto import keychain

    entry = keychain.fetch(f"{_ENTRY}{bucket}") if keychain.keychain_name() else None
    if entry is None:
        return None
    key_id, _, secret = entry.text().partition(":")
    return Credentials(key_id, Secret(secret), None, "keychain")


def _from_file(path: Path, bucket: str) -> Credentials | None:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise RemoteRefused(f"Others could read {path}.", f"Run `chmod 600 {path}`, and change the key.")
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise RemoteRefused(f"{path} cannot be read.", "It holds `key_id:` and `secret:` lines.") from None
    told = held.get(bucket, held) if isinstance(held, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("key_id"), str) or not isinstance(told.get("secret"), str):
        raise RemoteRefused(f"{path} holds no `key_id:` and `secret:` for {bucket}.", "Add them.")
    return Credentials(told["key_id"], Secret(told["secret"]), None, f"file {path}")
