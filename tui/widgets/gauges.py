"""Two light gauges: a meter for one value now, a history for its last minutes.

Both draw themselves in one ``render`` and ask for a repaint only when a character or a colour would change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import chain
from typing import ClassVar

from textual.app import RenderResult
from textual.content import Content
from textual.events import Resize
from textual.widget import Widget

UNKNOWN = "–"
_STEPS = "▁▂▃▄▅▆▇█"


class Severity(StrEnum):
    """How worrying a value is; the value of each is the mark that says so without colour."""

    NORMAL = "  "
    WARNING = "! "
    CRITICAL = "!!"


class Meter(Widget):
    """One line: label, bar, value, and a mark: ``CPU ▕██████░░░▏ 68% !``.

    ``warning`` and ``critical`` are shares of ``maximum`` (0 to 1) from which on the value is marked. A value of
    ``None`` is shown as not known: a dash beside an empty dotted bar. Only for use on the screen's thread.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "meter--label",
        "meter--track",
        "meter--normal",
        "meter--warning",
        "meter--critical",
    }

    DEFAULT_CSS = """
    Meter {
        width: 1fr;
        height: 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        & > .meter--label { color: $foreground; }
        & > .meter--track { color: $foreground 40%; }
        & > .meter--normal { color: $success; }
        & > .meter--warning { color: $warning; text-style: bold; }
        & > .meter--critical { color: $error; text-style: bold; }
        &:ansi > .meter--track { color: ansi_default; text-style: dim; }
    }
    """

    def __init__(
        self,
        label: str,
        *,
        maximum: float = 100.0,
        warning: float = 0.75,
        critical: float = 0.9,
        label_width: int = 0,
        text_width: int = 5,
        id: str | None = None,  # noqa: A002 - Textual's own name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._label = Content(label)
        self._label_width = max(label_width, self._label.cell_length)
        self._text_width = text_width
        self._maximum = maximum
        self._warning = warning
        self._critical = critical
        self._value: float | None = None
        self._text = UNKNOWN
        self._shown: tuple[int, str, Severity] | None = None

    @property
    def severity(self) -> Severity:
        """How the present value is marked."""
        if self._value is None or self._share() < self._warning:
            return Severity.NORMAL
        return Severity.WARNING if self._share() < self._critical else Severity.CRITICAL

    def update(self, value: float | None, text: str | None = None, maximum: float | None = None) -> None:
        """Show ``value`` of ``maximum`` (as before if not given), said as ``text`` (else the share in percent)."""
        if maximum is not None:
            self._maximum = maximum
        self._value = value
        self._text = self._percent() if text is None or value is None else text
        if self._appearance() != self._shown:
            self.refresh()

    def _share(self) -> float:
        if self._value is None or self._maximum <= 0:
            return 0.0
        return min(1.0, max(0.0, self._value / self._maximum))

    def _percent(self) -> str:
        """Beyond 100 % too, where the bar can show no more."""
        if self._value is None or self._maximum <= 0:
            return UNKNOWN
        return f"{100 * self._value / self._maximum:.0f}%"

    def _bar_width(self) -> int:
        text_width = max(self._text_width, Content(self._text).cell_length)
        return max(0, self.content_size.width - self._label_width - text_width - 7)

    def _appearance(self) -> tuple[int, str, Severity]:
        return round(self._share() * self._bar_width()), self._text, self.severity

    def render(self) -> RenderResult:
        filled, text, severity = self._shown = self._appearance()
        track = "·" if self._value is None else "░"
        value_style = self.get_visual_style(f"meter--{severity.name.lower()}")
        track_style = self.get_visual_style("meter--track")
        label_style = self.get_visual_style("meter--label")
        label = self._label.pad_right(self._label_width - self._label.cell_length).plain
        value = " " * (self._text_width - Content(text).cell_length) + text
        return Content.assemble(
            (f"{label} ", label_style),
            ("▕", track_style),
            ("█" * filled, value_style),
            (track * (self._bar_width() - filled), track_style),
            ("▏", track_style),
            " ",
            (value, label_style),
            " ",
            (severity.value, value_style if severity is not Severity.NORMAL else label_style),
        )


class History(Widget):
    """The last values as a line of blocks, with the least, the greatest and the last of them in words.

    On one line all of it stands side by side; higher, the words stand above a taller graph. The scale runs from 0 to
    ``maximum``, or to the greatest value kept where that is ``None``. A value of ``None`` (not known) is a gap, the
    lowest block is a measured zero. ``describe`` says a value in words. Only for use on the screen's thread.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"history--label", "history--graph", "history--words"}

    DEFAULT_CSS = """
    History {
        width: 1fr;
        height: 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        & > .history--label { color: $foreground; }
        & > .history--graph { color: $primary; }
        & > .history--words { color: $foreground 70%; }
        &:ansi > .history--words { color: ansi_default; text-style: dim; }
    }
    """

    def __init__(
        self,
        label: str,
        *,
        capacity: int = 120,
        maximum: float | None = None,
        label_width: int = 0,
        describe: Callable[[float], str] = "{:.0f}".format,
        id: str | None = None,  # noqa: A002 - Textual's own name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._label = Content(label)
        self._label_width = max(label_width, self._label.cell_length)
        self._values: deque[float | None] = deque(maxlen=capacity)
        self._maximum = maximum
        self._describe = describe
        self._words_width = 0
        self._shown: tuple[str, tuple[str, ...]] | None = None

    def append(self, value: float | None) -> None:
        """Add the newest value; the oldest falls out when ``capacity`` is reached."""
        self._values.append(value)
        self._refresh_if_changed()

    def replace(self, values: Iterable[float | None]) -> None:
        """Show these values instead, oldest first."""
        self._values.clear()
        self._values.extend(values)
        self._refresh_if_changed()

    def _refresh_if_changed(self) -> None:
        if self._appearance() != self._shown:
            self.refresh()

    def on_resize(self, event: Resize) -> None:
        """A new width is a new beginning for the column of words."""
        self._words_width = 0

    def _words(self) -> str:
        known = [value for value in self._values if value is not None]
        if not known:
            return f"min {UNKNOWN} max {UNKNOWN} last {UNKNOWN}"
        last = self._values[-1]
        ending = UNKNOWN if last is None else self._describe(last)
        return f"min {self._describe(min(known))} max {self._describe(max(known))} last {ending}"

    def _appearance(self) -> tuple[str, tuple[str, ...]]:
        words = self._words()
        width, height = self.content_size
        self._words_width = max(self._words_width, Content(words).cell_length)
        if height > 1:
            return words, self._graph(width, height - 1)
        return words, self._graph(width - self._label_width - self._words_width - 2, 1)

    def _graph(self, width: int, height: int) -> tuple[str, ...]:
        """Lines from the top down, the newest value at the right edge."""
        if width <= 0:
            return ("",) * height
        values = list(self._values)[-width:]
        top = self._maximum
        if top is None:
            top = max((value for value in self._values if value is not None), default=0.0)
        columns = [" " * height] * (width - len(values)) + [_column(value, top, height) for value in values]
        return tuple("".join(column[row] for column in columns) for row in range(height))

    def render(self) -> RenderResult:
        words, graph = self._shown = self._appearance()
        label = self._label.pad_right(self._label_width - self._label.cell_length).plain
        label_style = self.get_visual_style("history--label")
        graph_style = self.get_visual_style("history--graph")
        words_style = self.get_visual_style("history--words")
        if self.content_size.height <= 1:
            return Content.assemble((f"{label} ", label_style), (graph[0], graph_style), " ", (words, words_style))
        lines = chain.from_iterable((("\n", graph_style), (line, graph_style)) for line in graph)
        return Content.assemble((f"{label} ", label_style), (words, words_style), *lines)


def _column(value: float | None, top: float, height: int) -> str:
    """One column from the top down: full blocks, one part block, spaces above; spaces only for ``None``."""
    if value is None:
        return " " * height
    share = min(1.0, max(0.0, value / top)) if top > 0 else 0.0
    steps = max(1, round(share * len(_STEPS) * height))
    full, part = divmod(steps, len(_STEPS))
    column = _STEPS[-1] * full + (_STEPS[part - 1] if part else "")
    return column.ljust(height)[::-1]
