"""Redaction: secrets and personal data replaced by placeholders that mean something inside one item only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from core.errors import InvalidInput
from core.model import JSONValue
from core.privacy.classification import PLACEHOLDER, Classifier, home_owners, named_texts
from core.privacy.findings import Finding, FindingKind
from core.privacy.known_texts import KnownPieces, KnownWords

_LINE_ENDS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_ROUNDS = 4
_WORDS_ONLY = (FindingKind.USER_NAME, FindingKind.HOST_NAME)


class RedactionRefused(InvalidInput):
    """The redacted item still holds something that was to be removed, so it may not leave."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A value without secrets and personal data; ``counts`` says how many places of each kind were replaced."""

    value: JSONValue
    counts: Mapping[FindingKind, int]


Leaf: TypeAlias = Callable[[str, str], str]
"""Replaces a text that stands under a key (empty for a key itself and outside of objects)."""


@dataclass(slots=True)
class _Placeholders:
    """The placeholders of one item: the same text always gets the same, numbers begin at 1 and avoid those in use."""

    taken: set[str]
    given: dict[tuple[FindingKind, str], str] = field(default_factory=dict)
    numbers: Counter[FindingKind] = field(default_factory=Counter)
    counts: Counter[FindingKind] = field(default_factory=Counter)

    def of(self, kind: FindingKind, text: str) -> str:
        key = kind, text
        if key not in self.given:
            while True:
                self.numbers[kind] += 1
                placeholder = f"<{kind}-{self.numbers[kind]}>"
                if placeholder not in self.taken:
                    break
            self.given[key] = placeholder
        self.counts[kind] += 1
        return on_the_lines_of(text, self.given[key])


def on_the_lines_of(text: str, placeholder: str) -> str:
    """``placeholder`` in the place of ``text``: where that has several lines, as many, the first and last replaced."""
    ends = _LINE_ENDS.findall(text)
    if not ends:
        return placeholder
    return placeholder + "".join(ends) + ("" if text.endswith(ends[-1]) else placeholder)


def redact(value: JSONValue, classifier: Classifier) -> Redacted:
    """``value``, a text or any JSON value, without what ``classifier`` finds in it.

    Every finding becomes a placeholder such as ``<email-1>``: the same text the same placeholder inside this value,
    with no relation to any other value. Keys are redacted like texts; a key that promises a secret (``password``) makes
    its text one. Types, the order of keys and the lines of texts stay; a number that is a secret becomes ``0``. What is
    found in one place is replaced wherever else it stands. The result is classified again.

    Raises RedactionRefused if that still finds something, or if the value is nested too deeply. Thread-safe.
    """
    try:
        return _redacted(value, classifier)
    except RecursionError:
        raise RedactionRefused("The item is nested too deeply to be redacted.", "Share it as a text.") from None


def _redacted(value: JSONValue, classifier: Classifier) -> Redacted:
    texts = list(_texts(value))
    classifier = classifier.with_user_names(owner for text in texts for owner in home_owners(text))
    placeholders = _Placeholders({match[0] for text in texts for match in PLACEHOLDER.finditer(text)})

    def replace(text: str, name: str) -> str:
        return _replaced(text, classifier.classify_field(name, text), placeholders)

    for _ in range(_ROUNDS):
        before = len(placeholders.given)
        value = _mapped(value, replace, "")
        if placeholders.given:
            value = _mapped(value, _everywhere(placeholders), "")
        remaining = {
            finding.kind for text, name in named_texts(value) for finding in classifier.classify_field(name, text)
        }
        if not remaining:
            return Redacted(
                value, {kind: placeholders.counts[kind] for kind in FindingKind if placeholders.counts[kind]}
            )
        if len(placeholders.given) == before:
            break
    raise RedactionRefused(
        f"The item still holds {', '.join(sorted(remaining))} data after redaction, so it may not leave.",
        "Remove it from the item.",
    )


def _replaced(text: str, findings: tuple[Finding, ...], placeholders: _Placeholders) -> str:
    pieces: list[str] = []
    position = 0
    for finding in findings:
        pieces += text[position : finding.start], placeholders.of(finding.kind, text[finding.start : finding.end])
        position = finding.end
    return "".join((*pieces, text[position:]))


def _everywhere(placeholders: _Placeholders) -> Leaf:
    """Replaces what has a placeholder wherever it stands: names as words, the rest anywhere, placeholders never."""
    kinds: dict[str, FindingKind] = {}
    for kind, text in placeholders.given:
        kinds.setdefault(text, kind)
    as_words = {text for text, kind in kinds.items() if kind in _WORDS_ONLY or len(text) < KnownPieces.shortest}
    words, pieces = KnownWords(as_words), KnownPieces(kinds.keys() - as_words)

    def replace(text: str, _: str) -> str:
        shields = [match.span() for match in PLACEHOLDER.finditer(text)]
        parts: list[str] = []
        position = 0
        for start, end in sorted((*shields, *words.spans(text), *pieces.spans(text)), key=_leftmost_longest):
            if start < position:
                continue
            found = text[start:end]
            kind = kinds.get(found)
            parts += text[position:start], found if kind is None else placeholders.of(kind, found)
            position = end
        return "".join((*parts, text[position:]))

    return replace


def _leftmost_longest(span: tuple[int, int]) -> tuple[int, int]:
    return span[0], -span[1]


def _mapped(value: JSONValue, leaf: Leaf, name: str) -> JSONValue:
    """``value`` with every text and key replaced; what follows from a key is said to the leaf as its name."""
    if isinstance(value, str):
        return leaf(value, name)
    if isinstance(value, list):
        return [_mapped(each, leaf, name) for each in value]
    if isinstance(value, dict):
        return _mapped_object(value, leaf)
    if isinstance(value, bool) or value is None:
        return value
    text = str(value)
    if leaf(text, name) == text:
        return value
    return 0 if isinstance(value, int) else 0.0


def _mapped_object(value: dict[str, JSONValue], leaf: Leaf) -> JSONValue:
    result: dict[str, JSONValue] = {}
    for key, each in value.items():
        new = leaf(key, "")
        if new in result:
            raise RedactionRefused("Two keys of an object would be the same after redaction.", "Rename one of them.")
        result[new] = _mapped(each, leaf, key)
    return result


def _texts(value: JSONValue) -> Iterator[str]:
    return (text for text, _ in named_texts(value))
