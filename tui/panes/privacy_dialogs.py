"""The dialogs of the privacy pane, each imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tui.printable import printable
from tui.widgets.privacy_contents import path_with_names

if TYPE_CHECKING:
    from core.privacy import PatternReport
    from tui.app import BailiwickApp
    from tui.panes.fetching import FetchingWorkspace

MOST_CAUGHT = 1000


class PrivacyDialogs:
    """Opens them over ``app``; ``done`` is called when one has closed."""

    def __init__(self, app: BailiwickApp, workspace: FetchingWorkspace, done: Callable[[], None]) -> None:
        self._app = app
        self._workspace = workspace
        self._done = done

    def caught(self, told: PatternReport, names: Mapping[str, str]) -> None:
        """The paths that a pattern catches."""
        from tui.screens.explanation import CaughtScreen

        paths = [path_with_names(path, names) for path in told.paths[:MOST_CAUGHT]]
        self._app.push_screen(CaughtScreen(told.pattern.text, told.pattern.origin, paths, len(told.paths)))

    def explain(self, target: str, audience: str) -> None:
        """Every rule that had a say about an item, for ``audience`` first."""
        from tui.screens.explanation import ExplanationScreen

        self._app.push_screen(ExplanationScreen(self._workspace, target, audience))

    def share(self, target: str, path: str, known: tuple[str, ...]) -> None:
        """Share an item."""
        from tui.screens.share import ShareScreen

        self._app.push_screen(ShareScreen(self._workspace, target, path, known or ("public",)), self._closed)

    def unshare(self, path: str, name: str, take_back: Callable[[], object]) -> None:
        """Ask whether ``take_back`` is to take an item from an audience."""
        from tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            if yes:
                take_back()

        question = f"Take {printable(path)} back from {printable(name)}?"
        self._app.push_screen(ConfirmScreen(question, "Take it back"), answered)

    def recovery_code(self) -> None:
        """Make a recovery code."""
        from tui.screens.recovery_code import RecoveryCodeScreen

        self._app.push_screen(RecoveryCodeScreen(self._workspace), self._closed)

    def _closed(self, _: None) -> None:
        self._done()
