"""Opening a file at a line in the person's own editor."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from core.errors import InvalidInput, NotFound

_COLON_EDITORS = ("code", "codium", "cursor", "subl", "hx", "helix", "zed")
_FALLBACKS = ("nano", "vi")


def editor_command(path: str, line: int, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The command that opens ``path`` at ``line`` (1-based) in $VISUAL, $EDITOR, else nano or vi.

    Raises NotFound when the file is gone, InvalidInput when there is no such editor.
    """
    if not Path(path).is_file():
        raise NotFound(f"{path} is no longer there.", "The passage is what was read of it.")
    chosen = (
        environ.get("VISUAL") or environ.get("EDITOR") or next((each for each in _FALLBACKS if shutil.which(each)), "")
    )
    try:
        words = shlex.split(chosen)
    except ValueError:
        words = []
    if not words or shutil.which(words[0]) is None:
        raise InvalidInput(
            f"There is no editor {chosen!r} on this machine." if chosen else "No editor is set.", "Set $EDITOR."
        )
    name = Path(words[0]).name
    if name in _COLON_EDITORS:
        goto = ["--goto"] if name in ("code", "codium", "cursor") else []
        return [*words, *goto, f"{path}:{line}"]
    return [*words, f"+{line}", path]


def run_editor(command: list[str]) -> None:
    """Run the editor in the foreground; the caller has given up the terminal."""
    subprocess.run(command, check=False)
