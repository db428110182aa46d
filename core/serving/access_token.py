"""The token of ``bailiwick mcp --http``: made once for a workspace, in a file that only its user can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from core.errors import InvalidInput

TOKEN_FILE = "mcp.token"


def own_token(root: Path) -> str:
    """The token of the workspace at ``root``, made when there is none; deleting the file makes another.

    Raises InvalidInput when others may read the file, or there is no token in it.
    """
    path = root / TOKEN_FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        token = secrets.token_urlsafe(32)
        file.write(token + "\n")
    return token


def _read(path: Path) -> str:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InvalidInput(f"Others may read the token file {path}.", f"chmod 600 {path}")
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if len(token) < 32 or not token.isascii():
        raise InvalidInput(f"There is no token in {path}.", "Delete the file; another is made.")
    return token
