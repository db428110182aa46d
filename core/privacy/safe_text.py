"""Texts for logs, events, tracebacks and messages: without secrets and without the names of home folders.

This is the light half of classification: the formats and named values of this room, without detect-secrets, so that a
line is looked at in microseconds and nothing heavy is loaded by an error.
"""

from __future__ import annotations

import logging
import traceback

from core.privacy import personal_data
from core.privacy.classification import holds_secret, scanned_secrets, secrets
from core.privacy.findings import Finding, FindingKind, without_overlaps
from core.privacy.redaction import on_the_lines_of

SECRET = "<secret>"
HOME = "~"
_ROUNDS = 5
_OWN_FIELDS = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


def scrub(text: str) -> str:
    """``text`` with every secret replaced by ``<secret>`` and every home folder by ``~``.

    Lines are kept, clean texts are returned as they are, and scrubbing twice changes nothing more. Thread-safe; never
    raises. It knows formats and named values only: for what leaves the machine use ``redact``.
    """
    for _ in range(_ROUNDS):
        found = [*secrets(text), *(finding for finding, _ in personal_data.home_paths(text))]
        if not found:
            break
        text = _replaced(text, found)
    return text


def scrub_thoroughly(text: str) -> str:
    """As ``scrub``, and without what detect-secrets finds besides; it is loaded only where it could find something."""
    text = scrub(text)
    for _ in range(_ROUNDS):
        if not holds_secret(text):
            return text
        text = scrub(_replaced(text, [*secrets(text), *scanned_secrets(text)]))
    return SECRET


def _replaced(text: str, found: list[Finding]) -> str:
    pieces: list[str] = []
    position = 0
    for finding in without_overlaps(found):
        pieces += text[position : finding.start], _replacement(finding, text)
        position = finding.end
    return "".join((*pieces, text[position:]))


def scrubbed_exception(error: BaseException) -> str:
    """The traceback of ``error`` with everything it was caused by, scrubbed."""
    return scrub("".join(traceback.format_exception(error)).rstrip("\n"))


class ScrubbingFilter(logging.Filter):
    """Scrubs every record that passes: message, exception, stack and additional texts.

    Add it to handlers: filters of a logger do not see the records of its children. The record keeps no arguments and no
    exception object afterwards, so no formatter can bring back what was removed. Thread-safe.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true; changes ``record``."""
        try:
            record.msg = scrub(record.getMessage())
        except Exception:  # noqa: BLE001 - arguments that do not fit would be printed whole by logging itself
            record.msg = f"{scrub(str(record.msg))} (its arguments do not fit and were left out)"
        record.args = None
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = scrubbed_exception(record.exc_info[1])
        elif record.exc_text:
            record.exc_text = scrub(record.exc_text)
        record.exc_info = None
        if record.stack_info:
            record.stack_info = scrub(record.stack_info)
        for name, value in vars(record).items():
            if name not in _OWN_FIELDS and isinstance(value, str):
                setattr(record, name, scrub(value))
        return True


def _replacement(finding: Finding, text: str) -> str:
    if finding.kind is FindingKind.HOME_PATH:
        return HOME
    return on_the_lines_of(text[finding.start : finding.end], SECRET)
