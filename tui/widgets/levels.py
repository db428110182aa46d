"""Who may see an item and how it lies, on the screen: in one sign and in words, never by colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from textual.content import Content

from tui.levels import WHY, Guarded, level_words

if TYPE_CHECKING:
    from textual.app import App

    from tui.app import BailiwickApp

SEALED = "■"
SENSITIVE = "□"
LEGEND = f"`{SEALED}` sealed, `{SENSITIVE}` sensitive and not sealed"


def sign(guarded: Guarded) -> str:
    """One cell: sealed, sensitive and not sealed, or a blank."""
    if guarded.sealed:
        return SEALED
    return SENSITIVE if guarded.sensitive in WHY else " "


def level_content(guarded: Guarded) -> Content:
    """The words, with the sign in front where there is one."""
    mark = sign(guarded).strip()
    return Content.assemble((f"{mark} " if mark else "", "bold $warning"), level_words(guarded))


def sealed_note(app: App[Any]) -> str:
    """What stands in place of a content that is sealed while the keys are locked."""
    return f"sealed; {cast('BailiwickApp', app).key_of('keys.toggle')} unlocks"
