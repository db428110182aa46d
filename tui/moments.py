"""The present moment, and stretches of time in few characters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def now() -> datetime:
    """The present moment, in UTC; what shows times asks here, so that tests can hold the clock."""
    return datetime.now(UTC)


def stretch(seconds: float) -> str:
    """A stretch of time in its largest unit, rounded down: ``12 s``, ``3 min``, ``2 h``, ``5 d``."""
    whole = max(0, int(seconds))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def since(moment: datetime, at: datetime) -> str:
    """How long before ``at`` it was: ``12 s ago``."""
    return f"{stretch((at - moment).total_seconds())} ago"


def left(until: datetime, at: datetime) -> str:
    """How long from ``at`` it still is, with seconds where they matter: ``4 min 12 s``."""
    whole = max(0, int((until - at).total_seconds()))
    minutes, seconds = divmod(whole, 60)
    return f"{minutes} min {seconds} s" if 1 <= minutes < 10 else stretch(whole)


def clock(moment: datetime) -> str:
    """A moment on the person's own clock, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment_text(moment: datetime | None, at: datetime) -> str:
    """How long ago it was; after ten days which day; ``never`` for none."""
    if moment is None:
        return "never"
    return since(moment, at) if at - moment < timedelta(days=10) else clock(moment)[:10]
