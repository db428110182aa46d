"""One workspace's truth, opened: the database, its stores and the folder they live in."""

from __future__ import annotations

import os
from pathlib import Path

from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, translated
from core.agentfs.engine_lock import EngineLock
from core.agentfs.items import ItemStore
from core.agentfs.migration import migrate
from core.agentfs.queue import TaskQueue
from core.agentfs.settings import SettingsStore
from core.agentfs.sources import SourceStore
from core.errors import WorkspaceUnusable

DATABASE_FILE = "agentfs.db"


class AgentFS:
    """The stores of one workspace. Safe from any thread; several processes may hold the same workspace open."""

    def __init__(self, root: Path) -> None:
        """Open the workspace at ``root``, creating it (mode 0700) and migrating it as needed.

        Raises WorkspaceUnusable when the folder cannot be written, is damaged, or was written by a newer version.
        """
        self.root = root
        _prepare(root)
        self.database = Database(root / DATABASE_FILE)
        try:
            migrate(self.database, root / "snapshots")
        except BaseException:
            self.database.close()
            raise
        self.contents = ContentStore(self.database, root / "files")
        self.items = ItemStore(self.database, self.contents)
        self.queue = TaskQueue(self.database)
        self.settings = SettingsStore(self.database)
        self.sources = SourceStore(self.database)
        self.engine_lock = EngineLock(root)

    def close(self) -> None:
        """Give back the engine lock and close every connection."""
        self.engine_lock.release()
        self.database.close()


def _prepare(root: Path) -> None:
    try:
        with translated(root / DATABASE_FILE):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = root / f".writable.{os.getpid()}"
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
            probe.unlink()
    except (FileExistsError, NotADirectoryError):
        raise WorkspaceUnusable(f"{root} is not a folder.", "Name a folder with --workspace.") from None
    except OSError as error:
        raise WorkspaceUnusable(
            f"The workspace {root} cannot be written ({os.strerror(error.errno or 0)}).",
            "Make the folder writable, or name another with --workspace.",
        ) from None
