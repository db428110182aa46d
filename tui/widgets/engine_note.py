"""Which other process is the engine, beside the strip of work; nothing while it is this one."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import Static

from core.events import EngineChanged, Event
from tui.widgets.status import Toast


class EngineNote(Static):
    """Takes no room while this process is the engine."""

    def __init__(self) -> None:
        super().__init__("", id="engine", markup=False)

    def show(self, holder: str) -> None:
        """Name ``holder``, or with an empty name nobody."""
        self.update(Content(f" engine: {holder} " if holder else ""))
        self.display = bool(holder)

    def take(self, happened: Iterable[Event]) -> list[Toast]:
        """Follow these events; the toasts say that the engine changed."""
        toasts = []
        for event in happened:
            if isinstance(event, EngineChanged):
                self.show("" if event.ours else event.holder)
                sentence = "This dashboard is the engine now." if event.ours else f"The engine is {event.holder} now."
                toasts.append(Toast(sentence))
        return toasts
