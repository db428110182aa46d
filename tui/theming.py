"""Themes from YAML files: found, checked colour by colour, and never able to crash the app."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

DARK = "bailiwick-dark"
LIGHT = "bailiwick-light"
DEFAULT_THEME = DARK
THEMES_FOLDER = "themes"
COLORS = (
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
    "foreground",
    "background",
    "surface",
    "panel",
)
VARIABLES = ("muted", "track", "frame", "tab-foreground", "tab-background")
_PAIRS = ((DARK, LIGHT), ("ansi-dark", "ansi-light"), ("textual-dark", "textual-light"))
_TEXTUAL_NAMES = frozenset(BUILTIN_THEMES)


class ThemeError(ValueError):
    """A theme file holds something unusable; the text says what, without the file's name."""


@dataclass(frozen=True, slots=True)
class ThemeSet:
    """What was read: usable themes, and one sentence for each file left out."""

    themes: tuple[Theme, ...]
    problems: tuple[str, ...]


def theme_files() -> tuple[Path, ...]:
    """The shipped themes: inside ``tui`` in an installed wheel, ``themes/`` in a source checkout."""
    package = Path(str(resources.files("tui")))
    folder = package / THEMES_FOLDER
    return tuple(sorted((folder if folder.is_dir() else package.parent / THEMES_FOLDER).glob("*.yml")))


def user_theme_files(config_folder: Path) -> tuple[Path, ...]:
    """The user's own themes."""
    return tuple(sorted((config_folder / THEMES_FOLDER).glob("*.yml")))


def read_themes(files: Iterable[Path]) -> ThemeSet:
    """Read ``files``; one that cannot be used becomes a problem and the others still count. Never raises."""
    themes: list[Theme] = []
    problems: list[str] = []
    for path in files:
        try:
            themes.append(read_theme(path))
        except ThemeError as error:
            problems.append(f"{path.name}: {error}")
    return ThemeSet(tuple(themes), tuple(problems))


def read_theme(path: Path) -> Theme:
    """Read one theme file; raises ThemeError."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ThemeError("cannot be read") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ThemeError(f"line {mark.line + 1 if mark else 1} is not valid YAML") from None
    if not isinstance(loaded, dict):
        raise ThemeError("holds no theme")
    unknown = sorted(str(key) for key in loaded if key not in ("name", "dark", "colors", "variables"))
    if unknown:
        raise ThemeError(f"does not know {unknown[0]}")
    name, dark = loaded.get("name"), loaded.get("dark", True)
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ThemeError("needs a name of letters, digits, - and _")
    if name in _TEXTUAL_NAMES:
        raise ThemeError(f"{name} is a theme of Textual; choose another name")
    if not isinstance(dark, bool):
        raise ThemeError("dark must be true or false")
    colors: dict[str, Any] = {**_colors("colors", loaded.get("colors"), COLORS)}
    if "primary" not in colors:
        raise ThemeError("colors has no primary")
    variables = _colors("variables", loaded.get("variables"), VARIABLES)
    return replace(Theme(name=name, primary=colors["primary"], dark=dark, variables=variables), **colors)


def _colors(section: str, values: object, known: tuple[str, ...]) -> dict[str, str]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ThemeError(f"{section} must be `name: color` lines")
    result: dict[str, str] = {}
    for name, value in values.items():
        if name not in known:
            raise ThemeError(f"{section} does not know {name}")
        if not isinstance(value, str) or not _is_plain_color(value):
            raise ThemeError(f"{section}.{name}: {value!r} is not a color")
        result[str(name)] = value
    return result


def _is_plain_color(text: str) -> bool:
    """Whether ``text`` is an opaque colour that Textual can blend: names of the terminal's palette cannot be."""
    try:
        color = Color.parse(text)
    except ColorParseError:
        return False
    return color.a == 1 and color.ansi is None and not color.auto


def variable_defaults(variables: Mapping[str, str]) -> dict[str, str]:
    """Our own variables for a theme that does not set them, from Textual's generated ``variables``.

    Themes that follow the terminal's palette have no blends, so there the plain colours stand in.
    """
    ansi = variables["background"].startswith("ansi")
    return {
        "muted": variables["foreground"] if ansi else _blend(variables, 0.8),
        "track": "ansi_bright_black" if ansi else _blend(variables, 0.18),
        "frame": "ansi_bright_black" if ansi else _blend(variables, 0.28),
        "tab-foreground": variables["block-cursor-foreground"],
        "tab-background": variables["block-cursor-background"],
    }


def _blend(variables: Mapping[str, str], amount: float) -> str:
    """``foreground`` laid over ``background`` at ``amount``, as an opaque colour."""
    return Color.parse(variables["background"]).blend(Color.parse(variables["foreground"]), amount, 1.0).hex


def opposite(theme: Theme) -> str:
    """The light theme that goes with a dark one, and the other way round."""
    for dark, light in _PAIRS:
        if theme.name in (dark, light):
            return light if theme.name == dark else dark
    return LIGHT if theme.dark else DARK
