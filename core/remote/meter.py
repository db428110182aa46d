"""Counts requests by price class, and tells whoever measures the network how each went."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.sync_model import Operations


class PriceClass(StrEnum):
    """How a request is billed: R2's price list, which S3's classes follow."""

    A = "a"
    """Put, copy, list, and each step of a multipart upload; refused conditional writes too."""
    B = "b"
    """Get and head."""
    FREE = "free"
    """Delete and abort."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that ended: milliseconds until it was answered, bytes each way, and whether anything answered."""

    milliseconds: float
    bytes_up: int
    bytes_down: int
    answered: bool


class OperationMeter:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Operations()
        self._listeners: tuple[Callable[[Request], None], ...] = ()

    def on_request(self, listener: Callable[[Request], None]) -> None:
        """Call ``listener``, which must return at once and not raise, after every request, in its thread."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def count(
        self, price: PriceClass, milliseconds: float, *, up: int = 0, down: int = 0, answered: bool = True
    ) -> None:
        """Count one request."""
        operations = Operations(
            int(price is PriceClass.A), int(price is PriceClass.B), int(price is PriceClass.FREE), up, down
        )
        with self._lock:
            self._total += operations
        for listener in self._listeners:
            listener(Request(milliseconds, up, down, answered))

    def count_bytes(self, *, up: int = 0, down: int = 0) -> None:
        """Add bytes that moved within a request that was counted already."""
        with self._lock:
            self._total += Operations(bytes_up=up, bytes_down=down)

    def total(self) -> Operations:
        """Everything counted so far."""
        with self._lock:
            return self._total
