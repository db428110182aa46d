"""Conflicts made by hand: a workspace in which what somebody wrote was set aside for what stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import PrivacySettings
from core.agentfs.items import ItemWrite
from core.config import defaults_folder
from core.conflicts.records import ConflictStore, Side, conflict_id
from core.conflicts.service import ConflictService
from core.ids import sha256_hex
from core.model import Kind, Sensitivity

USER = "mara"
PERSON = Actor(ActorKind.PERSON, USER, "cli")
LAPTOP, DESK = "laptop-device", "desk-device"


def side(content: bytes | None, device: str = "", who: str = USER) -> Side:
    """A version with that content; without any it was deleted."""
    header = {"kind": "assumption", "level": "private", "critical": False, "metadata": {}, "agent": ""}
    return Side(sha256_hex(content)[:16] if content is not None else None, content, header, who, device)


@dataclass(frozen=True, slots=True)
class Bench:
    """A workspace, and what rules on its conflicts."""

    agentfs: AgentFS
    service: ConflictService

    def put(self, path: str, content: bytes, kind: Kind = Kind.ASSUMPTION) -> None:
        """Have ``content`` be at ``path``."""
        with self.agentfs.database.transaction() as connection:
            self.agentfs.items.put(connection, ItemWrite(path, kind, USER, content))

    def delete(self, path: str) -> None:
        """Have nothing be at ``path``."""
        item = self.agentfs.items.at_path(path)
        assert item is not None
        with self.agentfs.database.transaction() as connection:
            self.agentfs.items.delete(connection, item.id)

    def read(self, path: str) -> bytes | None:
        """What is at ``path``."""
        item = self.agentfs.items.at_path(path)
        return self.agentfs.items.content(item) if item is not None else None

    def conflict(
        self,
        path: str,
        base: bytes | None,
        local: bytes | None,
        remote: bytes,
        *,
        kind: Kind = Kind.ASSUMPTION,
        found: Sensitivity = Sensitivity.NONE,
    ) -> str:
        """``remote`` stands at ``path``, ``local`` was set aside; the answer is the conflict's id."""
        self.put(path, remote, kind)
        return self.open(path, side(base) if base is not None else None, side(local), side(remote, DESK), kind, found)

    def open(
        self, path: str, base: Side | None, local: Side, remote: Side, kind: str, found: Sensitivity = Sensitivity.NONE
    ) -> str:
        """Record a conflict of three sides; the answer is its id."""
        with self.agentfs.database.transaction() as connection:
            ConflictStore(self.agentfs).open_within(
                connection, path, kind, base, local, remote, owner=USER, found=found, by=PERSON
            )
        return conflict_id(path, base.version if base is not None else None)


def open_bench(root: Path) -> Bench:
    """A workspace at ``root``."""
    settings = PrivacySettings((defaults_folder() / "privacy_config.yml",), root.parent / "key files", False, USER)
    agentfs = AgentFS(root, acting=PERSON, privacy=settings)
    return Bench(agentfs, ConflictService(agentfs, USER))
