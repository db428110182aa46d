"""The palette's own source: the same actions as everywhere else, and the themes by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.app import BailiwickApp


class ActionProvider(Provider):
    """Every action that works now, and every theme."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object], bool]]:
        app = cast("BailiwickApp", self.app)
        for usable in app.usable_actions():
            spec = usable.spec
            if spec.id != "app.palette":
                text = f"{spec.group}: {usable.label}"
                yield (
                    text,
                    f"{' '.join(usable.keys)}   {spec.description}",
                    partial(app.run_usable, usable),
                    True,
                )
        for name in sorted(app.available_themes):
            if name != app.theme:
                yield f"Theme: {name}", "Use this theme", partial(app.choose_theme, name), False

    async def discover(self) -> Hits:
        """What is listed before anything is typed."""
        for name, help_text, command, listed in self._commands():
            if listed:
                yield DiscoveryHit(name, command, help=help_text)

    async def search(self, query: str) -> Hits:
        """What matches ``query``."""
        matcher = self.matcher(query)
        for name, help_text, command, _ in self._commands():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), command, help=help_text)
