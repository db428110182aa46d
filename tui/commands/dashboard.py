"""Opens the dashboard, for ``bailiwick`` and ``bailiwick demo``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import InvalidInput

if TYPE_CHECKING:
    from core.workspace import Workspace


def need_terminal() -> None:
    """Raise InvalidInput unless a person sits at a terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidInput(
            "The dashboard needs a terminal.", "In scripts use the commands: `bailiwick --help` lists them."
        )


def open_dashboard(root: Path, role: str, begin: Callable[[Workspace], None] | None = None) -> int:
    """Run the dashboard on the workspace at ``root`` and answer the exit code.

    ``begin`` is called with the opened workspace, which is closed with a bound however the dashboard ends.
    """
    need_terminal()
    os.umask(0o077)
    from core.config import load_settings
    from tui.app import BailiwickApp

    settings = load_settings(root)

    def open_workspace() -> Workspace:
        from core.engine import Duties
        from core.workspace import Workspace
        from tui.logs import start_logging

        workspace = Workspace(root, settings, role=role, duties=Duties.ALL, or_viewer=True)
        start_logging(root)
        if begin is not None:
            begin(workspace)
        return workspace

    app = BailiwickApp(open_workspace, theme=settings.screen.theme, log_path=root / "logs" / "bailiwick.log")
    try:
        app.run()
    finally:
        app.close_workspace()
    return app.return_code or 0
