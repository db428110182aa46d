"""The dialog that chooses the strategy of synchronising, or has the table choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.sync_model import SyncStrategy
from tui.printable import printable
from tui.widgets.keyed_list import KeyedList, KeyedRow
from tui.widgets.sync_words import STRATEGIES

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.sync_model import StrategyChoice

BY_ITSELF = "by-itself"
NAME_CELLS = 12
_WHAT = {
    BY_ITSELF: "by your tier, the network and what waits; it changes when they do",
    SyncStrategy.REALTIME: "what changes goes at once; others' changes are looked for all the time",
    SyncStrategy.ADAPTIVE: "small things soon, large ones in quiet moments; rests when little happens",
    SyncStrategy.ON_DEMAND: "nothing moves by itself: only when you sync, or open what was not fetched",
}


class StrategyScreen(ModalScreen["tuple[SyncStrategy | None] | None"]):
    """Answers the choice in a tuple of one, in which ``None`` is by itself; or ``None`` when the person left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close", show=False)]

    def __init__(self, now: StrategyChoice | None) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        """What holds now and why, and what can be chosen."""
        with Vertical(classes="dialog choose") as dialog:
            dialog.border_title = "Strategy"
            dialog.border_subtitle = "Enter chooses · Esc leaves"
            if self._now is not None:
                yield Static(Content.assemble(("Now: ", "$muted"), printable(self._now.reason)), id="strategy-now")
            yield KeyedList(id="strategies")

    def on_mount(self) -> None:
        """Begin at what holds now."""
        rows = self.query_one(KeyedList)
        rows.show_rows([KeyedRow(key, self._row(key)) for key in (BY_ITSELF, *SyncStrategy)])
        rows.go_to(self._current)
        rows.focus()

    @property
    def _current(self) -> str:
        return self._now.strategy if self._now is not None and self._now.forced else BY_ITSELF

    def _row(self, key: str) -> Content:
        name = STRATEGIES[SyncStrategy(key)] if key != BY_ITSELF else "by itself"
        mark = "● " if key == self._current else "○ "
        return Content.assemble(
            (mark, "bold $success" if key == self._current else "$muted"),
            (name, "bold"),
            (f"\n  {_WHAT[key]}", "$muted"),
        )

    @on(KeyedList.Chosen)
    def _chosen(self, event: KeyedList.Chosen) -> None:
        event.stop()
        self.dismiss((None if event.key == BY_ITSELF else SyncStrategy(event.key),))
