"""The key files of agents: each holds the one by which an agent proves who it is, for its owner's eyes alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from core.agentfs.database import translated
from core.errors import InvalidInput
from core.ids import sha256_hex


class AgentKeys:
    """Safe from any thread and process."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when there is first a key to keep."""
        self._folder = folder

    def path(self, agent_id: str) -> Path:
        """The file of an agent's key."""
        return self._folder / f"{agent_id}.key"

    def read(self, agent_id: str) -> str:
        """The key, empty when there is none; raises InvalidInput when others may read the file."""
        path = self.path(agent_id)
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise InvalidInput(f"Others may read the key file {path}.", f"chmod 600 {path}")
            return path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return ""

    def holds(self, agent_id: str, key_sha256: str) -> bool:
        """Whether the file holds the key of that hash."""
        try:
            return sha256_hex(self.path(agent_id).read_bytes().strip()) == key_sha256
        except FileNotFoundError:
            return False

    def write(self, agent_id: str) -> str:
        """Make a new key in place of any; answers it."""
        key = secrets.token_urlsafe(32)
        with translated(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self.path(agent_id)
            path.unlink(missing_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(key + "\n")
        return key
