"""The key pair that opens a bucket: from the environment, the keychain or a file, never from the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.config import user_config_folder
from core.crypto import keychain
from core.crypto.secret import Secret
from core.crypto.whole_files import read_private
from core.errors import BailiwickError, NotFound, RemoteRefused

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
    none, half of them, or others could read the file.
    """
    path = user_config_folder(environ) / FILE
    found = _from_environment(environ) or _from_keychain(bucket) or _from_file(path, bucket)
    if found is None:
        raise RemoteRefused(f"There are no credentials for the bucket {bucket}.", _HOW.format(path=path))
    return found


def keep_credentials(bucket: str, key_id: str, secret: Secret) -> str:
    """Put a key pair into the machine's keychain; the answer is the keychain's name.

    Raises Unreachable when this machine has no keychain that keeps secrets, or it refuses.
    """
    keychain.keep(f"{_ENTRY}{bucket}", Secret(f"{key_id}:{secret.text()}"))
    return keychain.keychain_name()


def forget_credentials(bucket: str) -> None:
    """Take a key pair out of the keychain; nothing happens when it is not there."""
    keychain.forget(f"{_ENTRY}{bucket}")


def _from_environment(environ: Mapping[str, str]) -> Credentials | None:
    for key_id, secret, token in _VARIABLES:
        given = [name for name in (key_id, secret) if environ.get(name)]
        if len(given) == 1:
            missing = secret if given == [key_id] else key_id
            raise RemoteRefused(f"{given[0]} is set, but {missing} is not.", "Set both, or neither.")
        if given:
            held = Secret(environ[token]) if environ.get(token) else None
            return Credentials(environ[key_id].strip(), Secret(environ[secret].strip()), held, f"environment {key_id}")
    return None


def _from_keychain(bucket: str) -> Credentials | None:
    try:
        entry = keychain.fetch(f"{_ENTRY}{bucket}") if keychain.keychain_name() else None
    except BailiwickError:
        # A keychain that is locked or broken is none; the file may have them.
        return None
    if entry is None:
        return None
    key_id, _, secret = entry.text().partition(":")
    return Credentials(key_id, Secret(secret), None, "keychain")


def _from_file(path: Path, bucket: str) -> Credentials | None:
    try:
        content = read_private(path, "credentials file")
    except NotFound:
        return None
    except BailiwickError as error:
        raise RemoteRefused(error.message, error.hint) from None
    told = _entry(content, bucket)
    content.forget()
    if told is None:
        raise RemoteRefused(f"{path} holds no `key_id:` and `secret:` for {bucket}.", "Add them.")
    return Credentials(told[0], told[1], told[2], f"file {path}")


def _entry(content: Secret, bucket: str) -> tuple[str, Secret, Secret | None] | None:
    try:
        held: Any = yaml.safe_load(content.text())
    except (UnicodeDecodeError, yaml.YAMLError):
        return None
    told = held.get(bucket, held) if isinstance(held, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("key_id"), str) or not isinstance(told.get("secret"), str):
        return None
    token = told.get("token")
    return told["key_id"], Secret(told["secret"]), Secret(token) if isinstance(token, str) else None
