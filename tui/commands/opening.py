"""Opening a workspace for one command, and closing it whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from core.config import load_settings
from core.engine import Duties
from core.errors import NotFound
from core.opening import require_rules
from core.workspace import Workspace
from tui.commands.options import Invocation
from tui.logs import start_logging


@contextmanager
def opened(
    invocation: Invocation,
    role: str,
    duties: Duties | None = None,
    *,
    or_viewer: bool = False,
    must_exist: bool = False,
    by_rules: bool = False,
) -> Iterator[Workspace]:
    """The workspace of this call; with ``duties`` this process is its engine.

    Where another process is: raises EngineHeld, or with ``or_viewer`` leaves it to that one and is a viewer.
    ``must_exist`` refuses to make a workspace only to look into it, ``by_rules`` to begin what the boundaries are
    needed for while they cannot be read.
    """
    os.umask(0o077)
    root = invocation.workspace_folder()
    if must_exist and not (root / "agentfs.db").exists():
        raise NotFound(f"There is no workspace at {root} yet.", "`bailiwick add PATH` or `bailiwick` makes one.")
    settings = load_settings(root)
    if by_rules:
        require_rules(root, settings)
    workspace = Workspace(root, settings, role=role, duties=duties, or_viewer=or_viewer)
    try:
        start_logging(root)
        yield workspace
    finally:
        workspace.close()
