"""The dashboard's shell: what is on the screen, which actions work now, how it opens, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen

from core.config import user_config_folder
from core.errors import BailiwickError
from tui import theming
from tui.actions import (
    ACTIONS,
    KEYMAP_FILE,
    UsableAction,
    bindings_for,
    key_label,
    keys_of,
    read_keymap,
    usable_actions,
)
from tui.appearance import ThemedApp
from tui.bridge import (
    CoreEvents,
    EventBridge,
    WorkspaceFailed,
    WorkspaceLike,
    WorkspaceOpened,
    WorkspaceOpener,
    in_thread,
)
from tui.clipboard import copy_out
from tui.locking import KeysMoved, Locking
from tui.panes import PANES
from tui.panes.base import Pane
from tui.panes.host import PaneHost
from tui.screens.too_small import TooSmallScreen, is_too_small
from tui.widgets.cards import Card, CardColumn
from tui.widgets.engine_note import EngineNote
from tui.widgets.lock_note import LockNote
from tui.widgets.pane_note import PaneNote
from tui.widgets.status import Announcer, KeyLine, WorkStrip, key_hints
from tui.widgets.tabs import PaneTabs, Tab, place_label

if TYPE_CHECKING:
    from textual.command import Provider

CLOSE_SECONDS = 5.0
PANES_CSS = Path(__file__).with_name("panes.tcss")
WIDE = 120
SWITCH_SECONDS = 0.001


def _action_provider() -> type[Provider]:
    from tui.screens.palette import ActionProvider

    return ActionProvider


class MainScreen(Screen[None]):
    """What lies under all dialogs. Where nothing had the focus, nothing gets it when one closes: keys stay keys."""

    AUTO_FOCUS: ClassVar[str | None] = ""

    def on_screen_suspend(self) -> None:
        """A dialog opens: what was said before would lie over it."""
        self.app.clear_notifications()


class BailiwickApp(ThemedApp):
    """Paints first, then opens the workspace on a thread; ``log_path`` is named when something goes wrong."""

    TITLE = "Bailiwick"
    CSS_PATH = Path(__file__).with_name("bailiwick.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_for(None)]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_action_provider}
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall"), (42, "-huge")]  # noqa: RUF012 - not a ClassVar in Textual

    def __init__(
        self,
        open_workspace: Callable[[], WorkspaceLike],
        *,
        theme: str = theming.DEFAULT_THEME,
        start: str = "search",
        log_path: Path | None = None,
        config_folder: Path | None = None,
    ) -> None:
        folder = config_folder or user_config_folder()
        super().__init__(log_path, theme, folder)
        keymap = read_keymap(folder / KEYMAP_FILE)
        self._keymap_keys = keymap.keys
        self.set_keymap(keymap.keys)
        if keymap.problems:
            self.complaints.append(f"Keys left out of {KEYMAP_FILE}: {'; '.join(keymap.problems)}.")
        self.workspace: WorkspaceLike | None = None
        self._announcer = Announcer()
        self.locking = Locking(self)
        self._zoomed = False
        self._columns = 0
        self._opener = WorkspaceOpener(open_workspace)
        self._bridge: EventBridge | None = None
        self.tabs, self.host, self.cards = PaneTabs(), PaneHost(start), CardColumn()
        self.work_strip, self.engine_note, self.key_line = WorkStrip(), EngineNote(), KeyLine()
        self.lock_note, self.pane_note = LockNote(), PaneNote()

    def get_default_screen(self) -> Screen[None]:
        """The screen of the panes."""
        return MainScreen(id="_default")

    def compose(self) -> ComposeResult:
        """Tabs on top, the active pane and the cards in the middle, work and keys at the bottom."""
        yield self.tabs
        with Horizontal(id="middle"):
            yield self.host
            yield self.cards
        with Horizontal(id="bottom"):
            yield self.work_strip
            yield self.engine_note
            yield self.pane_note
            yield self.lock_note
        yield self.key_line

    # How it opens

    def on_mount(self) -> None:
        """Before the first paint: only what cannot wait."""
        # So long may each busy thread keep the interpreter before the screen's gets its turn (Python's default: 5 ms).
        sys.setswitchinterval(SWITCH_SECONDS)
        self.end_on_signals()
        self.work_strip.set_key(self.key_of("work.cancel"))
        self.screen.bindings_updated_signal.subscribe(self.key_line, lambda _: self._refresh_keys())
        self._refresh_overview()

    async def on_ready(self) -> None:
        """After the first paint: the pane, the workspace, the other panes, and what was wrong with the user's files."""
        self.stylesheet.read(PANES_CSS)
        await self.host.show(self.host.active_id)
        self._opener.start(self.post_message)
        for complaint in self.complaints:
            self.notify(complaint, severity="warning", markup=False, timeout=15)
        self._warm_up()

    @work
    async def _warm_up(self) -> None:
        await self.host.warm_up()
        self._refresh_overview()

    @on(WorkspaceOpened)
    def _workspace_opened(self, message: WorkspaceOpened) -> None:
        self.workspace = message.workspace
        self._bridge = EventBridge(message.workspace.bus, self.post_message)
        self.engine_note.show(message.workspace.engine_elsewhere)
        self.host.set_workspace(message.workspace)
        self.remember_theme_in(message.workspace.settings)
        self._refresh_overview()
        self.refresh_bindings()
        self.locking.begin(message.workspace)

    @on(WorkspaceFailed)
    def _workspace_failed(self, message: WorkspaceFailed) -> None:
        if not isinstance(message.error, BailiwickError):
            raise message.error
        self.exit(return_code=message.error.exit_code, message=Text(str(message.error)))

    # What happens in the core

    @on(CoreEvents)
    def _core_events(self, message: CoreEvents) -> None:
        self.work_strip.take(message.events)
        for toast in (*self._announcer.take(message.events), *self.engine_note.take(message.events)):
            self.notify(toast.text, title=toast.title, severity=toast.severity, markup=False, timeout=10)
        self.locking.take(message.events)
        self.host.tell(message.events)
        self.refresh_bindings()

    def keys_moved(self, *, locked: bool) -> None:
        """Have what is sealed leave the screen, or come back to it."""
        if not self.screen_stack:
            return
        self.lock_note.show(locked=locked, key=self.key_of("keys.toggle"))
        self.host.keys_moved(locked=locked)
        for screen in self.screen_stack:
            screen.post_message(KeysMoved(locked))
        self.refresh_bindings()

    # What is on the screen

    @on(Pane.Changed)
    @on(PaneHost.Switched)
    def _refresh_overview(self) -> None:
        """Bring tabs and cards up to date, unless the screens are gone already."""
        if not self.screen_stack:
            return
        badges = {pane.PANE_ID: pane.badge() for pane in self.host.mounted}
        tabs = tuple(Tab(each.id, each.number, each.titles, badges.get(each.id, "")) for each in PANES)
        self.tabs.update_tabs(tabs, self.host.active_id, place_label(self.workspace.root) if self.workspace else "")
        notes = {pane.PANE_ID: words for pane in self.host.mounted if (words := pane.note())}
        self.pane_note.show(*next(iter(notes.items()), ("", "")))
        filled = self.host.active is not None and self.host.active.fills_screen
        visible = self._columns >= WIDE and not self._zoomed and not filled
        self.screen_stack[0].set_class(visible, "-cards")
        self.host.show_cards(visible)
        if visible:
            self.cards.update_cards(self.host.mounted, self.host.active_id)

    def _refresh_keys(self) -> None:
        focused = self.screen_stack[0].focused
        typing = focused is not None and focused.check_consume_key("a", "a")
        self.key_line.update_hints(key_hints(self.usable_actions(), typing=typing))

    def on_resize(self, event: events.Resize) -> None:
        """Too small, or large enough again; with or without cards."""
        # Textual takes over the new size only after this handler.
        self._columns = event.size.width
        covered = isinstance(self.screen, TooSmallScreen)
        if is_too_small(event.size) and not covered:
            self.push_screen(TooSmallScreen())
        elif covered and not is_too_small(event.size):
            self.pop_screen()
        self._refresh_overview()
        self.refresh_bindings()

    # What can be done

    def key_of(self, action_id: str) -> str:
        """How the first key of an action reads, under the user's keymap."""
        spec = next(spec for spec in ACTIONS if spec.id == action_id)
        return key_label(keys_of(spec, self._keymap_keys)[0])

    def usable_actions(self) -> tuple[UsableAction, ...]:
        """Every action of the registry that works now, in its order."""
        pane = self.host.active
        labels = pane.LABELS if pane is not None else {}
        return usable_actions(self, pane, self.host.active_id, self._keymap_keys, labels)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action of the app works now."""
        if isinstance(self.screen_stack[-1] if self.screen_stack else None, TooSmallScreen):
            return action in ("quit", "help_quit")
        if action == "command_palette":
            return len(self.screen_stack) == 1
        if action == "add_documents":
            return self.workspace is not None
        if action == "toggle_work":
            return self.work_strip.is_running or self.work_strip.is_stopped
        if action == "toggle_lock":
            return self.locking.is_possible
        if action == "zoom":
            return self._columns >= WIDE
        if action in ("filter", "freeze", "copy"):
            pane = self.host.active
            return pane is not None and {"filter": pane.FILTER, "freeze": pane.LIVE, "copy": pane.can_copy}[action]
        return super().check_action(action, parameters)

    def run_usable(self, usable: UsableAction | None) -> None:
        """Run an action that was chosen from a list, once that list is gone."""
        if usable is not None:
            self.call_later(self.run_action, usable.spec.action, usable.node)

    @on(KeyLine.Chosen)
    def _key_chosen(self, message: KeyLine.Chosen) -> None:
        self.run_usable(next((each for each in self.usable_actions() if each.spec.id == message.action_id), None))

    @on(PaneTabs.Chosen)
    @on(Card.Chosen)
    @on(PaneNote.Chosen)
    async def _pane_chosen(self, message: PaneTabs.Chosen | Card.Chosen | PaneNote.Chosen) -> None:
        await self.action_show_pane(message.pane_id)

    async def action_show_pane(self, pane_id: str) -> None:
        """Bring a pane into view."""
        await self.host.show(pane_id)
        self.refresh_bindings()

    async def action_next_pane(self, step: int) -> None:
        """Bring the next or the previous pane into view."""
        await self.action_show_pane(self.host.neighbour(step))

    def action_filter(self) -> None:
        """Go to the pane's search field."""
        if self.host.active is not None:
            self.host.active.focus_filter()

    def action_freeze(self) -> None:
        """Stop or resume the pane's updates."""
        if self.host.active is not None:
            self.host.active.freeze(not self.host.active.frozen)

    def action_zoom(self) -> None:
        """Give the pane the whole width, or bring the cards back."""
        self._zoomed = not self._zoomed
        self._refresh_overview()

    def action_copy(self) -> None:
        """Copy what the pane shows."""
        if self.host.active is not None:
            copy_out(self, self.host.active.copy_text())

    def action_add_documents(self) -> None:
        """Open the add dialog."""
        if self.workspace is not None:
            from tui.screens.add import AddScreen

            self.push_screen(AddScreen(self.workspace))

    def action_toggle_lock(self) -> None:
        """Lock what is sealed, or unlock it."""
        self.locking.toggle()

    async def action_toggle_work(self) -> None:
        """Stop the running work, or go on with it."""
        if self.workspace is not None and self.check_action("toggle_work", ()):
            running = self.work_strip.is_running
            call = self.workspace.cancel_work if running else self.workspace.resume_work
            if not running:
                self.work_strip.forget_stopped()
            self._call(call)

    @work
    async def _call(self, call: Callable[[], None]) -> None:
        try:
            await in_thread(call)
        except BailiwickError as error:
            self.notify(str(error), severity="error", markup=False)

    def action_help(self) -> None:
        """List what works now."""
        from tui.screens.help import HelpScreen

        pane = self.host.active
        title, text = (pane.TITLE, pane.HELP) if pane is not None else ("", "")
        self.push_screen(HelpScreen(self.usable_actions(), title, text), self.run_usable)

    def on_unmount(self) -> None:
        """Listen no more."""
        if self._bridge is not None:
            self._bridge.close()

    def close_workspace(self) -> bool:
        """Close the workspace once the screen is gone; answers whether that was done in the time it is given."""
        return self._opener.close(CLOSE_SECONDS)
