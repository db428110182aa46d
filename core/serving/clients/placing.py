"""Putting our entry into a client's file: the new one is there whole or not at all, the former is kept beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.agentfs.whole_file import sync_folder
from core.errors import InvalidInput
from core.serving.clients import jsonc, toml_tables
from core.serving.clients.entries import Client, Server, merged

LARGEST_FILE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Placed:
    """What was done: ``backup`` is where the former file is, ``None`` where there was none or nothing changed."""

    path: Path
    changed: bool
    backup: Path | None = None


def place(client: Client, server: Server, path: Path) -> Placed:
    """Merge the entry that reaches ``server`` into the file ``path``. Raises as ``put``."""
    return put(path, lambda former: merged(client, server, former))


def put(path: Path, merge: Callable[[str], str]) -> Placed:
    """Have the file ``path`` hold what ``merge`` makes of its text; a file reached by a link is changed where it is.

    Raises InvalidInput, leaving everything as it was, when the file cannot be read or written, or ``merge`` does not
    understand it, which it says by NotJSON or NotTOML.
    """
    target = Path(os.path.realpath(path))
    try:
        former = _read(target)
        text = _merged(merge, path, former)
        if former is not None and text == former:
            return Placed(path, changed=False)
        return Placed(path, changed=True, backup=_write(target, text, former))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written ({os.strerror(error.errno or 0)}).", _BY_HAND) from None


_BY_HAND = "Without --write the entry is only printed."


def _merged(merge: Callable[[str], str], path: Path, former: str | None) -> str:
    try:
        return merge(former or "")
    except (jsonc.NotJSON, toml_tables.NotTOML) as error:
        raise InvalidInput(f"{path} is not understood ({error}); nothing was changed.", _BY_HAND) from None


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return None
    if len(data) > LARGEST_FILE:
        raise InvalidInput(f"{path} is larger than {LARGEST_FILE // 2**20} MiB.", _BY_HAND)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not valid UTF-8; nothing was changed.", _BY_HAND) from None


def _write(path: Path, text: str, former: str | None) -> Path | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    backup: Path | None = None
    mode: int | None = None
    if former is not None:
        mode = stat.S_IMODE(path.stat().st_mode)
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        backup = _made(path, f".{moment}.backup", former, mode)
    temporary = _made(path, ".new", text, mode)
    try:
        if _read(path) != former:
            raise InvalidInput(f"{path} was changed by another program just now; nothing was written.", "Try again.")
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return backup


def _made(path: Path, suffix: str, text: str, mode: int | None) -> Path:
    """A new file beside ``path`` that holds ``text``, with the rights ``mode`` or those that new files have."""
    number = 0
    while True:
        made = path.with_name(f"{path.name}{f'.{number}' if number else ''}{suffix}")
        try:
            descriptor = os.open(
                made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644 if mode is None else 0o600
            )
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        return made
