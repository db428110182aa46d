"""Which files a tool is about to change, told by what goes into it; of a path a hook keeps its hash alone."""

from __future__ import annotations

import os
from collections.abc import Mapping

TOOLS = frozenset({"edit", "write", "multiedit", "notebookedit", "patch", "apply_patch"})
"""The tools of all clients that change files, in small letters."""
MOST_FILES = 16
LONGEST_PATH = 4096
_NAMED = ("file_path", "filePath", "notebook_path", "path")
_PATCHES = ("command", "input", "patch", "patchText")
_MARKS = ("*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: ")


def edited_files(payload: Mapping[str, object], folder: str) -> list[str]:
    """The absolute paths of the files that the tool of a payload changes, where it is one that does."""
    tool, told = payload.get("tool_name"), payload.get("tool_input")
    if not isinstance(tool, str) or tool.lower() not in TOOLS:
        return []
    if isinstance(told, str):
        told = {"input": told}
    if not isinstance(told, dict):
        return []
    named = [told[key] for key in _NAMED if isinstance(told.get(key), str)][:1]
    for key in _PATCHES:
        if isinstance(patch := told.get(key), str):
            named += [
                line.removeprefix(mark) for line in patch.splitlines() for mark in _MARKS if line.startswith(mark)
            ]
    here = payload.get("cwd") if isinstance(payload.get("cwd"), str) else folder
    paths = [os.path.normpath(os.path.join(str(here), each.strip())) for each in named if each.strip()]
    return list(dict.fromkeys(each for each in paths if len(each) <= LONGEST_PATH))[:MOST_FILES]
