"""A file of an AgentFS file as a state of ours, and back: ``files/PATH`` holds its content as text or base64."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from core.model import JSONValue

PREFIX = "files/"
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A regular file, or with ``target`` a symbolic link. ``path`` is below the root, ``mode`` its permissions."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    target: str = ""


def key_of(path: str) -> str:
    """The key of the state that holds the file at ``path``."""
    return PREFIX + path


def value_of(file: StoredFile) -> JSONValue:
    """The value of that state."""
    if file.target:
        return {"link": file.target}
    mode = f"{file.mode & 0o777:o}"
    try:
        return {"text": file.data.decode("utf-8"), "mode": mode}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(file.data).decode("ascii"), "mode": mode}


def file_of(key: str, value: JSONValue) -> StoredFile | None:
    """The file that a state holds, so that ``value_of`` gives exactly ``value`` again; ``None`` where it holds none."""
    path = key.removeprefix(PREFIX)
    if path == key or not all(map(is_plain_name, path.split("/"))) or not isinstance(value, dict):
        return None
    try:
        file = _parsed(path, value)
        return file if value_of(file) == value else None
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        return None


def is_plain_name(name: str) -> bool:
    """Whether a file or folder may be called so: one part of a path that leads nowhere else."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name and len(_bytes(name)) <= _LONGEST_NAME


def _parsed(path: str, value: dict[str, JSONValue]) -> StoredFile:
    if "link" in value:
        return StoredFile(path, target=str(value["link"]))
    mode = int(str(value["mode"]), 8)
    if "text" in value:
        return StoredFile(path, str(value["text"]).encode("utf-8"), mode)
    return StoredFile(path, base64.b64decode(str(value["base64"]), validate=True), mode)


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
