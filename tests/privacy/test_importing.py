"""Threads that need privacy for the first time at the same moment do not come into each other's way."""

from __future__ import annotations

import ast
from pathlib import Path

import core
import tui


def test_the_room_is_imported_before_its_files() -> None:
    """Of two threads, one that begins with the room and one with a file of it, each would wait for the other."""
    found = set()
    for package in (core, tui):
        for path in Path(str(package.__path__[0])).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("core.privacy."):
                    found.add(path.name if path.parent.name != "privacy" else "")
    assert found <= {""}
