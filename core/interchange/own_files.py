"""The workspace's own files are neither written nor read by interchange.

Opening and closing a live SQLite file beside its connections would drop the locks that keep two writers apart.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.errors import InvalidInput


def refuse_own(agentfs: AgentFS, path: Path) -> None:
    """Raise InvalidInput when ``path`` lies in the workspace, or is its database under another name."""
    try:
        folder, root = Path(os.path.realpath(path.parent)), Path(os.path.realpath(agentfs.root))
        is_own = root == folder or root in folder.parents or _is_same(path, agentfs.database.path)
    except ValueError:
        raise InvalidInput(f"{str(path)!r} cannot be a file's name.") from None
    if is_own:
        raise InvalidInput(f"{path} belongs to the workspace itself.", "Name a file outside of it.")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
