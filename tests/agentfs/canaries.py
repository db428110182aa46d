"""Secrets that nobody else has, and the search for them in every byte of a folder."""

from __future__ import annotations

import secrets
import string
from pathlib import Path

_LETTERS = string.ascii_letters + string.digits


def new_canary() -> str:
    """A text that every classification takes for a secret, as a GitHub token looks."""
    return "ghp_" + "".join(secrets.choice(_LETTERS) for _ in range(36))


def files_with(folder: Path, canary: str) -> list[str]:
    """The files below ``folder`` that hold ``canary`` in plain, in UTF-8 or UTF-16."""
    looked_for = (canary.encode(), canary.encode("utf-16-le"))
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and any(each in path.read_bytes() for each in looked_for)
    )
