"""Amounts of bytes, money and requests in few characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.sync_model import Operations

UNKNOWN = "–"
CENT = 0.01
LEAST_MONEY = 0.0001


def size_text(count: float | None) -> str:
    """Bytes with the unit that suits them: ``12 KiB``, ``1.5 GiB``."""
    if count is None:
        return UNKNOWN
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def rate_text(count: float | None) -> str:
    """Bytes per second."""
    return UNKNOWN if count is None else f"{size_text(count)}/s"


def percent_text(value: float | None) -> str:
    """A percentage without decimals."""
    return UNKNOWN if value is None else f"{value:.0f}%"


def money_text(dollars: float) -> str:
    """US dollars, with as many digits as small amounts need: ``$1.25``, ``$0.0042``, ``<$0.0001``."""
    if dollars == 0:
        return "$0"
    if dollars < LEAST_MONEY:
        return f"<${LEAST_MONEY}"
    return f"${dollars:,.2f}" if dollars >= CENT else f"${dollars:.4f}"


def operations_text(operations: Operations) -> str:
    """Requests by price class: ``12 A, 340 B``; those that cost nothing are left out."""
    return f"{operations.class_a:,} A, {operations.class_b:,} B"


def counted(count: int, one: str, many: str = "") -> str:
    """``1 item``, ``12 items``."""
    return f"1 {one}" if count == 1 else f"{count:,} {many or f'{one}s'}"
