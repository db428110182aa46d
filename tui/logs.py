"""Where the log goes, and that no secret and no home folder's name gets into it."""

from __future__ import annotations

import logging
import os
import tempfile
from logging.handlers import RotatingFileHandler
from pathlib import Path

_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
_LARGEST = 2_000_000


class LateScrubbing(logging.Filter):
    """``core.privacy``'s filter, loaded when there is first something to log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; changes ``record``."""
        from core.privacy import ScrubbingFilter

        return ScrubbingFilter().filter(record)


def start_logging(workspace: Path) -> Path:
    """Log to ``logs/bailiwick.log`` of the workspace, which must exist, and no longer to that of another.

    Returns the file's path.
    """
    folder = workspace / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "bailiwick.log"
    _log_to(RotatingFileHandler(path, maxBytes=_LARGEST, backupCount=3, encoding="utf-8", delay=True))
    logging.getLogger().setLevel(logging.WARNING)
    return path


def crash_log() -> Path:
    """The log's file; where there is none yet, a new one in the temporary folder, readable by the user alone."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            return Path(handler.baseFilename)
    descriptor, name = tempfile.mkstemp(prefix="bailiwick-crash-", suffix=".log")
    os.close(descriptor)
    _log_to(logging.FileHandler(name, encoding="utf-8"))
    return Path(name)


def _log_to(handler: logging.Handler) -> None:
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if any(isinstance(one, LateScrubbing) for one in each.filters)]:
        root.removeHandler(earlier)
        earlier.close()
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(LateScrubbing())
    root.addHandler(handler)
