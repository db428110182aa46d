"""Two workspaces of one user with one identity, and what carries the changes of one to the other: no remote at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import PrivacySettings
from core.config import defaults_folder
from core.sync.commit import Operation, checked_path
from core.sync.local_tree import FormerVersion, LocalTree, LocalVersion, Origin, Outgoing
from core.sync_model import Change

USER = "mara"
PERSON = Actor(ActorKind.PERSON, USER, "cli")


@dataclass(slots=True)
class Device:
    """A workspace, its local tree, and how far its journal was read."""

    agentfs: AgentFS
    tree: LocalTree
    name: str
    position: int = 0

    @property
    def origin(self) -> Origin:
        """What an operation of this device comes from."""
        return Origin(USER, self.agentfs.device, self.name)

    def changes(self) -> list[LocalVersion]:
        """What changed since this was last asked."""
        changed, self.position = self.tree.changed_since(self.position)
        return changed

    def agent(self, name: str, kind: str = "research") -> Actor:
        """An agent that lives here, as it acts."""
        made = self.agentfs.agents.register(name, kind, owner=USER, by=PERSON).agent
        return Actor(ActorKind.AGENT, made.id, "cli")

    def versions(self) -> dict[str, str | None]:
        """The version at every path, made anew."""
        found, _ = self.tree.changed_since(0, 100_000)
        return {each.path: each.version for each in found if each.version is not None}


def open_device(root: Path, name: str, *, keys_of: Device | None = None, seal_all: bool = False) -> Device:
    """A device at ``root``; with ``keys_of`` it has the identity of that one, as joining makes it."""
    if keys_of is not None:
        shutil.copytree(keys_of.agentfs.root / "keys" / "slots", root / "keys" / "slots")
    rules = (defaults_folder() / "privacy_config.yml", root / "privacy_config.yml")
    settings = PrivacySettings(rules, root.parent / "key files", seal_all, USER)
    agentfs = AgentFS(root, acting=PERSON, privacy=settings)
    agentfs.guard.prepare()
    return Device(agentfs, LocalTree(agentfs, USER, name), name)


def operation(sent: Outgoing, base: str | None = None) -> Operation:
    """What a commit says of ``sent``."""
    return Operation(
        checked_path(sent.path),
        Change.PUT,
        base,
        sent.version,
        sent.kind,
        sent.item_id,
        sent.header,
        sent.content,
        sent.size,
    )


def carry(source: Device, target: Device, paths: Sequence[str]) -> None:
    """Have ``target`` take what is at ``paths`` of ``source`` in place of what it has, whatever that is."""
    for path in sorted(paths, key=source.tree.order):
        sent = source.tree.outgoing(path)
        here = target.tree.version(path)
        if sent is None:
            assert here is None or target.tree.delete(path, expected=here, origin=source.origin)
            continue
        if here == sent.version:
            continue
        told = operation(sent, here)
        content = target.tree.opened(told, sent.cleared.data)
        assert target.tree.apply(told, content, expected=here, origin=source.origin)


def carry_changes(source: Device, target: Device) -> list[str]:
    """As ``carry``, of everything that changed at ``source`` since this was last asked; the answer is the paths."""
    paths = [each.path for each in source.changes()]
    carry(source, target, paths)
    return paths


def differ(source: Device, target: Device, path: str, base: FormerVersion | None = None) -> bool:
    """Have ``target`` record that ``source`` changed ``path`` differently."""
    sent = source.tree.outgoing(path)
    if sent is None:
        told = Operation(path, Change.DELETE, base.version if base is not None else None, None)
        return target.tree.conflict(told, None, expected=target.tree.version(path), base=base, origin=source.origin)
    told = operation(sent, base.version if base is not None else None)
    content = target.tree.opened(told, sent.cleared.data)
    return target.tree.conflict(told, content, expected=target.tree.version(path), base=base, origin=source.origin)


def former(device: Device, path: str) -> FormerVersion:
    """What is at ``path`` now, as the version that later ones are made of."""
    sent = device.tree.outgoing(path)
    assert sent is not None
    content = device.tree.opened(operation(sent), sent.cleared.data)
    return FormerVersion(sent.version, sent.header, content)
