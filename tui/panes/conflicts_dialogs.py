"""The dialogs of the conflicts pane, each imported when it is first asked for, and the person's own editor."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

from core.conflicts.merging.automatic import Media
from core.errors import BailiwickError, InvalidInput
from tui.editor import editor_command, run_editor

if TYPE_CHECKING:
    from textual.app import App

    from core.conflicts.arbitration import Arbitration
    from core.conflicts.merging.decisions import Content
    from core.conflicts.summaries import Applied, Refused
    from tui.panes.conflicts_reading import ConflictsWorkspace
    from tui.panes.fetching import FetchingPane

_SUFFIXES = {Media.JSON: ".json", Media.TEXT: ".txt"}


class ConflictDialogs:
    """Opens them over the pane."""

    def __init__(self, pane: FetchingPane, workspace: ConflictsWorkspace) -> None:
        self._pane = pane
        self._workspace = workspace

    def edit(self, arbitration: Arbitration, number: int, written: Callable[[Content], None]) -> None:
        """Write what shall hold at a place; ``written`` gets it once it is valid."""
        from tui.screens.edit_place import edit_screen

        def answered(answer: tuple[Content] | None) -> None:
            if answer is not None:
                written(answer[0])

        self._pane.app.push_screen(edit_screen(arbitration, number), answered)

    def rule(self, identifiers: list[str], ruled: Callable[[list[Applied | Refused]], None]) -> None:
        """Rule on several conflicts after a preview."""
        from tui.screens.rule_many import RuleManyScreen

        def answered(outcomes: list[Applied | Refused] | None) -> None:
            if outcomes is not None:
                ruled(outcomes)

        self._pane.app.push_screen(RuleManyScreen(self._workspace, identifiers), answered)


def edit_outside(app: App[Any], text: str, path: str, media: Media) -> str | None:
    """``text`` as the person's editor leaves it, ``None`` where it is as before; the file lies in a private folder.

    Raises InvalidInput without an editor, or where the terminal cannot be given up, or for what is no text.
    """
    folder = Path(tempfile.mkdtemp(prefix="bailiwick-"))
    try:
        suffix = Path(path).suffix or _SUFFIXES.get(media, ".txt")
        file = folder / f"result{suffix if suffix.isascii() and suffix[1:].isalnum() else '.txt'}"
        file.write_text(text, encoding="utf-8", newline="")
        command = editor_command(str(file), 1)
        with _terminal_given_up(app):
            run_editor(command)
        written = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("What came back is not UTF-8.", "Nothing was taken over.") from None
    except OSError as error:
        raise BailiwickError("The editor could not be used.", error.strerror or "") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return written if written != text else None


@contextlib.contextmanager
def _terminal_given_up(app: App[Any]) -> Any:
    try:
        with app.suspend():
            yield
    except SuspendNotSupported:
        raise InvalidInput("This terminal cannot be given to an editor.", "Edit place by place.") from None
