"""The app's themes: registered from files, switched, and remembered by the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from tui import theming
from tui.bridge import in_thread
from tui.ending import OrderlyApp

if TYPE_CHECKING:
    from tui.bridge import SettingsLike

THEME_SETTING = "screen.theme"


class ThemedApp(OrderlyApp):
    """An app with our themes, the user's and Textual's; ``complaints`` says what could not be used."""

    def __init__(self, log_path: Path | None, theme: str, config_folder: Path) -> None:
        super().__init__(log_path)
        found = theming.read_themes([*theming.theme_files(), *theming.user_theme_files(config_folder)])
        for each in found.themes:
            self.register_theme(each)
        self.complaints: list[str] = []
        if found.problems:
            self.complaints.append(f"Themes left out. {'; '.join(found.problems)}.")
        if theme not in self.available_themes:
            self.complaints.append(f"There is no theme {theme}.")
        self.theme = theme if theme in self.available_themes else theming.DEFAULT_THEME
        self._remembered: SettingsLike | None = None

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, derived for themes that do not set them."""
        return theming.variable_defaults(self.current_theme.to_color_system().generate())

    @work
    async def remember_theme_in(self, settings: SettingsLike) -> None:
        """Use the theme that ``settings`` remembers, and remember there what is chosen from now on."""
        name = await in_thread(lambda: settings.get(THEME_SETTING))
        if isinstance(name, str) and name in self.available_themes:
            self.theme = name
        self._remembered = settings

    @work
    async def choose_theme(self, name: str) -> None:
        """Use a theme and remember it."""
        self.theme = name
        settings = self._remembered
        if settings is not None:
            await in_thread(lambda: settings.put(THEME_SETTING, name))

    def action_toggle_theme(self) -> None:
        """Switch between light and dark."""
        self.choose_theme(theming.opposite(self.current_theme))
