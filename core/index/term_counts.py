"""How rare the terms of a query are in several words indexes together, so that scores of one compare with another's.

Each index scores a term by its rarity among its own passages alone (BM25's inverse document frequency): in an index of
three passages nothing is rare, and its best hit would score below the worst of a large one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import tantivy

FIELDS = ("title", "names", "text")
_LONGEST_TERM = 40


@dataclass(frozen=True, slots=True)
class TermCounts:
    """Of ``passages`` so many hold a term, by field and term."""

    passages: int
    holding: Mapping[tuple[str, str], int]

    def rarity(self, term: tuple[str, str]) -> float:
        """BM25's inverse document frequency as tantivy computes it."""
        holding = self.holding.get(term, 0)
        return math.log(1 + (self.passages - holding + 0.5) / (holding + 0.5))


def together(counts: Sequence[TermCounts]) -> TermCounts:
    """The counts of all the indexes as of one."""
    holding: Counter[tuple[str, str]] = Counter()
    for each in counts:
        holding.update(each.holding)
    return TermCounts(sum(each.passages for each in counts), holding)


def correction(terms: Iterable[tuple[str, str]], own: TermCounts, all_: TermCounts) -> float:
    """What turns a score for ``terms`` in the index of ``own`` into one by their rarity in ``all_``, as a factor."""
    found = [term for term in terms if own.holding.get(term)]
    if not found:
        return 1.0
    return sum(all_.rarity(term) for term in found) / sum(own.rarity(term) for term in found)


def terms_of(field: str, text: str) -> list[tuple[str, str]]:
    """The terms that a text becomes in a field."""
    return [(field, term) for term in _ANALYZERS[field].analyze(text)]


def _analyzer(*, stemmed: bool) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(tantivy.Filter.remove_long(_LONGEST_TERM)).filter(tantivy.Filter.lowercase())
    return (builder.filter(tantivy.Filter.stemmer("english")) if stemmed else builder).build()


_ANALYZERS = {field: _analyzer(stemmed=field != "title") for field in FIELDS}
