"""The labelled cases: texts with the places of secrets and personal data marked, and what a classifier scores on them.

A case marks what must be found as ``⟦kind:value⟧``; ``¦`` splits literals that a forge's scanner would take for real
secrets and is removed. All values are invented or random. ``tuning`` cases were looked at while the rules were written;
``second`` cases were held out until the rules were first measured, then looked at too; ``held_out`` cases were written
before the final rules were first run on them, and their failures were left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.privacy import Classifier, FindingKind

PARTS = ("tuning", "second", "held_out")
_MARK = re.compile(r"⟦(?P<kind>[a-z]+):(?P<value>[^⟦⟧]*)⟧", re.DOTALL)
CLASSIFIER = Classifier(("mlindqvist",), ("mara-laptop", "build-07.lan"))
"""The classifier the cases are written for: one user and two hosts are known, no telephone region."""


@dataclass(frozen=True, slots=True)
class Label:
    """One place that must be found."""

    kind: FindingKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Case:
    """One text; ``labels`` is empty for a near miss."""

    id: str
    form: str
    text: str
    labels: tuple[Label, ...]


@dataclass(slots=True)
class Score:
    """Counts over many cases: places found, missed, and found where nothing is."""

    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.hits / (self.hits + self.false_alarms) if self.hits + self.false_alarms else 1.0

    @property
    def recall(self) -> float:
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@cache
def cases(part: str) -> tuple[Case, ...]:
    """The cases of one part, in the order of its file."""
    lines = (Path(__file__).parent / "cases" / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_case(json.loads(line)) for line in lines)


def _case(row: dict[str, str]) -> Case:
    marked = row["text"].replace("¦", "")
    labels: list[Label] = []
    plain = ""
    position = 0
    for match in _MARK.finditer(marked):
        plain += marked[position : match.start()]
        labels.append(Label(FindingKind(match["kind"]), len(plain), len(plain) + len(match["value"])))
        plain += match["value"]
        position = match.end()
    return Case(row["id"], row["form"], plain + marked[position:], tuple(labels))


Place = tuple[FindingKind, int, int]


def scored(
    over: Iterable[Case], find: Callable[[Case], Iterable[Place]], kinds: Iterable[FindingKind] = tuple(FindingKind)
) -> dict[FindingKind, Score]:
    """Scores by kind: a label is hit by an overlapping place of its kind, a place that overlaps none is false."""
    scores = {kind: Score() for kind in kinds}
    for case in over:
        places = [place for place in find(case) if place[0] in scores]
        for label in case.labels:
            if label.kind not in scores:
                continue
            if any(kind is label.kind and start < label.end and label.start < end for kind, start, end in places):
                scores[label.kind].hits += 1
            else:
                scores[label.kind].misses += 1
                scores[label.kind].failures.append(f"{case.id} missed")
        for kind, start, end in places:
            if not any(kind is label.kind and start < label.end and label.start < end for label in case.labels):
                scores[kind].false_alarms += 1
                scores[kind].failures.append(f"{case.id} false alarm")
    return scores


def ours(case: Case) -> list[Place]:
    """What this project's classifier finds."""
    return [(each.kind, each.start, each.end) for each in CLASSIFIER.classify(case.text)]
