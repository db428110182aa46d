"""Workspaces on machines of their own, and what they hold, for tests of joining, checking and mending."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import PrivacySettings
from core.agentfs.items import ItemWrite
from core.config import defaults_folder
from core.model import Kind, Level
from core.workspace import Workspace
from tests.sync.test_service import opened

PERSON = Actor(ActorKind.PERSON, "mara", door="cli")
SECRET = "aws_access_key_id = AKIAQ3EGRZ4YV6TLZ7NQ\naws_secret_access_key = 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"


class Machines(ExitStack):
    """Opens workspaces, each with key files of its own, and closes them at the end."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def open(self, name: str, *, user: str = "mara", teams: tuple[str, ...] = ()) -> AgentFS:
        """The workspace ``name``; opened again it is the same one, as another process sees it."""
        settings = PrivacySettings(
            (defaults_folder() / "privacy_config.yml",),
            self.folder / f"{name}-machine" / "keys",
            user=user,
            teams=frozenset(teams),
        )
        opened = AgentFS(self.folder / name, privacy=settings)
        self.callback(opened.close)
        return opened


def put(agentfs: AgentFS, path: str, text: str, kind: Kind = Kind.DECISION) -> str:
    """Write an item of the workspace's user; the answer is its id."""
    write = ItemWrite(path, kind, agentfs.guard.settings.user, text.encode(), Level.PRIVATE)
    with agentfs.database.transaction() as connection:
        return agentfs.items.put(connection, write, by=PERSON).item_id


def text_at(agentfs: AgentFS, path: str) -> str:
    """What the item at ``path`` holds, opened where it is sealed."""
    item = agentfs.items.at_path(path)
    assert item is not None
    return agentfs.items.content(item).decode()


def opened_pair(made: Path, folder: Path, names: tuple[str, str]) -> tuple[Workspace, Workspace]:
    """Copies of two workspaces and the folder ``remote`` between them that lie in ``made``, opened in ``folder``."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    first, second = (opened(folder / name) for name in names)
    for each in (first, second):
        each.agentfs.settings.put("sync.remote", str(folder / "remote"))
    return first, second


@contextmanager
def user() -> Iterator[None]:
    """Mara works here, without a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAILIWICK_MODEL_PATH", "/nonexistent")
        patch.setenv("BAILIWICK_USER_ID", "mara")
        yield
