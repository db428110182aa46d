"""``bailiwick info``: where everything is."""

from __future__ import annotations

import sys

import click

from core import __version__
from core.agentfs.engine_lock import EngineLock
from core.config import cache_folder, defaults_folder, load_settings, user_config_folder
from tui.commands.options import Invocation, common_options, pass_invocation


@click.command()
@common_options
@pass_invocation
def info(invocation: Invocation) -> None:
    """Print every folder in use, the engine, and every setting with its origin. Makes nothing."""
    root = invocation.workspace_folder()
    settings = load_settings(root)
    lock = EngineLock(root)
    holder = lock.holder() if lock.is_taken() else None
    paths = {
        "workspace": root,
        "database": root / "agentfs.db",
        "index": root / "documents.duckdb",
        "words": root / "words",
        "vectors": root / "vectors.db",
        "files": root / "files",
        "cache": root / "cache",
        "snapshots": root / "snapshots",
        "logs": root / "logs",
        "intake": root / "intake",
        "model_cache": cache_folder() / "models",
        "user_config": user_config_folder(),
        "key_files": user_config_folder() / "keys",
        "defaults": defaults_folder(),
    }
    flat = settings.flat()
    document = {
        "version": __version__,
        "python": sys.version.split()[0],
        "engine": str(holder) if holder else None,
        "paths": {name: {"path": str(path), "exists": path.exists()} for name, path in paths.items()},
        "settings": {key: {"value": value, "origin": settings.origins[key]} for key, value in flat.items()},
    }
    lines = [f"bailiwick {__version__}, Python {document['python']}", f"engine: {holder or 'none runs'}", ""]
    lines += [f"{name:14} {path}{'' if path.exists() else '  (not there yet)'}" for name, path in paths.items()]
    lines += ["", *(f"{key:24} {value!s:20} {settings.origins[key]}" for key, value in flat.items())]
    invocation.answer(document, lines)
