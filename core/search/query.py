"""What is asked: the checked query, and the filters a person may type into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from core.errors import InvalidInput
from core.model import Filters, SearchMode

MAX_QUERY_CHARACTERS = 2_000
MAX_LIMIT = 200
_INLINE = re.compile(r'(?<!\S)(?P<key>[A-Za-z]+):(?!:)(?P<value>"[^"]*"|\S+)')


@dataclass(frozen=True, slots=True)
class Query:
    """One search: ``limit`` hits for ``text`` among what ``filters`` let through."""

    text: str
    filters: Filters = field(default_factory=Filters)
    mode: SearchMode = SearchMode.HYBRID
    limit: int = 10

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidInput("The query is empty.", "Say what you look for.")
        if len(self.text) > MAX_QUERY_CHARACTERS:
            raise InvalidInput(
                f"The query has {len(self.text):,} characters; at most {MAX_QUERY_CHARACTERS:,} can be searched for.",
                "Shorten it to the words that matter.",
            )
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidInput(f"The number of hits must be between 1 and {MAX_LIMIT}.")


def parse_where(expressions: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Turn ``KEY=VALUE`` texts into pairs; raises InvalidInput on anything else."""
    pairs = []
    for expression in expressions:
        key, sign, value = expression.partition("=")
        if not sign or not key.strip():
            raise InvalidInput(
                f"The filter {expression!r} is not of the form KEY=VALUE.", "Example: --where format=rst"
            )
        pairs.append((key.strip(), value))
    return tuple(pairs)


def parse_inline(text: str) -> tuple[str, Filters]:
    """Split typed text into words and filters: ``lib:textual ver:8.2.8 lang:python where:format=rst how to scroll``.

    Only language, library, version (or lang, lib, ver) and where take a colon, so ``std::vector`` stays a word.
    """
    filters = Filters()

    def take(match: re.Match[str]) -> str:
        nonlocal filters
        key, value = match["key"].lower(), match["value"].strip('"')
        if key == "where" and "=" in value:
            filters = replace(filters, where=(*filters.where, *parse_where((value,))))
        elif key == "language" or key == "lang":
            filters = replace(filters, language=value)
        elif key == "library" or key == "lib":
            filters = replace(filters, library=value)
        elif key == "version" or key == "ver":
            filters = replace(filters, version=value)
        else:
            return match[0]
        return ""

    words = _INLINE.sub(take, text)
    return " ".join(words.split()), filters
