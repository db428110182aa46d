"""The bottom of the dashboard: the strip of running work, and the line of keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.widget import Widget

from core.events import Event, Notice, ProblemFound, Progress, Stage
from core.model import Problem
from tui.actions import UsableAction

AT_REST = " All that was added is read and embedded."
NARROW_KEYS = 6
MOST_BAR_CELLS = 32
LEAST_BAR_CELLS = 6
LEAST_RATE = 0.05
_SEVERITIES: dict[str, SeverityLevel] = {"warning": "warning", "error": "error"}
_ORDER = (Stage.MODEL, Stage.READING, Stage.EMBEDDING, Stage.INDEXING)
_VERBS = {Stage.MODEL: "Model", Stage.READING: "Reading", Stage.INDEXING: "Indexing", Stage.EMBEDDING: "Embedding"}
_UNITS = {Stage.MODEL: "", Stage.READING: "files", Stage.INDEXING: "changes", Stage.EMBEDDING: "passages"}
_NAMELESS = (Stage.INDEXING, Stage.EMBEDDING)


def duration(seconds: float) -> str:
    """A duration as people say it: ``22 s``, ``1 min 22 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


@dataclass(frozen=True, slots=True)
class Toast:
    """Something to say once, over the screen."""

    text: str
    title: str = ""
    severity: SeverityLevel = "information"


class Announcer:
    """Finds in the events what deserves a toast: notices, and after each reading the files that could not be read."""

    def __init__(self) -> None:
        self._unread: list[Problem] = []

    def take(self, happened: Iterable[Event]) -> list[Toast]:
        """The toasts for these events."""
        toasts = []
        for event in happened:
            if isinstance(event, Notice):
                toasts.append(Toast(event.message, severity=_SEVERITIES.get(event.severity, "information")))
            elif isinstance(event, ProblemFound):
                self._unread.append(event.problem)
            elif isinstance(event, Progress) and event.stage is Stage.READING and event.finished and self._unread:
                first, count = self._unread[0], len(self._unread)
                title = "1 file was not read" if count == 1 else f"{count:,} files were not read"
                toasts.append(Toast(f"{first.path}: {first.reason}", title, "warning"))
                self._unread.clear()
        return toasts


def _name(work: Progress) -> str:
    return f" {work.label}" if work.label and work.stage not in _NAMELESS else ""


