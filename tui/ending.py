"""How the dashboard ends when nobody pressed quit: the terminal restored, one sentence, a true exit code."""

from __future__ import annotations

import asyncio
import logging
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import App

if TYPE_CHECKING:
    from rich.console import RenderableType

_log = logging.getLogger(__name__)


class OrderlyApp(App[None]):
    """Ends orderly on SIGTERM, SIGHUP and on a fault of its own; ``log_path`` is the file that faults are logged to."""

    def __init__(self, log_path: Path | None) -> None:
        super().__init__()
        self.log_path = log_path

    def end_on_signals(self) -> None:
        """Exit with 128 plus the signal's number; called once the event loop runs."""
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, partial(self.exit, return_code=128 + number))

    def _fatal_error(self) -> None:
        """In place of Textual's traceback, which shows the values of all local variables."""
        self._end_with_sentence()

    def panic(self, *renderables: RenderableType) -> None:
        """In place of what an exception would draw of itself."""
        self._end_with_sentence()

    def _end_with_sentence(self) -> None:
        error = self._exception
        cause = getattr(error, "error", error)
        _log.critical("the dashboard stopped", exc_info=cause if isinstance(cause, BaseException) else error)
        kind = type(cause).__name__
        where = f" The details are in {self.log_path}." if self.log_path else ""
        super().panic(Text(f"Bailiwick stopped because of a fault of its own ({kind}).{where}"))
