"""What classification says about a text: kinds and places, never the text itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What was found; the values are also the words of the placeholders (``<email-1>``)."""

    SECRET = "secret"
    EMAIL = "email"
    PHONE = "phone"
    IP_ADDRESS = "ip"
    HOME_PATH = "home"
    USER_NAME = "user"
    HOST_NAME = "host"


class Confidence(StrEnum):
    """``certain``: the format itself says what it is; ``likely``: its name or its randomness does."""

    CERTAIN = "certain"
    LIKELY = "likely"


_PRIORITY = {kind: place for place, kind in enumerate(FindingKind)}


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place: characters ``start`` to ``end`` (exclusive) of the text that was classified.

    It holds no part of the text, so it may be printed, logged and kept; ``rule`` is the name of the rule that saw it.
    """

    start: int
    end: int
    kind: FindingKind
    rule: str
    confidence: Confidence = Confidence.CERTAIN


@dataclass(frozen=True, slots=True)
class Summary:
    """How many findings of each kind an item has; without places, so it can be kept beside the item."""

    counts: tuple[tuple[FindingKind, int], ...] = ()

    @property
    def has_secret(self) -> bool:
        """Whether the item is sensitive because of its content."""
        return any(kind is FindingKind.SECRET and count > 0 for kind, count in self.counts)

    @property
    def has_personal_data(self) -> bool:
        """Whether anything but secrets was found."""
        return any(kind is not FindingKind.SECRET and count > 0 for kind, count in self.counts)


NOTHING_FOUND = Summary()


def summarised(findings: Iterable[Finding]) -> Summary:
    """The counts of ``findings`` by kind, in the order of the kinds."""
    counted = Counter(each.kind for each in findings)
    return Summary(tuple((kind, counted[kind]) for kind in FindingKind if counted[kind]))


def without_overlaps(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Disjoint findings in text order that cover every character the given ones cover.

    Where two overlap they become one that spans both and keeps the kind, rule and confidence of the stronger: secrets
    before personal data, then the certain one, then the longer one.
    """
    merged: list[Finding] = []
    for each in sorted(findings):
        if each.start >= each.end:
            continue
        if merged and each.start < merged[-1].end:
            last = merged.pop()
            strong = min(last, each, key=_weakness)
            each = Finding(last.start, max(last.end, each.end), strong.kind, strong.rule, strong.confidence)
        merged.append(each)
    return tuple(merged)


def _weakness(finding: Finding) -> tuple[int, bool, int]:
    return _PRIORITY[finding.kind], finding.confidence is Confidence.LIKELY, finding.start - finding.end
