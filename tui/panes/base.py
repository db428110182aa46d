"""What every pane is, and the plain pane that explains itself while its core does not exist yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from tui.actions import bindings_for

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.events import Event
    from tui.app import BailiwickApp
    from tui.bridge import WorkspaceLike


class Pane(Widget):
    """One pane. All hooks run on the screen's thread and must not touch the disk; see ``tui.bridge.in_thread``.

    A pane is hidden most of the time and then does no work: what moves by itself starts in ``shown`` and stops in
    ``hidden``. What its card needs on wide screens starts and stops in ``card_shown`` and ``card_hidden``. After
    anything that ``card``, ``badge`` or ``note`` would tell has changed, it calls ``tell_changed``.
    """

    PANE_ID: ClassVar[str]
    NUMBER: ClassVar[int]
    TITLE: ClassVar[str]
    HELP: ClassVar[str] = ""
    LIVE: ClassVar[bool] = False
    """Whether it updates by itself, so that it can be frozen."""
    FILTER: ClassVar[bool] = False
    """Whether it has a field for ``focus_filter``."""
    LABELS: ClassVar[Mapping[str, str]] = {}
    """What actions of the app are called while this pane is in view, by their ids, where that differs."""

    frozen: reactive[bool] = reactive(False)
    newer: reactive[int] = reactive(0)

    class Changed(Message):
        """The pane's card or badge may read differently now."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Bind the registry's actions of this pane."""
        if "PANE_ID" in cls.__dict__:
            cls.BINDINGS = [*bindings_for(cls.PANE_ID)]
        super().__init_subclass__(**arguments)

    @property
    def can_copy(self) -> bool:
        """Whether ``copy_text`` is there at all."""
        return type(self).copy_text is not Pane.copy_text

    def __init__(self) -> None:
        super().__init__(id=f"pane-{self.PANE_ID}")
        self.border_title = self.TITLE
        self.is_shown = False
        self.is_card_shown = False

    @property
    def fills_screen(self) -> bool:
        """Whether it wants the whole width now, where other panes' cards would be; see ``tell_changed``."""
        return False

    @property
    def bailiwick(self) -> BailiwickApp:
        """The app, with its own type."""
        return cast("BailiwickApp", self.app)

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """The workspace is open; called once, after the pane was mounted."""

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Something happened in the core; called for hidden panes too, so only take note."""

    def keys_moved(self, *, locked: bool) -> None:
        """The keys were locked, and what is sealed goes from the screen at once; or they were unlocked."""

    def shown(self) -> None:
        """The pane came into view."""

    def hidden(self) -> None:
        """The pane left the view."""

    def card_shown(self) -> None:
        """The pane's card came into view."""

    def card_hidden(self) -> None:
        """The pane's card left the view."""

    def card(self) -> Content | str:
        """One to five lines of true facts for the card; a ``str`` is shown as it is, without markup."""
        return ""

    def badge(self) -> str:
        """A few characters for the tab, or nothing."""
        return ""

    def note(self) -> Content | str:
        """A few words for the line at the bottom, whichever pane is in view, or nothing."""
        return ""

    def copy_text(self) -> str:
        """What ``c`` copies now; empty when there is nothing."""
        return ""

    def focus_filter(self) -> None:
        """Go to the search or filter field."""

    def default_focus(self) -> Widget | None:
        """What gets the focus when the pane is chosen: its first focusable part."""
        return next((each for each in self.query("*") if each.focusable), None)

    def freeze(self, frozen: bool) -> None:
        """Stop or resume the updates on the screen; a frozen pane counts what came meanwhile in ``newer``."""
        self.newer = 0
        self.frozen = frozen

    def tell_changed(self) -> None:
        """Have the card and the badge drawn again."""
        self.post_message(self.Changed(self))

    def watch_frozen(self) -> None:
        """Show the mark in the title."""
        self._write_title()

    def watch_newer(self) -> None:
        """Show the count in the title."""
        self._write_title()

    def _write_title(self) -> None:
        self.border_title = f"{self.TITLE} · frozen, {self.newer} newer" if self.frozen else self.TITLE
        self.set_class(self.frozen, "-frozen")

    def set_shown(self, shown: bool) -> None:
        """Tell the pane that it came into view or left it."""
        if shown != self.is_shown:
            self.is_shown = shown
            self.display = shown
            (self.shown if shown else self.hidden)()

    def set_card_shown(self, shown: bool) -> None:
        """Tell the pane that its card came into view or left it."""
        if shown != self.is_card_shown:
            self.is_card_shown = shown
            (self.card_shown if shown else self.card_hidden)()


class ExplainedPane(Pane):
    """A pane whose core comes later: it says what it will show, what is missing, and what works now."""

    WILL_SHOW: ClassVar[str]
    MISSING: ClassVar[str]
    CARD: ClassVar[str]

    def compose(self) -> ComposeResult:
        """The text, scrollable on a small screen."""
        with VerticalScroll(classes="explained"):
            yield Static(self._explanation())

    def _explanation(self) -> Content:
        key = self.bailiwick.key_of
        return Content.assemble(
            ("What this pane will show\n", "bold $primary"),
            self.WILL_SHOW,
            ("\n\nWhat is missing today\n", "bold $primary"),
            self.MISSING,
            ("\n\nWhat works now\n", "bold $primary"),
            (key("work.add"), "bold $accent"),
            " adds a folder, a file or a Python package · ",
            (key("pane.search"), "bold $accent"),
            " searches what was added · ",
            (key("app.help"), "bold $accent"),
            " lists every key",
        )

    def card(self) -> str:
        """One honest line."""
        return self.CARD
