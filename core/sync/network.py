"""How good the way to the remote is, told from the requests that are made anyway."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from core.agentfs.database import now
from core.config import SyncSettings
from core.remote.meter import Request
from core.sync_model import NetworkQuality, NetworkSample

RECENT_SECONDS = 300.0
"""What is older tells nothing of the network now, unless nothing newer is known."""
_KEPT = 40
_LEAST = 3
_SHORT = 64 * 1024
_LONG = 256 * 1024
_MARGIN = 0.8
"""A network counts as better only when it is clearly so: at a limit it would change to and fro."""


class NetworkMonitor:
    """Hears of every request of a store's meter. Safe from any thread."""

    def __init__(
        self,
        settings: SyncSettings,
        quality: NetworkQuality = NetworkQuality.GOOD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``quality`` is what it was when this was last known."""
        self._settings = settings
        self._clock = clock
        self._requests: deque[tuple[float, Request]] = deque(maxlen=_KEPT)
        self._quality = quality
        self._lock = threading.Lock()

    def heard(self, request: Request) -> None:
        """One request ended."""
        with self._lock:
            self._requests.append((self._clock(), request))

    def gave_up(self) -> None:
        """Something was given up because the remote is out of reach; that counts unless it answered after all."""
        with self._lock:
            if self._requests and self._requests[-1][1].answered:
                return
            lost = (self._clock(), Request(0.0, 0, 0, answered=False))
            self._requests.extend([lost] * self._settings.offline_failures)

    @property
    def is_measured(self) -> bool:
        """Whether anything was heard in the last five minutes."""
        with self._lock:
            return bool(self._requests) and self._clock() - self._requests[-1][0] <= RECENT_SECONDS

    def sample(self) -> NetworkSample:
        """What is known now; the quality is that of before where nothing was measured."""
        with self._lock:
            requests = self._recent()
            self._quality = self._judged(requests)
            short, rates = _round_trips(requests), _rates(requests)
            return NetworkSample(
                now(),
                self._quality,
                _median(short) if short else None,
                _median(rates) if rates else None,
                _failures(requests),
            )

    def _recent(self) -> list[Request]:
        since = self._clock() - RECENT_SECONDS
        recent = [request for at, request in self._requests if at >= since]
        return recent if len(recent) >= _LEAST else [request for _, request in self._requests][-_LEAST:]

    def _judged(self, requests: Sequence[Request]) -> NetworkQuality:
        settings = self._settings
        last = requests[-settings.offline_failures :]
        if len(last) == settings.offline_failures and not any(each.answered for each in last):
            return NetworkQuality.OFFLINE
        short = _round_trips(requests)
        if not short:
            return self._quality
        round_trip, failures = _median(short), 100 * _failures(requests)

        def within(quality: NetworkQuality, limit_ms: int, limit_failures: int) -> bool:
            factor = 1.0 if _RANKS[self._quality] >= _RANKS[quality] else _MARGIN
            return round_trip <= limit_ms * factor and failures <= limit_failures * factor

        if within(NetworkQuality.EXCELLENT, settings.excellent_ms, settings.excellent_failures_percent):
            return NetworkQuality.EXCELLENT
        if within(NetworkQuality.GOOD, settings.good_ms, settings.good_failures_percent):
            return NetworkQuality.GOOD
        return NetworkQuality.POOR


_RANKS = {
    NetworkQuality.OFFLINE: 0,
    NetworkQuality.POOR: 1,
    NetworkQuality.GOOD: 2,
    NetworkQuality.EXCELLENT: 3,
}


def _round_trips(requests: Sequence[Request]) -> list[float]:
    return [each.milliseconds for each in requests if each.answered and each.bytes_up + each.bytes_down <= _SHORT]


def _rates(requests: Sequence[Request]) -> list[float]:
    return [
        (each.bytes_up + each.bytes_down) / (each.milliseconds / 1000)
        for each in requests
        if each.answered and each.milliseconds > 0 and each.bytes_up + each.bytes_down >= _LONG
    ]


def _median(values: Sequence[float]) -> float:
    # That of the standard library brings exact fractions along, which take longer to load than all of this.
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _failures(requests: Sequence[Request]) -> float:
    return sum(not each.answered for each in requests) / len(requests) if requests else 0.0
