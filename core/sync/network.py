"""How good the way to the remote is, told from the requests that are made anyway."""

from __future__ import annotations

import threading
from collections import deque
from statistics import median

from core.agentfs.database import now
from core.config import SyncSettings
from core.remote.meter import Request
from core.sync_model import NetworkQuality, NetworkSample

_KEPT = 40
_SHORT = 64 * 1024
_LONG = 256 * 1024
_BETTER = 0.8
"""A network that was worse counts as better only when it is clearly so: at a limit it would change to and fro."""


class NetworkMonitor:
    """Hears of every request of a store's meter. Safe from any thread."""

    def __init__(self, settings: SyncSettings, quality: NetworkQuality = NetworkQuality.GOOD) -> None:
        """``quality`` is what it was when this was last known."""
        self._settings = settings
        self._requests: deque[Request] = deque(maxlen=_KEPT)
        self._quality = quality
        self._lock = threading.Lock()

    def heard(self, request: Request) -> None:
        """One request ended."""
        with self._lock:
            self._requests.append(request)

    def sample(self) -> NetworkSample:
        """What is known now; the quality is that of before where nothing was measured."""
        with self._lock:
            requests = list(self._requests)
            self._quality = self._judged(requests)
            short = [r.milliseconds for r in requests if r.answered and r.bytes_up + r.bytes_down <= _SHORT]
            rates = [
                (r.bytes_up + r.bytes_down) / (r.milliseconds / 1000)
                for r in requests
                if r.answered and r.milliseconds > 0 and r.bytes_up + r.bytes_down >= _LONG
            ]
            failures = sum(not r.answered for r in requests) / len(requests) if requests else 0.0
            return NetworkSample(
                now(), self._quality, median(short) if short else None, median(rates) if rates else None, failures
            )

    def _judged(self, requests: list[Request]) -> NetworkQuality:
        if not requests:
            return self._quality
        settings = self._settings
        last = requests[-settings.offline_failures :]
        if len(last) == settings.offline_failures and not any(each.answered for each in last):
            return NetworkQuality.OFFLINE
        short = [r.milliseconds for r in requests if r.answered and r.bytes_up + r.bytes_down <= _SHORT]
        if not short:
            return self._quality
        failures = 100 * sum(not r.answered for r in requests) / len(requests)
        round_trip = median(short)

        def within(limit_ms: int, limit_failures: int, already: tuple[NetworkQuality, ...]) -> bool:
            factor = 1.0 if self._quality in already else _BETTER
            return round_trip <= limit_ms * factor and failures <= limit_failures

        excellent = (NetworkQuality.EXCELLENT,)
        if within(settings.excellent_ms, settings.excellent_failures_percent, excellent):
            return NetworkQuality.EXCELLENT
        if within(settings.good_ms, settings.good_failures_percent, (*excellent, NetworkQuality.GOOD)):
            return NetworkQuality.GOOD
        return NetworkQuality.POOR
