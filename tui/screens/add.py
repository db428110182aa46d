"""The add dialog: one field for a path or a package, and the sources that are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, RadioButton, RadioSet, Static
from textual.widgets.option_list import Option

from core.errors import BailiwickError
from core.model import SourceKind
from tui.bridge import in_thread
from tui.screens.confirm import ConfirmScreen
from tui.widgets.radio import SignedRadioButton

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.model import Source
    from tui.bridge import WorkspaceLike

PACKAGE_WORD = "package"
MOST_PROBLEMS = 200


class PathSuggester(Suggester):
    """Completes the last part of a path; a folder is read once, on a thread that nobody waits for."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._folder = ""
        self._names: tuple[str, ...] = ()

    async def get_suggestion(self, value: str) -> str | None:
        """The first name in the folder that continues ``value``; a folder ends with a slash."""
        folder, begun = os.path.split(value)
        if not folder or not begun:
            return None
        if folder != self._folder:
            names = await in_thread(lambda: _names(folder))
            self._folder, self._names = folder, names
        return next((os.path.join(folder, name) for name in self._names if name.startswith(begun)), None)


def _names(folder: str) -> tuple[str, ...]:
    try:
        with os.scandir(os.path.expanduser(folder)) as entries:
            return tuple(sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries))
    except (OSError, ValueError):
        return ()


class AddScreen(ModalScreen[None]):
    """Adds and removes sources; stays open so that several can be added."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False),
        Binding("delete", "remove", "Remove", show=False),
    ]

    def __init__(self, workspace: WorkspaceLike) -> None:
        super().__init__()
        self._workspace = workspace
        self._sources: dict[str, Source] = {}
        self._busy = False

    def compose(self) -> ComposeResult:
        """The field, what it means, the answer, and what is there."""
        with Vertical(classes="dialog add") as dialog:
            dialog.border_title = "Add documents"
            dialog.border_subtitle = "Enter adds · → completes · Tab moves · Esc closes"
            yield Input(placeholder="~/project/docs", id="add-target", suggester=PathSuggester())
            with RadioSet(id="add-kind"):
                yield SignedRadioButton("Path: a folder or a file", value=True, id="add-path")
                yield SignedRadioButton("Package: NAME or NAME==VERSION", id="add-package")
            yield Static("", id="add-answer", markup=False)
            yield Static("In this workspace", classes="heading")
            yield OptionList(id="add-sources")

    def on_mount(self) -> None:
        """Begin with the field."""
        self.query_one(Input).focus()
        self._list_sources()

    def on_radio_set_changed(self, event: RadioSet.Changed) -> None:
        """Say what the field expects."""
        package = event.pressed.id == "add-package"
        field = self.query_one(Input)
        field.placeholder = "textual==8.2.8" if package else "~/project/docs"
        field.suggester = None if package else PathSuggester()

    def on_input_submitted(self) -> None:
        """Add what the field says."""
        text = self.query_one(Input).value.strip()
        word, _, rest = text.partition(" ")
        if word == PACKAGE_WORD and rest.strip() and not Path(text).exists():
            self._add(rest.strip(), package=True)
        elif text and not self._busy:
            package = self.query_one("#add-package", RadioButton).value
            self._add(text if package else os.path.expanduser(text), package=package)

    @work
    async def _add(self, target: str, *, package: bool) -> None:
        self._busy = True
        self._answer(f"Adding {target} …")
        call = self._workspace.add_package if package else self._workspace.add_path
        try:
            await in_thread(lambda: call(target))
        except BailiwickError as error:
            self._answer(str(error), failed=True)
        else:
            self._answer(f"Added {target}; it is read in the background.")
            self.query_one(Input).value = ""
            self._list_sources()
        finally:
            self._busy = False

    @work(exclusive=True, group="sources")
    async def _list_sources(self) -> None:
        try:
            sources, problems = await in_thread(lambda: (self._workspace.sources(), self._workspace.problems()))
        except BailiwickError as error:
            self._answer(str(error), failed=True)
            return
        self._sources = {source.id: source for source in sources}
        listing = self.query_one(OptionList)
        listing.clear_options()
        listing.add_options([Option(_prompt(source), id=source.id) for source in sources])
        if not sources:
            listing.add_option(Option("Nothing yet.", disabled=True))
        elif problems:
            listing.add_option(None)
        listing.add_options(
            Option(Content(f"not read: {each.path}: {each.reason}"), disabled=True) for each in problems[:MOST_PROBLEMS]
        )

    def on_option_list_option_highlighted(self) -> None:
        """Say the key for the highlighted source."""
        if self.query_one(OptionList).has_focus:
            self._answer("Delete removes the highlighted source from this workspace; files stay where they are.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Delete belongs to the list, so that it still edits the field."""
        return action != "remove" or self.query_one(OptionList).has_focus

    @work
    async def action_remove(self) -> None:
        """Remove the highlighted source, after asking."""
        listing = self.query_one(OptionList)
        option = listing.highlighted_option
        source = self._sources.get(option.id or "") if option is not None else None
        if source is None:
            return
        question = f"Remove {source.name} and what was read from it? The files themselves stay where they are."
        if not await self.app.push_screen_wait(ConfirmScreen(question, "Remove")):
            return
        package = source.kind is SourceKind.PACKAGE
        target = f"{source.library}@{source.version}" if package else source.location
        try:
            await in_thread(lambda: self._workspace.remove(target))
        except BailiwickError as error:
            self._answer(str(error), failed=True)
        else:
            self._answer(f"Removed {source.name}.")
            self._list_sources()

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)

    def _answer(self, text: str, *, failed: bool = False) -> None:
        answer = self.query_one("#add-answer", Static)
        answer.update(text)
        answer.set_class(failed, "failed")


def _prompt(source: Source) -> Content:
    kind = "package" if source.kind is SourceKind.PACKAGE else "path"
    name = f"{source.library} {source.version}".strip() if source.kind is SourceKind.PACKAGE else source.name
    return Content.assemble((kind.ljust(8), "$muted"), (name, "bold"), (f"  {source.location}", "$muted"))
