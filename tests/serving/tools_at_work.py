"""A workspace whose tools agents use, each through a connection of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import load_settings, with_flag
from core.engine import Duties
from core.model import SearchMode
from core.serving.caller import Caller, Identity
from core.serving.engine_child import EngineChild
from core.serving.tool_calls import Outcome, perform
from core.serving.toolbox import Toolbox
from core.workspace import Workspace
from tests.workspace.engines import PATIENCE_SECONDS

OWN = Identity(own_files=True)


@dataclass(frozen=True, slots=True)
class Connection:
    """One client's connection; calling it calls a tool."""

    caller: Caller
    toolbox: Toolbox

    def __call__(self, tool: str, /, **arguments: Any) -> Outcome:
        """The outcome of a call, whatever it is."""
        return perform(self.toolbox, tool, arguments)

    def told(self, tool: str, /, **arguments: Any) -> Any:
        """What a call answers; it must succeed."""
        outcome = self(tool, **arguments)
        assert not outcome.failed, outcome.text
        return outcome.document

    def refused(self, tool: str, /, **arguments: Any) -> Any:
        """What a call that must be refused says: one sentence and a hint in the text, facts besides."""
        outcome = self(tool, **arguments)
        assert outcome.failed, outcome.text
        assert outcome.text.startswith(outcome.document["error"])
        assert "Traceback" not in outcome.text
        assert "Something broke" not in outcome.text
        return outcome.document


@dataclass(frozen=True, slots=True)
class Bench:
    """The workspace, whose engine is this process."""

    workspace: Workspace

    def connect(self, identity: Identity = OWN) -> Connection:
        """A new connection that says so of itself."""
        caller = Caller(self.workspace.agentfs, identity)
        never = EngineChild(self.workspace.root, [sys.executable, "-c", "raise SystemExit(1)"])
        return Connection(caller, Toolbox(self.workspace, caller, never, default_mode=SearchMode.TEXT))

    def agent(self, name: str, type: str = "coding") -> Connection:  # noqa: A002 - the tool's word
        """A connection on which ``name`` has registered."""
        connection = self.connect()
        connection.told("register", name=name, type=type)
        return connection

    def settle(self) -> None:
        """Wait until what was written can be found."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        assert self.workspace.wait_until_searchable(lambda: time.monotonic() > deadline)

    def key_of(self, name: str) -> str:
        """An agent's key, as its file holds it."""
        agents = self.workspace.agentfs.agents
        return agents.read_key(agents.get(name).id)


@contextmanager
def bench(root: Path, more: Mapping[str, str | int | bool] | None = None) -> Iterator[Bench]:
    """A new workspace of Ada's with room for eight agents and no model, and with ``more`` settings."""
    settings = load_settings(root)
    for key, value in {
        "model.allow_download": False,
        "model.path": str(root / "no-model"),
        "user.id": "ada",
        "user.teams": "core",
        "agents.max_concurrent": 8,
        **(more or {}),
    }.items():
        settings = with_flag(settings, key, value)
    workspace = Workspace(root, settings, role="the test", duties=Duties.ALL)
    try:
        yield Bench(workspace)
    finally:
        workspace.close()