def _bar(work: Progress, cells: int) -> Content:
    """``cells`` wide and two blanks, or nothing where that is too little or the end is not known."""
    if cells < LEAST_BAR_CELLS:
        return Content("")
    filled = min(cells, cells * work.done // work.total) if work.total else 0
    return Content.assemble(("━" * filled, "$primary"), ("━" * (cells - filled), "$track"), "  ")


class WorkStrip(Widget):
    """What is being worked on. It stays when nothing is: making room anew would repaint the whole screen."""

    def __init__(self) -> None:
        super().__init__(id="work")
        self._began = False
        self._works: dict[Stage, Progress] = {}
        self._halted: dict[Stage, Progress] = {}
        self._unread = 0
        self._key = "x"

    @property
    def is_running(self) -> bool:
        """Whether there is work that can be cancelled."""
        return bool(self._works)

    @property
    def is_stopped(self) -> bool:
        """Whether cancelled work can be continued."""
        return bool(self._halted) and not self._works

    def set_key(self, key: str) -> None:
        """The key that cancels and continues."""
        self._key = key

    def take(self, happened: Iterable[Event]) -> None:
        """Follow these events."""
        for event in happened:
            if isinstance(event, Progress):
                self._began = True
                self._take_progress(event)
            elif isinstance(event, ProblemFound):
                self._unread += 1
        self._show()

    def forget_stopped(self) -> None:
        """The stopped work was asked to go on; what does go on will report itself."""
        self._halted.clear()
        self._show()

    def _show(self) -> None:
        if not self._works and not self._halted:
            self._unread = 0
        self.refresh()

    def _take_progress(self, progress: Progress) -> None:
        self._works.pop(progress.stage, None)
        self._halted.pop(progress.stage, None)
        if not progress.finished:
            self._works[progress.stage] = progress
        elif progress.cancelled:
            self._halted[progress.stage] = progress

    def render(self) -> Content:
        """The first of the works: name, bar, facts, and the key at the end."""
        source = self._works or self._halted
        work = next((source[stage] for stage in _ORDER if stage in source), None)
        if work is None:
            return Content.styled(AT_REST if self._began else "", "$muted")
        key = f"  {self._key} {'cancel' if self._works else 'continue'} "
        head = f" {_VERBS[work.stage]}{_name(work)}  "
        head_width = min(cell_len(head), self.size.width // 2)
        room = self.size.width - head_width - cell_len(key)
        tail = self._facts(work, room - LEAST_BAR_CELLS - 2)
        bar = _bar(work, min(MOST_BAR_CELLS, room - cell_len(tail) - 2))
        return Content.assemble(
            Content.styled(head, "bold").truncate(head_width, ellipsis=True, pad=True),
            bar,
            tail,
            " " * (room - bar.cell_length - cell_len(tail)),
            ("  ", ""),
            (self._key, "bold $accent"),
            (key[len(self._key) + 2 :], "$muted"),
        )

    def _facts(self, work: Progress, room: int) -> str:
        """How far, how fast, how long, as much of it as fits: the rate goes first, then the unit."""
        unit = f" {_UNITS[work.stage]}" if _UNITS[work.stage] else ""
        done = f"{work.done:,}/{work.total:,}" if work.total else f"{work.done:,}" if work.done else ""
        rate = f"{work.rate:,.0f}/s" if work.rate >= 10 else f"{work.rate:.1f}/s"
        left = f"{duration(work.seconds_left)} left" if work.seconds_left is not None else ""
        unread = f"{self._unread:,} not read" if self._unread and work.stage is Stage.READING else ""
        count = f"{done}{unit}" if done else ""
        if not self._works:
            rate, left = "stopped", ""
        elif work.rate < LEAST_RATE:
            rate, left = "", ""
        wordings = ((count, rate, left, unread), (count, left, unread), (done, left, unread), (done, left), (done,))
        texts = [" · ".join(part for part in wording if part) for wording in wordings]
        return next((text for text in texts if cell_len(text) <= room), "")

    async def on_click(self, event: events.Click) -> None:
        """A click on the strip does what its key does."""
        event.stop()
        await self.run_action("app.toggle_work")


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key that works now; ``action_id`` names its action, or is empty where a click does nothing."""

    key: str
    label: str
    action_id: str = ""


def key_hints(usable: Iterable[UsableAction], *, typing: bool) -> tuple[KeyHint, ...]:
    """What the key line says: the panes' numbers as one, then each action by its first key."""
    chosen = [each for each in usable if (each.spec.typing if typing else each.spec.footer)]
    hints = [KeyHint(each.keys[0], each.label, each.spec.id) for each in chosen]
    panes = [each.keys[0] for each in usable if each.spec.action.startswith("show_pane")]
    if panes and not typing:
        hints.insert(0, KeyHint(f"{panes[0]}-{panes[-1]}", "Panes"))
    return tuple(hints)


class KeyLine(Widget):
    """The last line: the keys that matter now, each of them clickable; the rest is in the help."""

    class Chosen(Message):
        """A key was clicked."""

        def __init__(self, action_id: str) -> None:
            super().__init__()
            self.action_id = action_id

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._hints: tuple[KeyHint, ...] = ()
        self._spans: list[tuple[int, int, str]] = []

    def update_hints(self, hints: tuple[KeyHint, ...]) -> None:
        """Show ``hints``, first things first."""
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def render(self) -> Content:
        """As many hints as fit, at most six on a narrow screen."""
        most = NARROW_KEYS if self.size.width < 100 else len(self._hints)
        parts: list[tuple[str, str]] = [(" ", "")]
        self._spans = []
        position = 1
        for hint in self._hints[:most]:
            width = cell_len(hint.key) + 1 + cell_len(hint.label)
            if position + width > self.size.width:
                break
            self._spans.append((position, position + width, hint.action_id))
            parts += [(hint.key, "bold $accent"), (f" {hint.label}", "$muted"), ("   ", "")]
            position += width + 3
        return Content.assemble(*parts).rstrip()

    def on_click(self, event: events.Click) -> None:
        """Choose the key under the pointer."""
        for begin, end, action_id in self._spans:
            if begin <= event.x < end and action_id:
                self.post_message(self.Chosen(action_id))
                return
