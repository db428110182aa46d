"""How a thread that must go on tells of what went wrong in it: all of it to the log, a sentence to the person."""

from __future__ import annotations

import logging

from core.errors import BailiwickError
from core.events import EventBus, Notice


class Complaints:
    """What one permanent thread complains of; used by that thread alone."""

    def __init__(self, bus: EventBus, log: logging.Logger, subject: str) -> None:
        """``subject`` begins the sentences: "The index is behind"."""
        self._bus = bus
        self._log = log
        self._subject = subject
        self._last = ""

    def about(self, error: Exception) -> None:
        """Log ``error``, and tell the person unless the complaint before was the same."""
        known = isinstance(error, BailiwickError)
        sentence = f"{self._subject}: {error if known else f'something broke ({type(error).__name__}); the log tells.'}"
        self._log.error("%s", sentence, exc_info=error)
        if sentence != self._last:
            self._bus.publish(Notice(sentence, "error"))
        self._last = sentence

    def settle(self) -> None:
        """All went well: the same complaint would be news again."""
        self._last = ""
