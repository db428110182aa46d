"""``bailiwick demo``: a look at Bailiwick with real documents, leaving nothing behind."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from core.config import user_config_folder
from core.errors import NotFound
from core.workspace import Workspace
from tui.commands.dashboard import need_terminal, open_dashboard
from tui.commands.options import common_options

PACKAGES = ("textual", "rich", "duckdb", "boto3", "cryptography", "psutil", "click", "botocore", "watchfiles")


@click.command()
@common_options
def demo() -> int:
    """Open the dashboard on a throwaway workspace and read the documentation of Bailiwick's own Python packages."""
    need_terminal()
    with tempfile.TemporaryDirectory(prefix="bailiwick-demo-") as folder:
        workspace = Path(folder) / "workspace"
        try:
            return open_dashboard(workspace, "the demo", _begin)
        finally:
            _forget_keys(workspace)


def _forget_keys(workspace: Path) -> None:
    """Delete this machine's key files of the throwaway workspace, which lie outside of it."""
    for slot in (workspace / "keys" / "slots").glob("*.age"):
        (user_config_folder() / "keys" / f"{slot.stem}.key").unlink(missing_ok=True)


def _begin(workspace: Workspace) -> None:
    for package in PACKAGES:
        try:
            workspace.add_package(package, python=sys.executable)
        except NotFound:
            # Someone may have trimmed the environment; the others still make a demo.
            continue
