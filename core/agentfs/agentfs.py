"""One workspace's truth, opened: the database, its stores and the folder they live in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from core.agent_model import Actor, ActorKind
from core.agentfs.activity import ActivityStore
from core.agentfs.agents import AgentRegistry
from core.agentfs.audit import AuditTrail
from core.agentfs.audit_check import AuditCheck
from core.agentfs.contents import ContentStore
from core.agentfs.database import Database, now, to_text, translated
from core.agentfs.engine_lock import EngineLock
from core.agentfs.guard import Guard, PrivacySettings, privacy_settings
from core.agentfs.items import ItemStore
from core.agentfs.known_identity import KnownIdentity
from core.agentfs.leases import LeaseStore
from core.agentfs.messages import MessageStore
from core.agentfs.migration import migrate
from core.agentfs.permissions import Permissions
from core.agentfs.policy import AgentPolicy
from core.agentfs.queue import TaskQueue
from core.agentfs.reclassification import Reclassifier
from core.agentfs.sessions import SessionStore
from core.agentfs.settings import SettingsStore
from core.agentfs.shares import ShareStore
from core.agentfs.snapshots import SnapshotStore
from core.agentfs.sources import SourceStore
from core.agentfs.states import StateStore
from core.errors import WorkspaceUnusable
from core.ids import new_id

if TYPE_CHECKING:
    from core.crypto.workspace_keys import WorkspaceKeys

DATABASE_FILE = "agentfs.db"


class AgentFS:
    """The stores of one workspace. Safe from any thread; several processes may hold the same workspace open."""

    def __init__(
        self,
        root: Path,
        policy: AgentPolicy | None = None,
        acting: Actor | None = None,
        privacy: PrivacySettings | None = None,
    ) -> None:
        """Open the workspace at ``root``, creating it (mode 0700) and migrating it as needed.

        ``acting`` is who asks and changes where nobody is named in this process; without it, it is the engine itself.
        Without ``privacy`` the files of the boundaries are read, and nothing else is known of the user.
        Raises WorkspaceUnusable when the folder cannot be written, is damaged, or was written by a newer version.
        """
        self.root = root
        _prepare(root)
        self.database = Database(root / DATABASE_FILE)
        try:
            migrate(self.database, root / "snapshots")
            self.device = _device_id(self.database)
        except BaseException:
            self.database.close()
            raise
        engine = Actor(ActorKind.ENGINE, self.device)
        self.acting = acting or engine
        self.audit = AuditTrail(self.database, self.device)
        self.contents = ContentStore(self.database, root / "files")
        known = KnownIdentity(self.database, self.contents)
        self.guard = Guard(privacy or privacy_settings(root), root / "keys", known)
        self.items = ItemStore(self.database, self.contents, self.audit, self.guard, engine)
        self.shares = ShareStore(self.database, self.audit)
        self.permissions = Permissions(self.database, self.audit, self.guard, self.shares)
        self.queue = TaskQueue(self.database)
        self.settings = SettingsStore(self.database, self.audit, self.acting)
        self.sources = SourceStore(self.database, self.audit, self.acting)
        self.engine_lock = EngineLock(root)
        self.agents = AgentRegistry(self.database, self.audit, root / "keys" / "agents", policy or AgentPolicy())
        self.states = StateStore(self.database, self.items, self.agents, self.guard, self.permissions, self.acting)
        self.messages = MessageStore(self.database, self.items, self.agents, self.guard, self.permissions, self.acting)
        self.leases = LeaseStore(self.database, self.audit, self.agents, self.messages)
        self.sessions = SessionStore(self.database, self.items, self.agents)
        self.activity = ActivityStore(self.items, self.sessions)
        self.snapshots = SnapshotStore(
            self.database,
            self.audit,
            self.agents,
            self.states,
            self.items,
            self.permissions,
            root / "snapshots",
            self.acting,
        )
        self.reclassifier = Reclassifier(self.database, self.items, self.contents, self.guard, self.settings)
        self.audit_check = AuditCheck(self.database, self.audit, root)
        self.agents.places.on_admitted = self.messages.tell_admitted

    @property
    def keys(self) -> WorkspaceKeys:
        """The workspace's keys in this process."""
        return self.guard.keys

    def close(self) -> None:
        """Give back the engine lock and close every connection."""
        self.engine_lock.release()
        self.database.close()


def _device_id(database: Database) -> str:
    """Which device's chain the audit records here belong to; made once for a workspace on a machine."""
    with translated(database.path):
        row = database.connection().execute("SELECT value FROM settings WHERE key = 'device.id'").fetchone()
    if row is None:
        with database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO settings (key, value, updated_at) VALUES ('device.id', ?, ?)",
                (json.dumps(new_id()), to_text(now())),
            )
            row = connection.execute("SELECT value FROM settings WHERE key = 'device.id'").fetchone()
    return str(json.loads(row["value"]))


def _prepare(root: Path) -> None:
    try:
        with translated(root / DATABASE_FILE):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = root / f".writable.{os.getpid()}"
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
            # Another thread of this process may be at the same.
            probe.unlink(missing_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise WorkspaceUnusable(f"{root} is not a folder.", "Name a folder with --workspace.") from None
    except OSError as error:
        raise WorkspaceUnusable(
            f"The workspace {root} cannot be written ({os.strerror(error.errno or 0)}).",
            "Make the folder writable, or name another with --workspace.",
        ) from None
