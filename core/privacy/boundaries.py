"""The boundaries as values: which paths are private, and how far each kind of item may be shared.

How a pattern matches a path (both are compared without regard to case, ``\\`` counts as ``/``, ``.`` and ``..`` parts
are resolved first):

- A plain word (no ``/ * ? [``) matches when a part of the path is that word, with or without extensions and a leading
  dot; ``-``, ``_`` and spaces are alike. ``api_keys`` catches ``config/api_keys/x``, ``api-keys.md``, ``.api_keys``.
- Anything else is a glob in which ``*`` stands for any characters, ``/`` included, ``?`` for one, ``[…]`` for one of a
  set; a trailing ``/`` means everything below. It must match from the beginning of some part to the end of the path:
  ``internal/*`` catches ``user-contributions/mara/notes/internal/a.md``. A leading ``/`` ties it to the first part.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from core.model import Kind, Level

_GLOB_SIGNS = re.compile(r"[/*?\[\\]")
_WORD_BREAKS = re.compile(r"[-_\s]+")


class DefaultLevel(StrEnum):
    """What level an item has when neither its owner nor a sharing control says."""

    PRIVATE_UNTIL_SHARED = "private_until_shared"
    TEAM_ONLY = "team_only"


class Sharing(StrEnum):
    """How far items of a kind go by themselves, the most private first."""

    PRIVATE = "private"
    ANONYMOUS = "anonymous"
    TEAM_ONLY = "team_only"
    TEAM_OPT_OUT = "team_opt_out"


CONTROLLED_KINDS: Mapping[Kind, str] = {
    Kind.RESEARCH_FINDING: "research_findings",
    Kind.CODE_EXAMPLE: "code_examples",
    Kind.IMPLEMENTATION_LOG: "implementation_logs",
    Kind.ASSUMPTION: "assumptions",
}
"""The kinds that have a sharing control, and its key in the file."""


@dataclass(frozen=True, slots=True)
class SharingControl:
    """``allow_opt_in``: whether explicit sharing may go beyond ``default``."""

    default: Sharing
    allow_opt_in: bool


@dataclass(frozen=True, slots=True)
class PrivatePattern:
    """One private pattern; ``origin`` names the file and line that gave it."""

    text: str
    origin: str = ""

    def matches(self, path: str) -> bool:
        """Whether this pattern catches ``path``, as this module's first lines say. Pure and thread-safe."""
        return _matches(self.text, normalised_path(path))


@dataclass(frozen=True, slots=True)
class PrivacyRules:
    """Every boundary and control with its value; immutable, so any thread may use it.

    ``controls`` holds one control per kind of ``CONTROLLED_KINDS``; ``origins`` tells for each dotted key which file
    and line gave its value.
    """

    default_level: DefaultLevel
    patterns: tuple[PrivatePattern, ...]
    controls: Mapping[Kind, SharingControl]
    origins: Mapping[str, str] = field(default_factory=dict)

    def matching_patterns(self, path: str) -> tuple[PrivatePattern, ...]:
        """The patterns that catch ``path``, in the order of the files."""
        plain = normalised_path(path)
        return tuple(each for each in self.patterns if _matches(each.text, plain))

    def initial_level(self, kind: Kind, path: str) -> Level:
        """The level of a new item whose owner says nothing: the most private of pattern, control and default."""
        return Level.PRIVATE if self.matching_patterns(path) else self.usual_level(kind)

    def usual_level(self, kind: Kind) -> Level:
        """As ``initial_level``, where no pattern catches the path."""
        control = self.controls.get(kind)
        if control is not None:
            return Level.PRIVATE if control.default is Sharing.PRIVATE else Level.TEAM
        return Level.TEAM if self.default_level is DefaultLevel.TEAM_ONLY else Level.PRIVATE


@dataclass(frozen=True, slots=True)
class PatternReport:
    """What one pattern catches among the paths it was tried on."""

    pattern: PrivatePattern
    paths: tuple[str, ...]

    @property
    def matches_nothing(self) -> bool:
        """Whether the pattern caught no path: a misspelling, or a rule that is not needed yet."""
        return not self.paths


def report(rules: PrivacyRules, paths: Iterable[str]) -> tuple[PatternReport, ...]:
    """For every pattern of ``rules``, in order, the ``paths`` it catches, in the order given. Pure."""
    known = [(path, normalised_path(path)) for path in paths]
    return tuple(
        PatternReport(pattern, tuple(path for path, plain in known if _matches(pattern.text, plain)))
        for pattern in rules.patterns
    )


def normalised_path(path: str) -> str:
    """``path`` as patterns see it: NFC, case folded, ``/`` between parts, without ``.``, ``..`` and outer slashes."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
    return posixpath.normpath("/" + folded.replace("\\", "/")).strip("/")


def _matches(pattern: str, plain: str) -> bool:
    if not _GLOB_SIGNS.search(pattern):
        word = _word(pattern)
        return any(word in _names(part) for part in plain.split("/"))
    expression, anchored = _glob(pattern)
    if anchored:
        return expression.match(plain) is not None
    starts = [0, *(place + 1 for place, letter in enumerate(plain) if letter == "/")]
    return any(expression.match(plain, start) for start in starts)


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> tuple[re.Pattern[str], bool]:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", pattern).casefold()).replace("\\", "/")
    anchored = folded.startswith("/")
    folded = folded.lstrip("/")
    while folded.startswith("./"):
        folded = folded[2:]
    return re.compile(fnmatch.translate(folded + "*" if folded.endswith("/") else folded)), anchored


@lru_cache(maxsize=1024)
def _word(text: str) -> str:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return _WORD_BREAKS.sub("_", folded).strip("_.")


@lru_cache(maxsize=4096)
def _names(part: str) -> frozenset[str]:
    """The part itself and the part with one extension after another taken off."""
    pieces = part.lstrip(".").split(".")
    return frozenset(_word(".".join(pieces[:count])) for count in range(1, len(pieces) + 1))
