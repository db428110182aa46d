"""Moments in the columns of a log, on the person's own clock."""

from __future__ import annotations

from datetime import datetime

from tui import moments

NARROW_CELLS = 8
WIDE_CELLS = 15


def short_time(moment: datetime) -> str:
    """The time of day; of another day the date before it."""
    return moment.astimezone().strftime("%H:%M:%S" if _is_today(moment) else "%d %b %H:%M:%S")


def column_time(moment: datetime, *, wide: bool) -> str:
    """``WIDE_CELLS`` with date and time, else ``NARROW_CELLS`` with the time, or with another day's date."""
    if wide:
        return moment.astimezone().strftime("%d %b %H:%M:%S")
    return moment.astimezone().strftime("%H:%M:%S" if _is_today(moment) else "%d %b  ")


def _is_today(moment: datetime) -> bool:
    return moment.astimezone().date() == moments.now().astimezone().date()
